"""Check a deployment from outside: its table, then both functions. Changes nothing.

    python infra/smoke.py ENVIRONMENT [--mcp-url URL] [--admin-url URL]

Uses the AWS credentials and the region of the shell. The URLs come from the outputs of the stack unless they are given,
e.g. for a stand-in whose host names do not resolve. Exit code 1 when anything is wrong; each line says what to do.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

Json = Any

TIMEOUT_SECONDS = 30
"""Limit of one request. The first request after a deployment starts a function."""

SAMPLE_TOKEN = "0" * 43
"""Has the form of a token, but opens nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one environment and return the exit code."""
    parser = argparse.ArgumentParser(prog="smoke.py", description="Check a deployment from outside.")
    parser.add_argument("environment", help="dev, staging, prod or ephemeral-NAME")
    parser.add_argument("--mcp-url", help="use this URL instead of the output of the stack")
    parser.add_argument("--admin-url", help="use this URL instead of the output of the stack")
    options = parser.parse_args(arguments)

    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    stack = f"postern-{options.environment}"
    try:
        outputs = read_outputs(boto3.client("cloudformation"), stack)
        problems = [
            *table_problems(boto3.client("dynamodb"), outputs["Table"]),
            *endpoint_problems(options.mcp_url or outputs["McpUrl"]),
            *api_problems(
                options.admin_url or outputs["AdminUrl"],
                boto3.client("secretsmanager").get_secret_value(SecretId=outputs["RootApiTokenSecret"])["SecretString"],
            ),
        ]
    except (BotoCoreError, ClientError) as error:
        problems = [f"{stack}: {error}"]
    except KeyError as missing:
        problems = [f"{stack} has no output {missing}; finish the deployment: infra/deploy.sh {options.environment}"]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{stack}: {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0


def read_outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    """The outputs of a stack. Raises ClientError when the stack does not exist."""
    [described] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}


def table_problems(dynamodb: Any, table: str) -> Iterator[str]:
    """Problems of the table: its key and its TTL."""
    described = dynamodb.describe_table(TableName=table)["Table"]
    key = {part["AttributeName"]: part["KeyType"] for part in described["KeySchema"]}
    kinds = {part["AttributeName"]: part["AttributeType"] for part in described["AttributeDefinitions"]}
    if key != {"pk": "HASH", "sk": "RANGE"} or (kinds.get("pk"), kinds.get("sk")) != ("S", "S"):
        yield (
            f"table {table}: the key is {key}; it must be pk (string, HASH) and sk (string, RANGE). "
            "A key cannot be changed: deploy the table of the template"
        )
    ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if ttl.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING") or ttl.get("AttributeName") != "expires_at":
        yield (
            f"table {table}: TTL is {ttl.get('TimeToLiveStatus')} on {ttl.get('AttributeName', 'no attribute')}; it "
            f"must be on expires_at; run: aws dynamodb update-time-to-live --table-name {table} "
            "--time-to-live-specification Enabled=true,AttributeName=expires_at"
        )


def endpoint_problems(mcp_url: str) -> Iterator[str]:
    """Problems of the data plane at `mcp_url`, which ends in /mcp/: its health, and its answer to a dead token."""
    yield from _expect("the MCP endpoint", mcp_url.removesuffix("mcp/") + "health", 200, "ok")
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    yield from _expect("the MCP endpoint, for an unknown token,", mcp_url + SAMPLE_TOKEN, 200, "expired", body=message)


def api_problems(admin_url: str, root_token: str) -> Iterator[str]:
    """Problems of the control plane at `admin_url`: it must refuse without an API token and accept the root token."""
    accounts = admin_url.removesuffix("/") + "/integrated-account"
    yield from _expect("the management API, without an API token,", accounts, 401, "")
    yield from _expect("the management API, with the root API token,", accounts, 200, "result", token=root_token)


def _expect(
    what: str, url: str, status: int, text: str, *, body: bytes | None = None, token: str = ""
) -> Iterator[str]:
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the stack's own URL
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            found, answer = response.status, response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        found, answer = error.code, error.read().decode(errors="replace")
    except OSError as error:
        yield f"{what} does not answer at {_host(url)} ({error}); read its log group"
        return
    if found != status or text not in answer:
        yield (
            f"{what} answers {found}, not {status}{f' with {text!r}' if text else ''}; read its log group "
            f"(the answer began: {answer[:200]})"
        )


def _host(url: str) -> str:
    return url.split("/")[2]


if __name__ == "__main__":
    sys.exit(main())
