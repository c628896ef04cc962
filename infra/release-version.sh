#!/usr/bin/env bash
# Refuses a release whose tag, projects and CHANGELOG.md do not name one version: infra/release-version.sh v0.1.0
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:?"usage: infra/release-version.sh vX.Y.Z"}
for project in pyproject.toml infra/ci/pyproject.toml infra/cdk/pyproject.toml; do
  stated=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$project")
  [ "$tag" = "v$stated" ] || { echo "The tag is $tag, and $project states $stated." >&2; exit 1; }
done
grep -q "^## $stated " CHANGELOG.md || { echo "CHANGELOG.md has no section \"## $stated (date)\"." >&2; exit 1; }
