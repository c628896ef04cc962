#!/usr/bin/env bash
# Builds and deploys one environment, with the AWS credentials and the region of this shell.
#
#   infra/deploy.sh dev|staging|prod|ephemeral-NAME [Parameter=value ...]
#
# The parameters are those of template.yaml. They override the parameters of the environment (infra/samconfig.toml). A
# parameter that neither sets keeps its value from the previous deployment, as always with CloudFormation.
# POSTERN_BUILD names a folder that infra/build.sh has already filled.
#
# Each function must know the address of the other one for OAuth, and has its own only when it exists. So the first
# deployment of an environment is followed by a second one, with both addresses as parameters.
set -euo pipefail
cd "$(dirname "$0")/.."
usage="usage: infra/deploy.sh dev|staging|prod|ephemeral-NAME [Parameter=value ...]"
environment=${1:?$usage}
shift

section=$environment
named=()
case $environment in
  dev | staging | prod) ;;
  ephemeral-?*)
    section=ephemeral
    named=(--stack-name "postern-$environment" --s3-prefix "postern-$environment")
    ;;
  *) echo "infra/deploy.sh: unknown environment \"$environment\"; $usage" >&2; exit 2 ;;
esac
own=$(.venv/bin/python -c '
import sys, tomllib
with open("infra/samconfig.toml", "rb") as file:
    print(tomllib.load(file)[sys.argv[1]]["deploy"]["parameters"]["parameter_overrides"])' "$section")
for override in "$@"; do
  [[ $override == ?*=* ]] || { echo "infra/deploy.sh: \"$override\" is not Parameter=value" >&2; exit 2; }
done

build=${POSTERN_BUILD:-.aws-sam/build}
if [ -z "${POSTERN_BUILD:-}" ]; then infra/build.sh "$build"; else infra/aws-tools.sh sam; fi

deploy() { # parameters...
  # shellcheck disable=SC2086 # the parameters of the environment must be split into words
  SAM_CLI_TELEMETRY=0 .cache/aws/sam/bin/sam deploy --config-file "$PWD/infra/samconfig.toml" --config-env "$section" \
    --template "$build/template.yaml" "${named[@]}" --parameter-overrides $own "Environment=$environment" "$@"
}

addresses() { # of the stack, as parameters; none while there is no stack
  .cache/aws/sam/bin/python -c '
import sys, boto3, botocore.exceptions
try:
    [stack] = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"]
except botocore.exceptions.ClientError:
    sys.exit()
outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
for parameter, output in (("ManagementUrl", "AdminUrl"), ("McpOrigin", "McpUrl")):
    if output in outputs:
        print(parameter + "=" + "/".join(outputs[output].split("/")[:3]))' "postern-$environment"
}

before=$(addresses)
# shellcheck disable=SC2086 # each line is a parameter
deploy $before "$@"
after=$(addresses)
# shellcheck disable=SC2086
[ "$before" = "$after" ] || deploy $after "$@"
