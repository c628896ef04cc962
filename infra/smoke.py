"""Check a deployment from outside: its table, then its functions. Changes nothing. The last step of a deployment.

    python -m infra.smoke ENVIRONMENT

Uses the AWS credentials and the region of the shell. With AWS_ENDPOINT_URL, which names a stand-in, the requests go
there too, with the host name of the function in the Host header. Exit code 1 when anything is wrong; each line says
what to do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Json = Any

TIMEOUT_SECONDS = 30
"""Limit of one request. The first request after a deployment starts a function."""

ATTEMPTS, WAIT_SECONDS = 3, 5
"""Tries of the functions, and the wait between them: a new role or host name is not known everywhere at once."""

SAMPLE_TOKEN = "0" * 43
"""Has the form of a token, but opens nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one environment and return the exit code."""
    parser = argparse.ArgumentParser(prog="smoke.py", description="Check a deployment from outside.")
    parser.add_argument("environment", help="dev, staging, prod or ephemeral-NAME")
    stack = f"postern-{parser.parse_args(arguments).environment}"
    found = problems(stack)
    report(stack, found)
    return 1 if found else 0


def problems(stack: str, sleep: Callable[[float], None] = time.sleep) -> list[str]:
    """Everything that is wrong with the deployment."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        outputs = read_outputs(boto3.client("cloudformation"), stack)
        of_the_table = list(table_problems(boto3.client("dynamodb"), outputs["Table"]))
        token = ""
        if secret := outputs.get("RootApiTokenSecret"):
            token = boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
        for attempt in range(ATTEMPTS):
            found = [
                *endpoint_problems(outputs["McpUrl"]),
                *edge_problems(outputs.get("McpFunctionUrl")),
                *api_problems(outputs.get("AdminUrl"), token),
            ]
            if not found or attempt == ATTEMPTS - 1:
                break
            sleep(WAIT_SECONDS)
        return [*of_the_table, *found]
    except (BotoCoreError, ClientError) as error:
        return [f"{stack}: {error}"]
    except KeyError as missing:
        return [f"{stack} has no output {missing}; finish the deployment: infra/deploy.sh {stack[8:]}"]


def report(stack: str, found: Sequence[str]) -> None:
    """Print the problems and how many there are."""
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"{stack}: {len(found) or 'no'} problem{'' if len(found) == 1 else 's'}")


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
    """Problems of the data plane at `mcp_url`, which ends in /mcp/: it must look an unknown token up, and refuse it."""
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    yield from _expect(
        "the MCP endpoint, for an unknown token,", mcp_url + SAMPLE_TOKEN, 200, "revoked or expired", body=message
    )


def edge_problems(function_url: str | None) -> Iterator[str]:
    """Problems of the way around CloudFront, None without CloudFront: it must be closed."""
    if function_url is not None:
        what = "the MCP endpoint, for a request around CloudFront,"
        yield from _expect(what, f"{function_url}mcp/{SAMPLE_TOKEN}", 403, "through its own domain", body=b"{}")


def api_problems(admin_url: str | None, root_token: str) -> Iterator[str]:
    """Problems of the control plane at `admin_url`, None where there is none: it must refuse without an API token and
    accept the root token."""
    if admin_url is None:
        return
    accounts = admin_url.removesuffix("/") + "/integrated-account"
    yield from _expect("the management API, without an API token,", accounts, 401, "")
    yield from _expect("the management API, with the root API token,", accounts, 200, "result", token=root_token)


def _expect(
    what: str, url: str, status: int, text: str, *, body: bytes | None = None, token: str = ""
) -> Iterator[str]:
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if standin := os.environ.get("AWS_ENDPOINT_URL"):
        headers["host"] = _host(url)
        url = standin + url.removeprefix(f"https://{_host(url)}")
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
