#!/usr/bin/env bash
# What we install, looked at from outside: advisories, licences, and a bill of materials.
#
#   make audit    known vulnerabilities of every lock, and licences of what a user installs
#   make sbom     dist/sbom-*.json: CycloneDX, one for each lock that is installed or deployed
#
# Exits with 1 when an advisory or a licence stops a release. Advisories need the network. Where their source does not
# answer, the report says so, and the exit status is 3: nothing was found wrong, and nothing was found right.
set -euo pipefail
cd "$(dirname "$0")/.."
locks=infra/requirements
tools=.cache/audit-tools/bin
shipped=(local aws mcp_endpoint admin_api purge log_subscriber trace_exporter)

case ${1:-audit} in
sbom)
  mkdir -p dist
  for lock in "${shipped[@]}"; do
    $tools/python -W ignore $tools/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --mc-type application \
      --output-file "dist/sbom-$lock.json" "$locks/$lock.txt"
  done
  ls dist/sbom-*.json
  ;;
audit)
  # Licences that let us ship under Apache-2.0. MPL is for whole files that nobody changes here.
  allowed='MIT|MIT License|MIT-0|BSD License|BSD-3-Clause|Apache-2.0|Apache Software License|PSF-2.0|ISC'
  allowed+='|Apache-2.0 OR BSD-3-Clause|Apache Software License; BSD License|MPL-2.0|Mozilla Public License 2.0 (MPL 2.0)'
  mapfile -t packages < <(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' $locks/local.txt $locks/aws.txt | sort -u)
  $tools/pip-licenses --python=.venv/bin/python --packages "${packages[@]}" --allow-only="${allowed//|/;}" --format=markdown
  status=0
  for lock in "$locks"/*.txt; do
    report=$($tools/pip-audit --disable-pip --require-hashes --progress-spinner off --requirement "$lock" 2>&1) && found=0 || found=$?
    skipped=$(grep -c 'could not be audited' <<<"$report" || true)
    if grep -q '^Found' <<<"$report"; then
      echo "$report" | grep -v 'could not be audited'
      exit 1
    elif [ "$found" != 0 ]; then
      echo "$lock: not checked: $(tail -1 <<<"$report")"
      status=3
    else
      echo "$lock: no known vulnerability; $skipped packages unknown to the source of advisories"
      [ "$skipped" = 0 ] || status=3
    fi
  done
  [ $status = 0 ] || echo "The source of advisories did not answer for every package: that part was not checked."
  exit $status
  ;;
*)
  echo "unknown word \"$1\"; usage: make audit, or make sbom" >&2
  exit 2
  ;;
esac
