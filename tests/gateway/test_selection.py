"""Which tools a server shows, and that a hidden one cannot be called."""

from __future__ import annotations

import pytest

from functions.gateway import errors, selection
from functions.gateway.grants import ServerConfig
from tests.gateway.calling import MEM0, catalog_of, tool
from tool_catalog.catalog import NoPin, PinArguments, PinEntity
from tool_catalog.request_template import Parameter

LIST = tool(name="list_all_things", method="list")
FIND = tool(name="things_search", method="search")
TOUCH = tool("POST", name="things_touch", method="touch", access="write")
MAKE = tool("POST", name="create_a_thing", method="create", access="write")
DROP = tool("DELETE", name="delete_a_thing", method="delete", access="write")
THINGS = catalog_of(LIST, FIND, TOUCH, MAKE, DROP)


@pytest.mark.parametrize(
    ("methods", "shown"),
    [
        ((), "list_all_things things_search things_touch create_a_thing delete_a_thing"),
        (("read",), "list_all_things things_search"),
        (("write",), "create_a_thing delete_a_thing"),
        (("custom",), "things_search things_touch"),
        (("read", "write"), "list_all_things things_search create_a_thing delete_a_thing"),
        (("touch",), "things_touch"),
        (("create_a_thing", "list"), "list_all_things create_a_thing"),
    ],
)
def test_methods_are_a_union_of_groups_and_names(methods: tuple[str, ...], shown: str) -> None:
    config = ServerConfig(methods=methods)
    assert [tool.name for tool in selection.visible(THINGS, config)] == shown.split()


def test_tags_and_methods_must_both_let_a_tool_pass() -> None:
    config = ServerConfig(methods=("write",), tags=("events",))
    assert selection.visible(MEM0, config) == ()
    config = ServerConfig(methods=("read",), tags=("events",))
    assert {tag for tool in selection.visible(MEM0, config) for tag in tool.tags} == {"events"}


def test_a_tool_is_found_exactly_when_it_is_visible() -> None:
    for config in (ServerConfig(), ServerConfig(methods=("read",)), ServerConfig(pins={"user_id": "u"})):
        shown = {tool.name for tool in selection.visible(MEM0, config)}
        for name in MEM0.tools:
            if name in shown:
                assert selection.find(MEM0, config, name).tool is MEM0.tools[name]
            else:
                with pytest.raises(errors.UnknownTool):
                    selection.find(MEM0, config, name)


ENTITY = tool(
    path="/{type}/{id}/",
    name="get_an_entity",
    method="get",
    properties={"type": {"enum": ["user", "agent"]}, "id": {"type": "string"}},
    pin=PinEntity(argument="type", id="id", types={"user_id": "user", "agent_id": "agent"}),
)


@pytest.mark.parametrize(
    ("pins", "offered"),
    [
        ({"user_id": "u"}, True),
        ({"agent_id": "a"}, True),
        ({"run_id": "r"}, False),
        ({"user_id": "u", "agent_id": "a"}, False),
    ],
)
def test_an_entity_tool_is_offered_under_one_pin_of_a_type_it_takes(pins: dict[str, str], offered: bool) -> None:
    """Under two pins a record carries both ids, and the records of one entity reach beyond that."""
    assert selection.visible(catalog_of(ENTITY), ServerConfig(pins=pins)) == ((ENTITY,) if offered else ())


def test_a_pinned_server_shows_no_tool_on_which_the_pin_cannot_be_put() -> None:
    by_name = tool(
        "POST",
        "/",
        Parameter("body", "user_id", "user_id"),
        name="a",
        method="a",
        pin=PinArguments(ids=("user_id",)),
    )
    loaded = catalog_of(by_name, tool(name="b", method="b"), tool(name="c", method="c", pin=NoPin()))

    def shown(**pins: str) -> str:
        return " ".join(tool.name for tool in selection.visible(loaded, ServerConfig(pins=pins)))

    assert (shown(), shown(user_id="u"), shown(run_id="r")) == ("a b c", "a c", "c")


def test_a_tool_that_needs_a_pin_is_offered_under_one_only() -> None:
    assert MEM0.tools["search"] not in selection.visible(MEM0, ServerConfig())
    assert MEM0.tools["search"] in selection.visible(MEM0, ServerConfig(pins={"user_id": "u"}))


def test_a_write_that_is_split_between_two_pins_is_not_offered() -> None:
    create = MEM0.tools["create_a_mem_0_memory"]
    for pins, offered in (
        ({"user_id": "u"}, True),
        ({"user_id": "u", "run_id": "r"}, True),
        ({"user_id": "u", "agent_id": "a"}, False),
    ):
        assert (create in selection.visible(MEM0, ServerConfig(pins=pins))) is offered


TEAM = Parameter("query", "team_id", "team_id")
OF_TEAM = tool("GET", "/depots", TEAM, name="list_all_depots", method="list")
OF_ALL = tool("GET", "/carriers", name="list_all_carriers", method="list")
DEPOTS = catalog_of(OF_TEAM, OF_ALL)


def test_a_strict_server_hides_what_a_fixed_argument_cannot_reach() -> None:
    fixed = {"*": {"team_id": "t_1"}, "list_all_carriers": {}}
    assert selection.visible(DEPOTS, ServerConfig(fixed=fixed)) == (OF_TEAM, OF_ALL)
    strict = ServerConfig(fixed=fixed, strict=True)
    assert selection.visible(DEPOTS, strict) == (OF_TEAM,)
    assert selection.find(DEPOTS, strict, "list_all_depots").tool is OF_TEAM
    for _ in range(3):
        with pytest.raises(errors.UnknownTool, match='no tool "list_all_carriers" on this server'):
            selection.find(DEPOTS, strict, "list_all_carriers")
    by_name = ServerConfig(fixed={"list_all_depots": {"team_id": "t_1"}}, strict=True)
    assert selection.visible(DEPOTS, by_name) == (OF_TEAM, OF_ALL)
