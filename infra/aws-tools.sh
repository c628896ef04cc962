#!/usr/bin/env bash
# Installs the tools that build, check and test the deployment, from lock files, into .cache/aws and nowhere else.
#
#   infra/aws-tools.sh [sam|standins|checkov|runtime|cdk ...]   (default: all)
#
#   sam        SAM CLI, with the Lambda runtime interface emulator
#   standins   ministack and moto, which replace AWS on loopback, and cfn-lint
#   checkov    checks the template against security rules
#   cdk        AWS CDK, which synthesizes the construct of infra/cdk; it needs Node
#   runtime    the runtime interface client of AWS, which needs the Python version of the functions (3.13)
#
# Each tool has its own environment, because their requirements conflict. Without Python 3.13, the others use
# another Python 3.11 or newer, and `runtime` is skipped with a message.
set -euo pipefail
cd "$(dirname "$0")/.."
TOOLS=.cache/aws
LOCKS=infra/requirements
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1 UV_SYSTEM_CERTS=1
mkdir -p "$TOOLS"

install() { # environment, interpreter
  local folder=$TOOLS/$1 lock=$LOCKS/aws_$1.txt stamp
  stamp="$(sha256sum < "$lock") $2"
  [ "$(cat "$folder/.installed" 2>/dev/null)" = "$stamp" ] && return
  echo "installing $1 (once)..."
  rm -rf "$folder"
  "$2" -m venv "$folder"
  if [ "$1" = uv ]; then
    "$folder/bin/python" -m pip install --require-hashes --no-deps -r "$lock"
  else
    "$TOOLS/uv/bin/uv" pip install --quiet --require-hashes --no-deps --python "$folder/bin/python" -r "$lock" ||
      "$folder/bin/python" -m pip install --require-hashes --no-deps -r "$lock"
  fi
  echo "$stamp" > "$folder/.installed"
}

RUNTIME=$(infra/python313.sh || true)
PYTHON=$([ -n "$RUNTIME" ] && echo "$RUNTIME" || { [ -x .venv/bin/python ] && echo .venv/bin/python; } || command -v python3 || true)
"${PYTHON:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "infra/aws-tools.sh: needs Python 3.11 or newer as python3" >&2; exit 1; }

install uv "$PYTHON"
for tool in "${@:-sam}" $([ $# -gt 0 ] || echo standins checkov runtime cdk); do
  case $tool in
    sam | standins | checkov | cdk) install "$tool" "$PYTHON" ;;
    runtime)
      if [ -n "$RUNTIME" ]; then install runtime "$PYTHON"; else
        echo "Python 3.13 is not installed: tests that run the built functions like Lambda does are skipped" >&2
      fi ;;
    *) echo "infra/aws-tools.sh: unknown tool $tool; valid: sam standins checkov runtime cdk" >&2; exit 2 ;;
  esac
done
