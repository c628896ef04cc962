"""What a tool makes of the upstream's documented answer, through the whole call line. UPDATE_GOLDEN=1 rewrites.

The answers stand in the records (`example.response`); a record that gains one is found by itself. Each result must also
keep the tool's output schema, as official clients check it.
"""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest

from functions.gateway.call import run
from functions.gateway.credentials import Credential
from functions.gateway.grants import ServerConfig, Target
from functions.gateway.outcomes import Done, ToolCall
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from tests.tool_catalog.conftest import GOLDEN
from tool_catalog import compiled_file, naming
from tool_catalog.catalog import Catalog, Tool
from tool_catalog.folders import PACKAGE
from tool_catalog.record_folder import read_folder

RESULTS = GOLDEN / "results"


def documented() -> list[tuple[Catalog, Tool, Any]]:
    """Every tool whose record holds an upstream answer, and that answer."""
    found = []
    for name in compiled_file.available():
        records, problems = read_folder(PACKAGE.records / name)
        assert records is not None, problems
        loaded = compiled_file.load(name)
        for resource in records.resources:
            for method, record in resource.record.methods.items():
                if record.example.response is not None:
                    tool = record.name or naming.tool_name(
                        name, resource.record.resource, method, resource.record.singular
                    )
                    found.append((loaded, loaded.tools[tool], record.example.response))
    return found


DOCUMENTED = documented()


class Answers(Sender):
    """A sender that answers every request with one document."""

    def __init__(self, document: Any) -> None:
        super().__init__(Settings())
        self.document = document

    def __post_init__(self) -> None:
        super().__init__(Settings())

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        """The document, with status 200."""
        return UpstreamResponse(200, {"content-type": "application/json"}, json.dumps(self.document).encode())


def result(loaded: Catalog, tool: Tool, response: Any) -> dict[str, Any]:
    """The body of the tool's example call; a tool that needs a pin gets one on the first entity id."""
    pins = {loaded.pinnable[0]: "usr_98765"} if tool.needs_pin else {}
    target = Target(
        account_id="acc_1",
        integration=loaded.integration,
        base_url=loaded.base_url,
        context={key: entry["example"] for key, entry in loaded.context.items()},
        config=ServerConfig(pins=pins),
        credential=Credential(dict.fromkeys(loaded.credentials, "secret")),
    )
    asked = ToolCall(tool.name, tool.example, datetime(2026, 11, 20, tzinfo=UTC), deadline=0.0)
    outcome = asyncio.run(run(asked, target, loaded, sender=Answers(response), settings=Settings()))
    assert isinstance(outcome, Done), outcome
    return outcome.body


@pytest.mark.parametrize(("loaded", "tool", "response"), DOCUMENTED, ids=[f"{tool.name}" for _, tool, _ in DOCUMENTED])
def test_the_documented_answer_becomes_the_reviewed_result(loaded: Catalog, tool: Tool, response: Any) -> None:
    body = result(loaded, tool, response)
    path = RESULTS / loaded.integration / f"{tool.name}.json"
    actual = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(actual)
    assert actual == path.read_text()
    jsonschema_rs.Draft202012Validator(dict(tool.definition["outputSchema"])).validate(body)


def test_every_reviewed_result_belongs_to_a_record_with_an_answer() -> None:
    expected = {f"{loaded.integration}/{tool.name}.json" for loaded, tool, _ in DOCUMENTED}
    assert {path.relative_to(RESULTS).as_posix() for path in RESULTS.glob("*/*.json")} == expected
