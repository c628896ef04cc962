"""The runbooks of docs/deploy.md, run as they are written, on a stand-in that keeps its tables' history."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from functions.gateway.grants import digest
from functions.stores import layout
from tests.aws import standins
from tests.aws.conftest import Built, run
from tests.aws.test_deployed import Deployed, deploy, outputs_of

pytestmark = pytest.mark.aws


def commands(runbook: str, **names: str) -> list[list[str]]:
    """The commands of a runbook, with values for its variables."""
    page = (standins.ROOT / "docs" / "deploy.md").read_text()
    found = re.search(rf"<!-- {runbook}: .*? -->\n```sh\n(.*?)```\n<!-- /{runbook} -->", page, re.S)
    assert found is not None
    text = re.sub(r"\$([A-Z_]+)", lambda name: names[name[1]], found[1])
    return [shlex.split(line) for line in text.splitlines()]


def aws(endpoint: str, words: list[str]) -> Any:
    """One command of the AWS command line, by the API that it calls: the rules of its options are regular."""
    _, service, operation, *options = words
    region = standins.REGION
    if "--region" in options:
        at = options.index("--region")
        region = options[at + 1]
        del options[at : at + 2]
    client = standins.client(service, endpoint, region=region)
    if operation == "wait":
        waited, *options = options
        client.get_waiter(waited.replace("-", "_")).wait(**_members(options))
        return None
    return getattr(client, operation.replace("-", "_"))(**_members(options))


def _members(options: list[str]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for option in options:
        if option.startswith("--"):
            name = "".join(part.capitalize() for part in option[2:].split("-"))
            members[name] = True
        else:
            members[name] = _value(option)
    return members


def _value(text: str) -> Any:
    """A value, a number, or an object in the shorthand of the command line."""
    if re.fullmatch(r"\w+=\w+(,\w+=\w+)*", text):
        pairs = dict(part.split("=") for part in text.split(","))
        return {name: {"true": True, "false": False}.get(value, value) for name, value in pairs.items()}
    if nested := re.fullmatch(r"(\w+)=\{(\w+)=([\w-]+)\}", text):
        return [{nested[1]: {nested[2]: nested[3]}}]
    return int(text) if text.isdigit() else text


@pytest.fixture(scope="module")
def deployed(built: Built) -> Deployed:
    return deploy(standins.start_ministack(), str(built.folder), "staging")


@pytest.fixture
def account(deployed: Deployed, upstream: str) -> str:
    body = {"integration": "mem0", "credentials": {"api_key": "m0-any"}, "base_url": upstream}
    return str(deployed.api("POST", "/integrated-account", body).json()["id"])


def reached(deployed: Deployed, token: str) -> bool:
    """True when the token opens its grant in the table of the deployment."""
    return deployed.store().get([layout.token(digest(token))]) != [None]


def test_a_restored_table_is_attached_and_serves_what_was_minted(
    deployed: Deployed, account: str, built: Built
) -> None:
    """Walks through the runbook: the table is lost, its history is not."""
    minted = deployed.api("POST", f"/integrated-account/{account}/mcp", {"name": "before"}).json()
    old, restored = deployed.outputs["Table"], "postern-staging-restored"
    walk = commands("restore", TABLE=old, RESTORED=restored, ENVIRONMENT="staging")
    aws(
        deployed.endpoint,
        shlex.split(
            f"aws dynamodb update-continuous-backups --table-name {old} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
        ),
    )
    assert [words[:3] for words in walk[:-1]] == [
        ["aws", "dynamodb", operation]
        for operation in (
            "restore-table-to-point-in-time",
            "wait",
            "update-time-to-live",
            "update-continuous-backups",
            "update-table",
        )
    ]
    for words in walk[:-1]:
        aws(deployed.endpoint, words)
    done = run(*walk[-1], **deployed.variables)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert outputs_of(deployed.endpoint, "staging")["Table"] == restored
    attached = Deployed(
        deployed.endpoint, deployed.build, outputs_of(deployed.endpoint, "staging"), deployed.root_token
    )
    assert reached(attached, minted["token"])
    listed = attached.api("GET", f"/integrated-account/{account}/mcp").json()
    assert minted["id"] in str(listed)
    tables = standins.client("dynamodb", deployed.endpoint).list_tables()["TableNames"]
    assert {old, restored} <= set(tables), "the old table stays until somebody deletes it"


def test_a_rotated_root_token_is_the_only_one(deployed: Deployed, wait_out_the_cache: Callable[[], None]) -> None:
    secret = outputs_of(deployed.endpoint, "staging")["RootApiTokenSecret"]
    [ask, _] = commands("rotate", SECRET=secret, PASSWORD="unused")
    password = aws(deployed.endpoint, ask)["RandomPassword"]
    assert re.fullmatch(r"[A-Za-z0-9]{43}", password)
    [_, put] = commands("rotate", SECRET=secret, PASSWORD=password)
    aws(deployed.endpoint, put)
    wait_out_the_cache()
    assert deployed.api("GET", "/integrated-account", token=password).status_code == 200
    assert deployed.api("GET", "/integrated-account", token=deployed.root_token).status_code == 401


@pytest.fixture
def wait_out_the_cache(deployed: Deployed) -> Callable[[], None]:
    """New versions of the function, which have read no token yet, as the runbook says for a token that has leaked."""

    def waited() -> None:
        done = run("infra/deploy.sh", "staging", "LogLevel=WARNING", **deployed.variables)
        assert done.returncode == 0, done.stderr

    return waited
