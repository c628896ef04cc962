"""`infra/deploy.sh` against a local CloudFormation, and the product used through the Function URLs that come of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.gateway.grants import digest, write_time
from functions.gateway.json_text import Json
from functions.stores import layout
from functions.stores.dynamodb import DynamoStore
from tests.aws import standins
from tests.aws.conftest import Built, run
from tests.patience import STUCK_SECONDS, until

pytestmark = pytest.mark.aws

"""The stand-in looks at its schedules every 10 s; AWS promises the minute."""


@dataclass(frozen=True)
class Deployed:
    """One environment on the stand-in."""

    endpoint: str
    build: str
    outputs: dict[str, str]
    root_token: str

    @property
    def variables(self) -> dict[str, str]:
        """What a shell has that is logged in to AWS, but to the stand-in."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "POSTERN_BUILD": self.build, **standins.CREDENTIALS}

    @property
    def mcp_url(self) -> str:
        """Where the data plane's Function URL answers on this machine; ends in /mcp/."""
        return self.local(self.outputs["McpUrl"])

    @property
    def admin_url(self) -> str:
        return self.local(self.outputs["AdminUrl"]).removesuffix("/")

    def local(self, url: str) -> str:
        host, _, path = url.removeprefix("https://").partition("/")
        return f"{self.endpoint}/_aws/lambda-url/{host.partition('.')[0]}/{path}"

    def api(self, verb: str, path: str, body: Json = None, token: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {token or self.root_token}"}
        return httpx.request(verb, self.admin_url + path, headers=headers, json=body, timeout=STUCK_SECONDS)

    def store(self) -> DynamoStore:
        return DynamoStore(self.outputs["Table"], client=standins.client("dynamodb", self.endpoint))


def ttl_on(endpoint: str, table: str) -> None:
    """The stand-in drops the TTL of a table when it deploys it."""
    standins.client("dynamodb", endpoint).update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )


def outputs_of(endpoint: str, environment: str) -> dict[str, str]:
    [stack] = standins.client("cloudformation", endpoint).describe_stacks(StackName=f"postern-{environment}")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def deploy(endpoint: str, build: str, environment: str, *parameters: str) -> Deployed:
    """A new environment. Its first deployment fails for the TTL that the stand-in has dropped, and for nothing else."""
    variables = {"AWS_ENDPOINT_URL": endpoint, "POSTERN_BUILD": build, **standins.CREDENTIALS}
    done = run("infra/deploy.sh", environment, *parameters, **variables)
    outputs = outputs_of(endpoint, environment)
    assert done.returncode == 1, done.stdout[-4000:] + done.stderr[-4000:]
    assert f"postern-{environment}: 1 problem\n" in done.stdout, done.stderr
    assert f"table {outputs['Table']}: TTL is DISABLED on no attribute; it must be on expires_at" in done.stderr
    assert "infra/deploy.sh: the smoke test failed; there is no earlier version that could serve\n" in done.stderr
    ttl_on(endpoint, outputs["Table"])
    secrets = standins.client("secretsmanager", endpoint)
    root = secrets.get_secret_value(SecretId=outputs["RootApiTokenSecret"])["SecretString"]
    deployed = Deployed(endpoint, build, outputs, root)
    # A laptop's loopback is no upstream for a deployment, and nobody resolves its host names: say otherwise here, and
    # here only, in the functions' variables and not in the template.
    functions = standins.client("lambda", endpoint)
    for listed in functions.list_functions()["Functions"]:
        if listed["FunctionName"].startswith(f"postern-{environment}-"):
            known = listed["Environment"]["Variables"] | {"POSTERN_PRIVATE_UPSTREAMS": "true"}
            if "POSTERN_PUBLIC_URL" in known:
                known["POSTERN_PUBLIC_URL"] = deployed.local(known["POSTERN_PUBLIC_URL"] + "/").removesuffix("/")
            functions.update_function_configuration(
                FunctionName=listed["FunctionName"], Environment={"Variables": known}
            )
            for alias in functions.list_aliases(FunctionName=listed["FunctionName"])["Aliases"]:
                published = functions.publish_version(FunctionName=listed["FunctionName"])["Version"]
                functions.update_alias(
                    FunctionName=listed["FunctionName"], Name=alias["Name"], FunctionVersion=published
                )
    return deployed


@pytest.fixture(scope="module")
def cloud() -> str:
    """A stand-in of this module's own: its stacks are nobody else's."""
    return standins.start_ministack()


