"""template.yaml as plain data: short intrinsic functions become their long forms, {"Ref": ...}, {"Fn::Sub": ...}."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

from functions.gateway.json_text import Json

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    pass


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Json:
    value: Json
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@functools.cache
def load(path: Path = ROOT / "template.yaml") -> Json:
    """The template."""
    return yaml.load(path.read_text(), _Loader)


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
