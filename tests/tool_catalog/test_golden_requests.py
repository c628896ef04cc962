"""The exact upstream request of every tool's example. UPDATE_GOLDEN=1 rewrites the expectations.

New records are found by themselves: a tool without a golden file fails, and so does a golden file without a tool.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from functions.gateway import paging, requests
from tests.tool_catalog.conftest import GOLDEN
from tool_catalog import catalog, compiled_file
from tool_catalog.catalog import Catalog, Tool

REQUESTS = GOLDEN / "requests"
TOOLS = [
    (compiled_file.load(name), tool)
    for name in compiled_file.available()
    for tool in compiled_file.load(name).tools.values()
]


def example_request(loaded: Catalog, tool: Tool) -> dict[str, Any]:
    """The request of the tool's example, before a credential is attached.

    The account's context holds the examples of integration.yaml; a filter that only a pin can give is a pin on the
    first entity id of the integration.
    """
    arguments = dict(tool.example)
    if tool.needs_pin and isinstance(tool.pin, catalog.PinFilter):
        arguments[tool.pin.argument] = {loaded.pinnable[0]: "usr_98765"}
    context = {key: entry["example"] for key, entry in loaded.context.items()}
    request = requests.build(tool, arguments, loaded.base_url, context, paging.start(tool, arguments))
    body = request.body.decode() if request.body is not None else None
    if body is not None and tool.request.media_type == "application/json":
        body = json.loads(body)
    return {"method": request.verb, "url": request.url, "headers": dict(request.headers), "body": body}


@pytest.mark.parametrize(("loaded", "tool"), TOOLS, ids=[tool.name for _, tool in TOOLS])
def test_the_example_of_a_tool_sends_exactly_the_reviewed_request(loaded: Catalog, tool: Tool) -> None:
    path = REQUESTS / loaded.integration / f"{tool.name}.json"
    actual = json.dumps(example_request(loaded, tool), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(actual)
    assert path.is_file(), f"{path.name} is missing; UPDATE_GOLDEN=1 writes it for review"
    assert actual == path.read_text()


def test_every_reviewed_request_belongs_to_a_tool() -> None:
    expected = {Path(loaded.integration, f"{tool.name}.json") for loaded, tool in TOOLS}
    assert {path.relative_to(REQUESTS) for path in REQUESTS.glob("*/*.json")} == expected
