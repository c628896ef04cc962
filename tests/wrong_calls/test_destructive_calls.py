"""A tool that destroys something never runs on a call that says nothing, whatever the integration and the pins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions.gateway import selection
from functions.gateway.errors import WrongArguments
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Failed
from tests.gateway import loopback
from tests.gateway.calling import call_once
from tests.gateway.loopback import Upstream
from tests.wrong_calls.scoring import loaded
from tool_catalog.catalog import Catalog, Tool
from tool_catalog.compiled_file import available

INTEGRATIONS = (*available(), "desk", "payments", "tracker")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with loopback.upstream() as running:
        yield running


def servers(catalog: Catalog) -> Iterator[ServerConfig]:
    yield ServerConfig()
    for name in catalog.pinnable:
        yield ServerConfig(pins={name: "one"})
    yield ServerConfig(fixed={tool.name: dict(tool.example) for tool in catalog.tools.values()})


def empty(tool: Tool) -> Iterator[dict[str, Json]]:
    """Calls that say nothing: no argument, and each argument that holds others without any."""
    yield {}
    schemas = tool.definition["inputSchema"]["properties"]
    for name, schema in schemas.items():
        if schema.get("type") == "object":
            yield {name: {}}
            yield {name: {"AND": []}}
        if schema.get("type") == "array":
            yield {name: []}
            yield {name: [{}]}


@pytest.mark.parametrize("integration", INTEGRATIONS)
def test_a_destructive_tool_does_not_run_on_an_empty_call(integration: str, upstream: Upstream) -> None:
    catalog = loaded(integration)
    seen = 0
    for config in servers(catalog):
        for tool in selection.visible(catalog, config):
            if not tool.destructive:
                continue
            for arguments in empty(tool):
                seen += 1
                outcome = call_once(catalog, upstream.origin, tool.name, arguments, config=config)
                assert isinstance(outcome, Failed), (config, tool.name, arguments)
                assert isinstance(outcome.failure, WrongArguments)
    assert seen
    assert upstream.requests == []


def test_a_tool_without_arguments_of_its_own_runs_once_it_is_confirmed(upstream: Upstream) -> None:
    tool = loaded("tracker").tools["delete_a_tracker_notification"]
    assert tool.example == {"all": True}
    assert tool.definition["inputSchema"]["required"] == ["all"]
    upstream.requests.clear()
    call_once(loaded("tracker"), upstream.origin, tool.name, {"all": True})
    [sent] = upstream.requests
    assert (sent.verb, sent.target, sent.body) == ("DELETE", "/user/notifications", b""), (
        "the confirmation is ours alone"
    )
