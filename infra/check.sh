#!/usr/bin/env bash
# Lints the template with three tools. template.yaml gives the reason for each suppressed rule at its resource.
set -euo pipefail
cd "$(dirname "$0")/.."
infra/aws-tools.sh sam standins checkov
SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .cache/aws/sam/bin/sam validate --lint --template template.yaml
.cache/aws/standins/bin/cfn-lint template.yaml
.cache/aws/checkov/bin/checkov -f template.yaml --framework cloudformation --skip-download --compact --quiet
