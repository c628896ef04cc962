#!/usr/bin/env bash
# Builds the five functions into .aws-sam/build, or into FOLDER. Checks the catalogue first.
#
#   infra/build.sh [FOLDER]
#
# Builds of one checkout wait for each other, because `sam build` shares files. Packages come from .cache/packages,
# where they are kept by the hash of their lock file.
#
# POSTERN_CATALOGS=DIR[:DIR] adds the catalogues of these folders, which are named from the root of the repository.
# The template runs arm64 and python3.13. POSTERN_ARCHITECTURE (arm64, x86_64) and POSTERN_PYTHON (3.13) build for
# another platform, which only the stand-ins of the tests need.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${POSTERN_CATALOGS:-}" ]; then # `sam build` runs the recipe in another folder
  absolute='import os, sys; print(os.pathsep.join(map(os.path.abspath, filter(None, sys.argv[1].split(os.pathsep)))))'
  POSTERN_CATALOGS=$(.venv/bin/python -c "$absolute" "$POSTERN_CATALOGS")
  export POSTERN_CATALOGS
fi
infra/aws-tools.sh sam
SAM_CLI_TELEMETRY=0 .venv/bin/python -m infra.locks .aws-sam/build.lock \
  .cache/aws/sam/bin/sam build --config-file "$PWD/infra/samconfig.toml" --template template.yaml \
  --build-dir "${1:-.aws-sam/build}"
