#!/usr/bin/env bash
# Builds the three functions into .aws-sam/build, or into FOLDER. Checks the catalogue first.
#
#   infra/build.sh [FOLDER]
#
# The template runs arm64 and python3.13. POSTERN_ARCHITECTURE (arm64, x86_64) and POSTERN_PYTHON (3.13) build for
# another platform, which only the stand-ins of the tests need.
set -euo pipefail
cd "$(dirname "$0")/.."
infra/aws-tools.sh sam
SAM_CLI_TELEMETRY=0 .cache/aws/sam/bin/sam build --config-file "$PWD/infra/samconfig.toml" --template template.yaml \
  --build-dir "${1:-.aws-sam/build}"
