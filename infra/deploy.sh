#!/usr/bin/env bash
# Builds and deploys one environment; infra/deploy.py says how. This file installs what it needs, once.
#
#   infra/deploy.sh dev|staging|prod|ephemeral-NAME [Parameter=value ...] [--yes | --plan | --execute CHANGE_SET]
set -euo pipefail
cd "$(dirname "$0")/.."
[ -e .venv/.aws ] || make --no-print-directory .venv/.aws
exec .venv/bin/python -m infra.deploy "$@"