@pytest.fixture(scope="module")
def deployed(built: Built, cloud: str) -> Deployed:
    return deploy(cloud, str(built.folder), "dev")


@pytest.fixture
def account(deployed: Deployed, upstream: str) -> Iterator[str]:
    body = {"integration": "mem0", "credentials": {"api_key": "m0-any"}, "base_url": upstream}
    connected = deployed.api("POST", "/integrated-account", body)
    assert connected.status_code == 201, connected.text
    yield connected.json()["id"]
    deployed.api("DELETE", f"/integrated-account/{connected.json()['id']}")


def test_the_demo_runs_through_the_deployed_endpoint(deployed: Deployed, account: str) -> None:
    """Mint, list, add, poll, search, history, a refused write, a server's end, tidying up: by the official client."""
    options = ["--endpoint", deployed.admin_url, "--account", account]
    done = run(sys.executable, "-m", "functions.cli", "demo", *options, POSTERN_API_TOKEN=deployed.root_token)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "steps passed" in done.stdout


def test_a_minted_url_starts_with_the_function_url_and_the_token_is_nowhere_but_in_it(
    deployed: Deployed, account: str
) -> None:
    minted = deployed.api("POST", f"/integrated-account/{account}/mcp", {"name": "here"}).json()
    assert minted["url"] == deployed.mcp_url + minted["token"]
    items = deployed.store().get([layout.token(digest(minted["token"])), layout.server(account, minted["id"])])
    assert None not in items
    assert minted["token"] not in json.dumps([item.body for item in items if item])


def test_an_expired_server_is_refused_at_the_second_and_purged_by_its_schedule(
    deployed: Deployed, account: str
) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    body = {"name": "short", "expires_at": write_time(ends)}
    minted = deployed.api("POST", f"/integrated-account/{account}/mcp", body).json()
    schedules = standins.client("scheduler", deployed.endpoint)
    assert [s["Name"] for s in schedules.list_schedules(GroupName="postern-dev")["Schedules"]] == [minted["id"]]

    def ping() -> tuple[int, datetime]:
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        answer = httpx.post(minted["url"], json=message, timeout=STUCK_SECONDS)
        return answer.json().get("error", {}).get("code", answer.status_code), datetime.now(UTC)

    assert ping()[0] == 200
    while datetime.now(UTC) < ends:
        asked = datetime.now(UTC)
        status, answered = ping()
        assert status == 200 or answered >= ends, (asked, answered)
    assert ping()[0] == 40401
    keys = [layout.server(account, minted["id"]), layout.token(digest(minted["token"]))]
    until(lambda: deployed.store().get(keys) == [None, None], "the schedule has run")
    until(lambda: schedules.list_schedules(GroupName="postern-dev")["Schedules"] == [], "the schedule is gone")


def test_a_removed_server_leaves_no_schedule(deployed: Deployed, account: str) -> None:
    body = {"name": "gone soon", "expires_at": "2031-01-01T00:00:00Z"}
    minted = deployed.api("POST", f"/integrated-account/{account}/mcp", body).json()
    schedules = standins.client("scheduler", deployed.endpoint)
    assert schedules.get_schedule(GroupName="postern-dev", Name=minted["id"])
    deployed.api("DELETE", f"/integrated-account/{account}/mcp/{minted['id']}")
    with pytest.raises(schedules.exceptions.ResourceNotFoundException):
        schedules.get_schedule(GroupName="postern-dev", Name=minted["id"])


def smoke(deployed: Deployed, environment: str = "dev") -> Any:
    return run(sys.executable, "-m", "infra.smoke", environment, **deployed.variables)


def test_the_smoke_test_names_a_missing_ttl_with_the_command_that_sets_it_and_passes_then(deployed: Deployed) -> None:
    """The stand-in drops a table's TTL when it deploys, which is just the mistake to be found."""
    table = deployed.outputs["Table"]
    standins.client("dynamodb", deployed.endpoint).update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at"}
    )
    first = smoke(deployed)
    assert first.returncode == 1
    assert f"table {table}: TTL is DISABLED on expires_at; it must be on expires_at" in first.stderr
    assert "aws dynamodb update-time-to-live --table-name" in first.stderr
    assert "1 problem\n" in first.stdout
    ttl_on(deployed.endpoint, table)
    second = smoke(deployed)
    assert (second.returncode, second.stdout, second.stderr) == (0, "postern-dev: no problems\n", "")


