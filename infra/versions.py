"""Which published versions serve, and how the earlier ones serve again.

The URLs of both public functions belong to the alias `live`, which CloudFormation points to the version of the last
deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ALIAS = "live"


@dataclass(frozen=True, slots=True)
class Serving:
    """The versions behind the aliases of a stack: function -> version. `moved` says that a version is not the one of
    the last deployment, because a smoke test failed."""

    versions: Mapping[str, str]
    moved: bool


def serving(cloudformation: Any, functions: Any, stack: str) -> Serving:
    """What serves now. `functions` is a client of Lambda."""
    resources = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    there = [one for one in resources if one.get("PhysicalResourceId") and "DELETE" not in one["ResourceStatus"]]
    # A version's id is its ARN, whose last two parts are the function and the number.
    deployed = {
        tuple(one["PhysicalResourceId"].split(":")[-2:])
        for one in there
        if one["ResourceType"] == "AWS::Lambda::Version"
    }
    found: dict[str, str] = {}
    for one in there:
        if one["ResourceType"] == "AWS::Lambda::Alias":
            function = one["PhysicalResourceId"].split(":")[-2]
            found[function] = functions.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"]
    return Serving(found, any((function, version) not in deployed for function, version in found.items()))


def put_back(functions: Any, earlier: Serving) -> None:
    """Let the earlier versions serve all requests again."""
    for function, version in earlier.versions.items():
        functions.update_alias(
            FunctionName=function, Name=ALIAS, FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": {}}
        )
