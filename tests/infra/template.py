"""template.yaml as tests ask about it."""

from __future__ import annotations

from functions.gateway.json_text import Json
from infra.template import ROOT, load

__all__ = ["ROOT", "actions", "load", "statements"]


def statements(template: Json, role: str) -> list[Json]:
    """Every statement of a role's policies, or of one policy that stands for itself."""
    if template["Resources"][role]["Type"] == "AWS::IAM::Policy":
        return list(template["Resources"][role]["Properties"]["PolicyDocument"]["Statement"])
    policies = template["Resources"][role]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def actions(statement: Json) -> list[str]:
    """A statement's actions."""
    found = statement["Action"]
    return found if isinstance(found, list) else [found]
