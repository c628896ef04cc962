"""What SAM makes of the template's versions: the official translator, with the parameters of a deployment."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.aws import standins

pytestmark = pytest.mark.aws

TRANSLATE = """
import json, os, sys
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
template = yaml_parse(open("template.yaml").read())
del template["Globals"]["Function"]["CodeUri"]
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/key"

class Policies:
    def load(self):
        return {"AWSCodeDeployRoleForLambda": "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"}

print(json.dumps(transform(template, json.loads(sys.argv[1]), Policies())["Resources"]))
"""


def resources(**parameters: str) -> dict[str, Any]:
    """The resources that CloudFormation gets, for these parameters."""
    command = [str(standins.tool("standins/bin/python")), "-c", TRANSLATE, json.dumps(parameters)]
    done = subprocess.run(command, cwd=standins.ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def versions(found: dict[str, Any]) -> set[str]:
    return {name for name, entry in found.items() if entry["Type"] == "AWS::Lambda::Version"}


def test_another_revision_is_another_version_of_both_public_functions_and_the_same_one_is_not() -> None:
    first, again, second = (resources(Revision=revision) for revision in ("r1", "r1", "r2"))
    assert versions(first) == versions(again)
    assert len(versions(first) | versions(second)) == 4
    for function in ("McpEndpoint", "AdminApi"):
        assert first[f"{function}Url"]["Properties"]["TargetFunctionArn"] == {"Ref": f"{function}Aliaslive"}
        [version] = {name for name in versions(first) if name.startswith(function)}
        assert first[version]["DeletionPolicy"] == "Retain", "an earlier version can serve again"


def test_a_canary_is_rolled_back_by_the_alarms_and_there_is_none_without_the_parameter() -> None:
    assert not [one for one in resources().values() if one["Type"].startswith("AWS::CodeDeploy::")]
    found = resources(Canary="Canary10Percent5Minutes", Revision="r1")
    for function, alarms in (
        ("McpEndpoint", ["ServerErrors", "McpEndpoint5xx", "McpEndpointErrors"]),
        ("AdminApi", ["ServerErrors", "AdminApiErrors"]),
    ):
        group = found[f"{function}DeploymentGroup"]["Properties"]
        assert group["AlarmConfiguration"]["Alarms"] == [{"Name": {"Ref": alarm}} for alarm in alarms]
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert "Canary10Percent5Minutes" in json.dumps(group["DeploymentConfigName"])
        assert "CodeDeployLambdaAliasUpdate" in found[f"{function}Aliaslive"]["UpdatePolicy"]
    assert found["AdminApiDeploymentGroup"]["Condition"] == "HasControlPlane"
