#!/usr/bin/env bash
# Runs every test that needs AWS, on stand-ins. Only the installation of the tools uses the network.
# With POSTERN_AWS_TESTS=required, a missing tool fails a test instead of skipping it.
set -euo pipefail
cd "$(dirname "$0")/.."
infra/aws-tools.sh

# Here the functions run on this machine, with the Python of the stand-ins. One build serves every test.
case $(uname -m) in aarch64 | arm64) architecture=arm64 ;; *) architecture=x86_64 ;; esac
python=$(.cache/aws/standins/bin/python -c 'import sys; print("{}.{}".format(*sys.version_info))')
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
POSTERN_ARCHITECTURE=$architecture POSTERN_PYTHON=$python infra/build.sh "$build/functions"

POSTERN_AWS_TESTS=required POSTERN_BUILT=$build/functions \
  .venv/bin/python -m pytest -m aws -n 2 --dist loadfile "$@"
