#!/usr/bin/env bash
# Locks every dependency in infra/requirements/*.txt: exact versions with hashes, in pip's format, for every platform
# and Python 3.11 or newer, without download addresses.
#
#   infra/lock.sh              keeps the locked versions and adds what is missing
#   infra/lock.sh --upgrade    moves every version to the newest one that is allowed
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
  "" | --upgrade) ;;
  *) echo "infra/lock.sh: unknown option \"$1\"; usage: infra/lock.sh [--upgrade]" >&2; exit 2 ;;
esac
upgrade=("$@")
command -v uv >/dev/null || python -m pip install --quiet uv

resolve() { # output, sources...
  local output=$1
  shift
  echo "locking $output"
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --no-annotate --no-header "${upgrade[@]}" --output-file "infra/requirements/$output" "$@"
}

resolve local.txt pyproject.toml --group build
resolve aws.txt pyproject.toml --group build --extra aws
resolve dev.txt pyproject.toml --group build --group dev --extra aws
for function in mcp_endpoint admin_api purge log_subscriber trace_exporter; do
  resolve "$function.txt" --constraints infra/requirements/aws.txt "infra/requirements/$function.in"
done
resolve embedder.txt --no-deps infra/requirements/embedder.in
for tools in audit docs aws_uv aws_sam aws_standins aws_checkov aws_runtime aws_cdk browser clients clients_modern clients_pinned converters bench_fastmcp bench_sdk bench_awslabs wheel; do
  resolve "$tools.txt" "infra/requirements/$tools.in"
done
