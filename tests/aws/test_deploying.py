"""How prod is deployed, on a local CloudFormation: planned and executed, failed, put back, and removed."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.aws import standins
from tests.aws.conftest import Built, run
from tests.aws.test_deployed import BROKEN, outputs_of, ttl_on
from tests.mcp_endpoint.endpoint import legacy
from tests.patience import STUCK_SECONDS

pytestmark = pytest.mark.aws

DEAD = "This MCP URL is unknown, revoked or expired"


class Cloud:
    """A stand-in of a test's own, and the commands of an engineer in front of it."""

    def __init__(self, build: Path) -> None:
        self.endpoint = standins.start_ministack()
        self.build = build
        self.stacks = standins.client("cloudformation", self.endpoint)
        self.functions = standins.client("lambda", self.endpoint)

    def deploy(self, *words: str, build: Path | None = None) -> Any:
        variables = {"AWS_ENDPOINT_URL": self.endpoint, "POSTERN_BUILD": str(build or self.build)}
        return run("infra/deploy.sh", *words, **variables, **standins.CREDENTIALS)

    def destroy(self, environment: str) -> Any:
        command = [sys.executable, "-m", "infra.destroy", environment, "--yes", f"postern-{environment}"]
        return run(*command, AWS_ENDPOINT_URL=self.endpoint, **standins.CREDENTIALS)

    def answer(self) -> str:
        """What a caller with an unknown token reads at the URL of prod."""
        host = outputs_of(self.endpoint, "prod")["McpUrl"].removeprefix("https://").partition(".")[0]
        request = legacy("tools/list")
        url = f"{self.endpoint}/_aws/lambda-url/{host}/mcp/{'0' * 43}"
        return httpx.post(url, headers=dict(request.lines), content=request.body, timeout=STUCK_SECONDS).text

    def version(self) -> str:
        """The version of the MCP endpoint that serves."""
        [name] = [
            one["FunctionName"]
            for one in self.functions.list_functions()["Functions"]
            if one["FunctionName"].startswith("postern-prod-McpEndpoint")
        ]
        return str(self.functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"])

    def state(self) -> Any:
        return self.stacks.describe_stacks(StackName="postern-prod")["Stacks"][0]

    def artefacts(self) -> list[int]:
        """Sizes of all that deployments have uploaded."""
        s3 = standins.client("s3", self.endpoint)
        sizes = []
        for bucket in s3.list_buckets()["Buckets"]:
            versions = s3.list_object_versions(Bucket=bucket["Name"])
            sizes += [version["Size"] for version in versions.get("Versions", ())]
        return sizes


def copied(built: Built, folder: Path) -> Path:
    """A build with a template of its own, and the functions of another one."""
    folder.mkdir()
    for function in built.folder.iterdir():
        if function.is_dir():
            (folder / function.name).symlink_to(function)
    shutil.copyfile(built.folder / "template.yaml", folder / "template.yaml")
    return folder


def test_prod_is_planned_executed_put_back_and_removed_without_a_rest(built: Built, tmp_path: Path) -> None:
    cloud = Cloud(copied(built, tmp_path / "good"))

    # Nobody can answer, so nothing is built, uploaded or made.
    refused = cloud.deploy("prod")
    assert refused.returncode == 2
    assert "prod asks before it changes anything, and nobody can answer here; use --yes, or --plan" in refused.stderr
    assert cloud.artefacts() == []

    # Two steps.
    planned = cloud.deploy("prod", "--plan")
    assert planned.returncode == 0, planned.stderr
    [change_set] = re.findall(r"infra/deploy.sh prod --execute (arn:\S+)", planned.stdout)
    assert cloud.state()["StackStatus"] == "REVIEW_IN_PROGRESS"
    first = cloud.deploy("prod", "--execute", change_set)
    assert "postern-prod is CREATE_COMPLETE" in first.stdout, first.stderr
    assert first.returncode == 1
    assert "TTL is DISABLED" in first.stderr, "the stand-in drops the TTL, and a deployment without it has failed"
    assert cloud.state()["EnableTerminationProtection"] is True
    ttl_on(cloud.endpoint, outputs_of(cloud.endpoint, "prod")["Table"])
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in cloud.state()["Parameters"]}
    assert parameters["ManagementUrl"] + "/" == outputs_of(cloud.endpoint, "prod")["AdminUrl"]
    assert parameters["McpOrigin"] + "/mcp/" == outputs_of(cloud.endpoint, "prod")["McpUrl"]
    assert DEAD in cloud.answer()

    # A parameter of a function publishes a version; the same deployment again publishes none.
    changed = cloud.deploy("prod", "SlowMilliseconds=4000", "--yes")
    assert changed.returncode == 0, changed.stderr
    published = cloud.version()
    assert int(published) > 1
    same = cloud.deploy("prod", "SlowMilliseconds=4000", "--yes")
    assert (same.returncode, cloud.version()) == (0, published), same.stderr
    assert "No changes to deploy" in same.stdout
    assert "NextCommand" in same.stdout

    # A change that CloudFormation cannot make: the old version serves.
    broken = copied(built, tmp_path / "broken")
    text = (broken / "template.yaml").read_text()
    (broken / "template.yaml").write_text(text.replace("Resources:\n", BROKEN, 1))
    failed = cloud.deploy("prod", "--yes", build=broken)
    assert failed.returncode == 1
    assert "postern-prod is UPDATE_ROLLBACK_COMPLETE; the versions that served before serve on" in failed.stderr
    assert "Broken: " in failed.stderr
    assert DEAD in cloud.answer()

    # A change that can be made and does not work: the smoke test puts the old version back.
    useless = copied(built, tmp_path / "useless")
    (useless / "McpEndpoint").unlink()
    shutil.copytree(built.folder / "McpEndpoint", useless / "McpEndpoint")
    handler = useless / "McpEndpoint" / "functions" / "mcp_endpoint" / "handler.py"
    handler.write_text("raise RuntimeError('a fault of the new version')\n")
    for compiled in handler.parent.glob("__pycache__/handler.*.pyc"):
        compiled.unlink()
    before = cloud.version()
    failed = cloud.deploy("prod", "--yes", build=useless)
    assert failed.returncode == 1
    assert "postern-prod is UPDATE_COMPLETE" in failed.stdout
    assert "the MCP endpoint, for an unknown token, answers 5" in failed.stderr
    assert "the versions that served before the deployment serve again" in failed.stderr
    assert (DEAD in cloud.answer(), cloud.version()) == (True, before)
    repaired = cloud.deploy("prod", "--yes")
    assert repaired.returncode == 0, repaired.stderr
    assert cloud.version() != before

    # Nobody deletes it by accident, and one command removes it whole.
    with pytest.raises(cloud.stacks.exceptions.ClientError, match="TerminationProtection"):
        cloud.stacks.delete_stack(StackName="postern-prod")
    resources = cloud.stacks.describe_stack_resources(StackName="postern-prod")["StackResources"]
    [key] = [one["PhysicalResourceId"] for one in resources if one["ResourceType"] == "AWS::KMS::Key"]
    uploaded = sum(cloud.artefacts())
    assert uploaded > 1_000_000
    removed = cloud.destroy("prod")
    assert (removed.returncode, removed.stdout) == (0, "postern-prod: removed\n"), removed.stderr
    own = [size for size in cloud.artefacts() if size]
    assert sum(own) == 0, f"{sum(own)} of {uploaded} bytes are left"
    assert standins.client("dynamodb", cloud.endpoint).list_tables()["TableNames"] == []
    assert standins.client("logs", cloud.endpoint).describe_log_groups()["logGroups"] == []
    assert standins.client("kms", cloud.endpoint).describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == (
        "PendingDeletion"
    )


