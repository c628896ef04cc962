"""The work of a first handshake, listing and call, with few tools and with many: it does not grow with their number."""

from __future__ import annotations

import copy

from functions.gateway import selection
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json, decode
from functions.mcp_endpoint.listings import RUN_BYTES, Listings
from functions.mcp_endpoint.methods import instructions
from tests.gateway.calling import grant
from tests.work import counted
from tool_catalog import compiled_file
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_document import from_bytes, to_bytes

CALLS_OF_A_RUN = 20
"""Most calls of functions for 64 kB of definitions."""


def content(times: int) -> bytes:
    """A compiled file with this many of each tool."""
    document = from_bytes((compiled_file.COMPILED / "mem0_oss.json").read_bytes())
    document["tools"] = [_renamed(tool, number) for number in range(times) for tool in document["tools"]]
    return to_bytes(document)


def _renamed(tool: dict[str, Json], number: int) -> dict[str, Json]:
    made = copy.deepcopy(tool)
    made["definition"]["name"] += f"_{number}"
    return made


FEW, MANY = content(2), content(40)


def first_work(file: bytes, number: int) -> tuple[int, int]:
    """How many tools there are, and the calls of functions of a first handshake, listing and call of one of them."""

    def work() -> tuple[Catalog, str]:
        catalog = compiled_file.read(file, "mem0_oss.json")
        instructions(grant(), catalog)
        selection.queues(catalog, ServerConfig())
        listed = Listings().page(grant(), catalog, "digest", None).tools
        found = selection.find(catalog, ServerConfig(), f"list_all_mem_0_oss_memories_{number - 1}")
        assert found.tool.request.verb == "GET"
        return catalog, listed

    (catalog, listed), calls = counted(work)
    names = [tool["name"] for tool in decode(listed)]
    assert names == list(catalog.tools)
    return len(names), calls


def test_the_first_work_of_a_process_does_not_grow_with_the_number_of_tools() -> None:
    first_work(FEW, 2)  # what a process makes once is made
    tools, few = first_work(FEW, 2)
    more_tools, many = first_work(MANY, 40)
    runs = len(MANY) // RUN_BYTES
    assert more_tools == 20 * tools
    assert many - few <= CALLS_OF_A_RUN * runs < more_tools - tools


def test_a_selection_of_many_tools_decodes_no_definition() -> None:
    catalog = compiled_file.read(MANY, "mem0_oss.json")
    page = Listings().page(grant(config=ServerConfig(methods=("read",))), catalog, "digest", None)
    shown = {tool["name"] for tool in decode(page.tools)}
    assert 0 < len(shown) < len(catalog.tools)
    assert all(tool.access == "read" for tool in catalog.tools.values() if tool.name in shown)
    assert not any("definition" in vars(tool) for tool in catalog.tools.values())
