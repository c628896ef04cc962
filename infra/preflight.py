"""What can be known about a deployment before it is built: credentials, region, state of the stack, quota.

The questions are asked at once and each has one try, so that the check takes no longer than its slowest answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from infra.environments import Environment, broken_rules

Json = Any

CONNECT_SECONDS, READ_SECONDS = 2, 15
"""Longest waits of one question. An answer takes some 100 ms from anywhere; a stand-in that starts takes longer."""

UNRESERVED = 100
"""Concurrency that AWS keeps unreserved in an account; a new account has 10 in all and can reserve nothing."""

MAX_CODE_SHARE = 0.95
"""Share of the code storage of a region (75 GB) above which a deployment is refused; published versions fill it."""

STUCK = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
"""States that CloudFormation updates no more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is there. `state` is None without a stack; `parameters` are those of the last deployment."""

    state: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def check(environment: Environment) -> Found:
    """Ask AWS, with the credentials and the region of the shell."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    session = boto3.Session()
    problems = []
    if not session.region_name:
        problems.append("no AWS region is set; export AWS_REGION and AWS_DEFAULT_REGION, e.g. eu-central-1")
    if session.get_credentials() is None:
        problems.append("no AWS credentials were found; log in, e.g. with aws sso login, or export AWS_PROFILE")
    if problems:
        return Found(problems=tuple(problems))
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    clients = {service: session.client(service, config=config) for service in ("sts", "cloudformation", "lambda")}
    questions: dict[str, Callable[[], Json]] = {
        "credentials": clients["sts"].get_caller_identity,
        "the stack": lambda: _described(clients["cloudformation"], environment.stack),
        "the quota": clients["lambda"].get_account_settings,
    }
    answers: dict[str, Json] = {}
    with ThreadPoolExecutor(len(questions)) as threads:
        asked = {about: threads.submit(question) for about, question in questions.items()}
        for about, answer in asked.items():
            try:
                answers[about] = answer.result()
            except (BotoCoreError, ClientError) as error:
                problems.append(f"{about}: {error}")
    for client in clients.values():
        client.close()
    if problems:
        return Found(problems=tuple(problems))
    stack = answers["the stack"]
    previous = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", ())}
    state = stack.get("StackStatus")
    parameters = environment.effective(previous)
    found = [*_state_problems(environment, state), *broken_rules(parameters)]
    return Found(state, previous, (*found, *_quota_problems(parameters, previous, answers["the quota"])))


def _described(cloudformation: Any, stack: str) -> Json:
    """The stack as CloudFormation describes it, {} without one."""
    from botocore.exceptions import ClientError

    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return {}
        raise


def _state_problems(environment: Environment, state: str | None) -> list[str]:
    if state in STUCK:
        return [f"{environment.stack} is {state}; remove it with: make destroy ENV={environment.name}"]
    if state == "UPDATE_ROLLBACK_FAILED":
        return [
            f"{environment.stack} is {state}; run: aws cloudformation continue-update-rollback --stack-name "
            f"{environment.stack}"
        ]
    if state is not None and state.endswith("_IN_PROGRESS") and state != "REVIEW_IN_PROGRESS":
        return [f"{environment.stack} is {state}; wait until that ends, and deploy again"]
    return []


def _quota_problems(parameters: Mapping[str, str], previous: Mapping[str, str], settings: Json) -> list[str]:
    names = ("McpEndpointConcurrency", "AdminApiConcurrency")
    wanted, has = (sum(max(0, int(values.get(name, -1))) for name in names) for values in (parameters, previous))
    limit = settings["AccountLimit"]
    free = limit["UnreservedConcurrentExecutions"] + has - UNRESERVED
    problems = []
    if wanted > max(0, free):
        problems.append(
            f"{' and '.join(names)} reserve {wanted}, but the account can reserve {max(0, free)} here: it has "
            f"{limit['ConcurrentExecutions']}, and {UNRESERVED} stay unreserved. Ask AWS for a higher quota, or pass "
            "lower values (-1 reserves nothing)"
        )
    used = settings.get("AccountUsage", {}).get("TotalCodeSize", 0) / limit["TotalCodeSize"]
    if used > MAX_CODE_SHARE:
        problems.append(f"{used:.0%} of the code storage of this region is used; delete old versions of functions")
    return problems
