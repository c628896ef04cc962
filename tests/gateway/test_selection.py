"""Which tools a server shows, and which configs are refused with what is valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from functions.gateway import errors, selection
from functions.gateway.grants import ServerConfig
from tests.gateway.calling import MEM0, catalog_of, tool
from tool_catalog.catalog import Parameter, Scope

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
    assert selection.check(THINGS, config) == selection.visible(THINGS, config)


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
                assert selection.find(MEM0, config, name) is MEM0.tools[name]
            else:
                with pytest.raises(errors.UnknownTool):
                    selection.find(MEM0, config, name)


ENTITY = tool(
    path="/{type}/{id}/",
    name="get_an_entity",
    method="get",
    properties={"type": {"enum": ["user", "agent"]}, "id": {"type": "string"}},
    pin=Scope("entity", argument="type", id="id"),
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
        pin=Scope("arguments"),
    )
    loaded = catalog_of(by_name, tool(name="b", method="b"), tool(name="c", method="c", pin=Scope("none")))

    def shown(**pins: str) -> str:
        return " ".join(tool.name for tool in selection.visible(loaded, ServerConfig(pins=pins)))

    assert (shown(), shown(user_id="u"), shown(run_id="r")) == ("a b c", "a c", "c")


def test_a_tool_that_needs_a_pin_is_offered_under_one_only() -> None:
    assert MEM0.tools["search"] not in selection.visible(MEM0, ServerConfig())
    assert MEM0.tools["search"] in selection.visible(MEM0, ServerConfig(pins={"user_id": "u"}))


PROBLEMS: list[tuple[Mapping[str, Any], list[str]]] = [
    (
        {"methods": ("reed", "xyzzy")},
        [
            'config.methods: "reed" is unknown; did you mean "read" or "create"?',
            'config.methods: "xyzzy" is unknown; valid: read, write, custom, create, delete, list, search, touch',
        ],
    ),
    ({"tags": ("thing",)}, ['config.tags: "thing" is unknown; did you mean "things"?']),
    ({"tags": ("x" * 5_000,)}, [f'config.tags: "{"x" * 80}..." is unknown; valid: things']),
    ({"pins": {"userid": "u"}}, ['config.pins: "userid" is unknown; did you mean "user_id"?']),
    *(
        (
            {"pins": {"user_id": pin}},
            [
                "config.pins.user_id: must be the id of one entity: 1 to 256 printable characters and not the "
                'wildcard "*"'
            ],
        )
        for pin in ("", "*", "a\nb", "x" * 257, "\ud800", 7, None)
    ),
    (
        {"fixed": {"list_al_things": {"limit": 1}}},
        [
            'config.fixed: no tool "list_al_things"; '
            'did you mean "list_all_things" or "delete_a_thing" or "create_a_thing"?'
        ],
    ),
    ({"defaults": {"*": {"q": 1}}}, ['config.defaults.*: no argument "q"; valid: none']),
]


@pytest.mark.parametrize(("config", "problems"), PROBLEMS)
def test_what_a_config_names_wrongly_is_told_with_what_is_valid(config: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(errors.Invalid) as wrong:
        selection.check(THINGS, ServerConfig(**config))
    assert wrong.value.message.removeprefix("2 problems: ") == "; ".join(problems)
    assert wrong.value.details == {"problems": problems}


def test_a_filter_that_matches_nothing_is_told_with_what_there_is() -> None:
    with pytest.raises(errors.Invalid) as wrong:
        selection.check(THINGS, ServerConfig(pins={"user_id": "u"}))
    assert wrong.value.message == (
        "no chosen tool can be kept within config.pins: list_all_things, things_search, things_touch, create_a_thing, "
        "delete_a_thing; choose others, or leave out the pin"
    )
    assert wrong.value.details["methods"] == ["read", "write", "custom", "create", "delete", "list", "search", "touch"]
    assert wrong.value.details["tools"][0] == {
        "name": "list_all_things",
        "method": "list",
        "access": "read",
        "tags": ["things"],
    }


FORCED: list[tuple[Mapping[str, Any], list[str]]] = [
    (
        {"fixed": {"mem_0_memories_search": {"top_k": 5_000}}},
        ['config.fixed.mem_0_memories_search: "top_k" is 5000; it must be at most 1000 (tool mem_0_memories_search)'],
    ),
    (
        {"defaults": {"*": {"show_expired": "yes"}}, "methods": ("search",)},
        ['config.defaults.*: "show_expired" is "yes"; it must be a boolean (tool mem_0_memories_search)'],
    ),
    (
        {"fixed": {"mem_0_memories_search": {"query": "half \ud83d"}}},
        [
            'config.fixed.mem_0_memories_search: "query" holds half of a surrogate pair, as of an emoji cut in two; '
            "send whole characters (tool mem_0_memories_search)"
        ],
    ),
    (
        {"fixed": {"create_a_mem_0_memory": {"user_id": "usr_2"}}, "pins": {"user_id": "usr_1"}},
        [
            'config.fixed or config.defaults: create_a_mem_0_memory: user_id "usr_2" is outside this server\'s scope; '
            'it is pinned to user_id="usr_1". Leave the pinned ids out: they are filled in'
        ],
    ),
    (
        {
            "defaults": {"mem_0_memories_search": {"filters": {"OR": [{"user_id": "usr_2"}]}}},
            "pins": {"user_id": "usr_1"},
        },
        [
            'config.fixed or config.defaults: mem_0_memories_search: user_id "usr_2" is outside this server\'s scope; '
            'it is pinned to user_id="usr_1". Leave the pinned ids out: they are filled in'
        ],
    ),
]


@pytest.mark.parametrize(("config", "problems"), FORCED)
def test_forced_arguments_that_no_call_could_be_made_with_are_refused(
    config: dict[str, Any], problems: list[str]
) -> None:
    with pytest.raises(errors.Invalid) as wrong:
        selection.check(MEM0, ServerConfig(**config))
    assert wrong.value.message == "; ".join(problems)
    assert wrong.value.details == {"problems": problems}


def test_forced_arguments_that_fit_are_taken() -> None:
    config = ServerConfig(fixed={"*": {"limit": 5}}, defaults={"mem_0_memories_search": {"top_k": 3}})
    assert MEM0.tools["mem_0_memories_search"] in selection.check(MEM0, config)


def test_a_write_that_is_split_between_two_pins_is_not_offered() -> None:
    create = MEM0.tools["create_a_mem_0_memory"]
    for pins, offered in (
        ({"user_id": "u"}, True),
        ({"user_id": "u", "run_id": "r"}, True),
        ({"user_id": "u", "agent_id": "a"}, False),
    ):
        assert (create in selection.visible(MEM0, ServerConfig(pins=pins))) is offered


def test_tools_that_need_a_pin_are_told_so_when_there_is_none() -> None:
    with pytest.raises(errors.Invalid) as wrong:
        selection.check(MEM0, ServerConfig(tags=("deep_research",)))
    assert wrong.value.message == (
        "the chosen tools work only on a server with a pin: search, fetch; give config.pins, as an id of user_id or "
        "agent_id or app_id or run_id"
    )
