#!/usr/bin/env bash
# Builds the documentation as a site, into dist/site: make docs [ARGS=serve]
# Strict: a dead link or anchor, or a page that the navigation lacks, is an error. No page asks another host for anything.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.cache/docs-tools
rm -rf .cache/docs/pages dist/site
mkdir -p .cache/docs/pages
cp README.md SECURITY.md CHANGELOG.md CONTRIBUTING.md CODE_OF_CONDUCT.md .cache/docs/pages/
cp -R docs .cache/docs/pages/docs
case ${1:-build} in
  build) NO_MKDOCS_2_WARNING=1 $tools/bin/mkdocs build --strict --config-file infra/site/mkdocs.yml && echo "dist/site/index.html" ;;
  serve) NO_MKDOCS_2_WARNING=1 $tools/bin/mkdocs serve --config-file infra/site/mkdocs.yml ;;
  *) echo "unknown word \"$1\"; usage: make docs [ARGS=serve]" >&2; exit 2 ;;
esac
