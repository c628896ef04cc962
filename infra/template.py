"""template.yaml as plain data: short intrinsic functions become their long forms, {"Ref": ...}, {"Fn::Sub": ...}."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

Json = Any

ROOT = Path(__file__).parents[1]


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
    return yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader with one constructor more