def test_a_deleted_stack_leaves_what_cannot_be_made_again(built: Built, tmp_path: Path) -> None:
    """The accident: somebody deletes the stack by hand."""
    cloud = Cloud(copied(built, tmp_path / "good"))
    made = cloud.deploy("ephemeral-kept", "Durable=true")
    assert made.returncode == 1
    resources = cloud.stacks.describe_stack_resources(StackName="postern-ephemeral-kept")["StackResources"]
    named = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}
    cloud.stacks.delete_stack(StackName="postern-ephemeral-kept")
    cloud.stacks.get_waiter("stack_delete_complete").wait(StackName="postern-ephemeral-kept")
    assert standins.client("dynamodb", cloud.endpoint).list_tables()["TableNames"] == [named["Table"]]
    logs = {one["logGroupName"] for one in standins.client("logs", cloud.endpoint).describe_log_groups()["logGroups"]}
    assert {named["McpEndpointLog"], named["AdminApiLog"]} <= logs
    key = standins.client("kms", cloud.endpoint).describe_key(KeyId=named["Key"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    assert cloud.destroy("ephemeral-kept").stdout == "postern-ephemeral-kept: removed\n"
    assert sum(cloud.artefacts()) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dev", "McpEndpointConcurrency=950"], "reserve 950, but the account can reserve 900 here"),
        (["dev", "EdgeLocations=true", "FunctionTimeoutSeconds=90"], "is at most 60 behind CloudFront"),
        (["dev", "DomainName=mcp.example.com"], "DomainName and CertificateArn belong together"),
    ],
    ids=["quota", "edge", "domain"],
)
def test_what_cannot_be_deployed_is_refused_before_anything_is_built(words: list[str], said: str) -> None:
    variables = {"AWS_ENDPOINT_URL": standins.ministack(), "POSTERN_BUILD": "/no/such/folder"}
    done = run("infra/deploy.sh", *words, **variables, **standins.CREDENTIALS)
    assert done.returncode == 2
    assert said in done.stderr