def test_the_smoke_test_of_an_environment_that_is_not_there_says_so(deployed: Deployed) -> None:
    done = smoke(deployed, "staging")
    assert done.returncode == 1
    assert "postern-staging" in done.stderr


def test_two_environments_share_no_name_and_one_goes_without_the_other(
    deployed: Deployed, built: Built, cloud: str
) -> None:
    other = deploy(cloud, str(built.folder), "ephemeral-ci-1", "McpEndpointConcurrency=5")
    stacks = standins.client("cloudformation", cloud)

    def names(stack: str) -> set[str]:
        resources = stacks.describe_stack_resources(StackName=stack)["StackResources"]
        return {resource["PhysicalResourceId"] for resource in resources}

    assert len(names("postern-dev")) == len(names("postern-ephemeral-ci-1"))
    assert not names("postern-dev") & names("postern-ephemeral-ci-1")
    assert other.root_token != deployed.root_token
    assert other.api("GET", "/integrated-account").status_code == 200
    assert other.api("GET", "/integrated-account", token=deployed.root_token).status_code == 401

    refused = run(sys.executable, "-m", "infra.destroy", "ephemeral-ci-1", "--yes", "postern-dev", **deployed.variables)
    assert refused.returncode == 1
    assert '"postern-dev" is not "postern-ephemeral-ci-1"; nothing was removed' in refused.stderr
    command = [sys.executable, "-m", "infra.destroy", "ephemeral-ci-1", "--yes", "postern-ephemeral-ci-1"]
    assert run(*command, **deployed.variables).stdout == "postern-ephemeral-ci-1: removed\n"
    assert run(*command, **deployed.variables).stdout == "postern-ephemeral-ci-1 does not exist\n"
    assert deployed.api("GET", "/integrated-account").status_code == 200


BROKEN = """Resources:
  Broken:
    Type: AWS::Lambda::Url
    DependsOn: [Table, McpEndpoint]
    Properties: {AuthType: NONE, TargetFunctionArn: no-such-function}
"""


def test_a_half_deployed_stack_goes_with_one_command(
    deployed: Deployed, built: Built, cloud: str, tmp_path: Path
) -> None:
    """A resource that cannot be made, after others that were."""
    for function in built.folder.iterdir():
        if function.is_dir():
            (tmp_path / function.name).symlink_to(function)
    template = (built.folder / "template.yaml").read_text()
    (tmp_path / "template.yaml").write_text(template.replace("Resources:\n", BROKEN, 1))
    broken = run("infra/deploy.sh", "ephemeral-half", **{**deployed.variables, "POSTERN_BUILD": str(tmp_path)})
    assert broken.returncode != 0
    [stack] = standins.client("cloudformation", cloud).describe_stacks(StackName="postern-ephemeral-half")["Stacks"]
    assert stack["StackStatus"] in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED")
    command = [sys.executable, "-m", "infra.destroy", "ephemeral-half", "--yes", "postern-ephemeral-half"]
    assert run(*command, **deployed.variables).stdout == "postern-ephemeral-half: removed\n"


def test_a_durable_table_is_protected_and_still_goes_with_the_environment(
    deployed: Deployed, built: Built, cloud: str
) -> None:
    durable = deploy(cloud, str(built.folder), "ephemeral-durable", "Durable=true")
    dynamodb = standins.client("dynamodb", cloud)
    dynamodb.update_table(TableName=durable.outputs["Table"], DeletionProtectionEnabled=True)
    command = [sys.executable, "-m", "infra.destroy", "ephemeral-durable", "--yes", "postern-ephemeral-durable"]
    assert run(*command, **deployed.variables).returncode == 0
    assert durable.outputs["Table"] not in dynamodb.list_tables()["TableNames"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["production"], 'unknown environment "production"; usage: infra/deploy.sh dev|staging|prod|ephemeral-NAME'),
        (["dev", "Durable"], '"Durable" is not Parameter=value'),
        ([], "usage: infra/deploy.sh dev|staging|prod|ephemeral-NAME"),
    ],
    ids=["environment", "parameter", "nothing"],
)
def test_a_wrong_command_line_deploys_nothing_and_says_what_is_right(arguments: list[str], said: str) -> None:
    done = run("infra/deploy.sh", *arguments)
    assert done.returncode != 0
    assert said in done.stderr
