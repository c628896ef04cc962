"""The data plane in a second region, on a replica of the table, as docs/deploy.md says; the stand-in replicates."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.aws import standins
from tests.aws.conftest import Built, run
from tests.aws.test_deployed import Deployed, deploy
from tests.aws.test_restore import aws, commands
from tests.mcp_endpoint.endpoint import legacy
from tests.patience import STUCK_SECONDS, until

pytestmark = pytest.mark.aws

HERE, THERE = standins.REGION, "eu-central-1"


@pytest.fixture(scope="module")
def deployed(built: Built) -> Deployed:
    return deploy(standins.start_ministack(), str(built.folder), "staging")


def listed(url: str) -> int:
    """How many tools a URL lists; 0 for a dead one."""
    request = legacy("tools/list")
    answer = httpx.post(url, headers=dict(request.lines), content=request.body, timeout=STUCK_SECONDS).json()
    return len(answer["result"]["tools"]) if "result" in answer else 0


def replicated(url: str, *, alive: bool) -> None:
    """Wait until the replica knows it; replication has no promised time."""
    until(lambda: (listed(url) > 0) is alive, "the replica knows it")


def test_a_url_opens_in_a_further_region_that_has_no_control_plane(deployed: Deployed, upstream: str) -> None:
    table = deployed.outputs["Table"]
    walk = commands("regions", HOME_REGION=HERE, REGION=THERE, TABLE=table, ENVIRONMENT="staging")
    for words in walk[:-1]:
        aws(deployed.endpoint, words)
    [*variables, command, environment, existing, plane, yes] = walk[-1]
    there = {**deployed.variables, **dict(one.split("=") for one in variables)}
    done = run(command, environment, existing, plane, yes, **there)
    cloud: Any = standins.client("cloudformation", deployed.endpoint, region=THERE)
    [stack] = cloud.describe_stacks(StackName="postern-staging")["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    assert "AdminUrl" not in outputs
    kinds = {
        one["LogicalResourceId"]
        for one in cloud.describe_stack_resources(StackName="postern-staging")["StackResources"]
    }
    assert not kinds & {"AdminApi", "Purge", "Key", "RootApiToken", "Table", "ScheduleGroup"}
    assert outputs["Table"] == table
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    body = {"integration": "mem0", "credentials": {"api_key": "m0-any"}, "base_url": upstream}
    account = deployed.api("POST", "/integrated-account", body).json()["id"]
    minted = deployed.api("POST", f"/integrated-account/{account}/mcp", {"name": "everywhere"}).json()
    host = outputs["McpUrl"].removeprefix("https://").partition(".")[0]
    other = f"{deployed.endpoint}/_aws/lambda-url/{host}/mcp/{minted['token']}"
    replicated(other, alive=True)
    assert listed(other) == listed(minted["url"]) > 10
    deployed.api("DELETE", f"/integrated-account/{account}/mcp/{minted['id']}")
    replicated(other, alive=False)
    assert json.dumps(outputs).count(THERE) >= 1
