"""Configs that could not work are refused, each problem with what is valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from functions.admin_api.servers import config_check
from functions.gateway import errors, selection
from functions.gateway.grants import ServerConfig
from functions.gateway.pins import ids
from functions.gateway.wording import shown
from tests.gateway.calling import MEM0, catalog_of, tool
from tool_catalog.catalog import Catalog
from tool_catalog.request_template import Parameter

LIST = tool(name="list_all_things", method="list")
FIND = tool(name="things_search", method="search")
TOUCH = tool("POST", name="things_touch", method="touch", access="write")
MAKE = tool("POST", name="create_a_thing", method="create", access="write")
DROP = tool("DELETE", name="delete_a_thing", method="delete", access="write")
THINGS = catalog_of(LIST, FIND, TOUCH, MAKE, DROP)


@pytest.mark.parametrize("methods", [(), ("read",), ("write",), ("create_a_thing", "list")])
def test_a_config_that_works_gives_the_tools_it_shows(methods: tuple[str, ...]) -> None:
    config = ServerConfig(methods=methods)
    assert config_check.check(THINGS, config) == selection.visible(THINGS, config)


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
            [f"config.pins.user_id is {shown(pin)}; {ids.problem(pin)}"],
        )
        for pin in ("", "*", "a\nb", "x" * 257, 7, None)
    ),
    (
        {"pins": {"user_id": "x" * 257}},
        [
            f'config.pins.user_id is "{"x" * 80}..."; it has 257 characters; a pin is the id of one entity: 1 to 256 '
            'printable characters, not the wildcard "*"'
        ],
    ),
    (
        {"fixed": {"list_al_things": {"limit": 1}}},
        ['config.fixed: no tool "list_al_things"; did you mean "list_all_things"?'],
    ),
    (
        {"fixed": {"list_all_things": {}}, "strict": True},
        [
            'config.strict has no effect without config.fixed."*"; it hides the tools that an argument fixed for every '
            "tool cannot reach"
        ],
    ),
    ({"defaults": {"*": {"q": 1}}}, ['config.defaults.*: no argument "q"; valid: none']),
]


@pytest.mark.parametrize(("config", "problems"), PROBLEMS)
def test_what_a_config_names_wrongly_is_told_with_what_is_valid(config: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(THINGS, ServerConfig(**config))
    assert wrong.value.message.removeprefix("2 problems: ") == "; ".join(problems)
    assert wrong.value.details == {"problems": problems}


def test_a_filter_that_matches_nothing_is_told_with_what_there_is() -> None:
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(THINGS, ServerConfig(pins={"user_id": "u"}))
    assert wrong.value.message == (
        "config.pins cannot be enforced on any of the selected tools: list_all_things, things_search, things_touch, "
        "create_a_thing, delete_a_thing; select others, or leave out the pin"
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
        [
            'config.defaults.*: "show_expired" is "yes"; it must be a boolean: Include expired memories '
            "(tool mem_0_memories_search)"
        ],
    ),
    (
        {"fixed": {"mem_0_memories_search": {"query": "half \ud83d"}}},
        [
            'config.fixed.mem_0_memories_search: "query" holds half of a surrogate pair, e.g. of an emoji cut in two; '
            "send whole characters (tool mem_0_memories_search)"
        ],
    ),
    (
        {"fixed": {"create_a_mem_0_memory": {"user_id": "usr_2"}}, "pins": {"user_id": "usr_1"}},
        [
            'config.fixed or config.defaults: create_a_mem_0_memory: user_id is "usr_2", but this server is pinned '
            'to user_id="usr_1". Leave the pinned ids out; the server fills them in'
        ],
    ),
    (
        {
            "defaults": {"mem_0_memories_search": {"filters": {"OR": [{"user_id": "usr_2"}]}}},
            "pins": {"user_id": "usr_1"},
        },
        [
            'config.fixed or config.defaults: mem_0_memories_search: user_id is "usr_2", but this server is pinned '
            'to user_id="usr_1". Leave the pinned ids out; the server fills them in'
        ],
    ),
]


@pytest.mark.parametrize(("config", "problems"), FORCED)
def test_forced_arguments_that_no_call_could_be_made_with_are_refused(
    config: dict[str, Any], problems: list[str]
) -> None:
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(MEM0, ServerConfig(**config))
    assert wrong.value.message == "; ".join(problems)
    assert wrong.value.details == {"problems": problems}


def test_forced_arguments_that_fit_are_taken() -> None:
    config = ServerConfig(fixed={"*": {"limit": 5}}, defaults={"mem_0_memories_search": {"top_k": 3}})
    assert MEM0.tools["mem_0_memories_search"] in config_check.check(MEM0, config)


def test_the_profile_core_needs_tools_that_are_marked() -> None:
    unmarked = replace(MEM0, tools={name: tool for name, tool in MEM0.tools.items() if not tool.core})
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(unmarked, ServerConfig(profile="core"))
    assert wrong.value.message == (
        'config.profile "core": the records of mem0 mark no tool as core; use "full", or "discovery" for a long '
        "list of tools"
    )
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(MEM0, ServerConfig(profile="core", tags=("webhooks",)))
    assert wrong.value.message == (
        "methods, tags and the profile core match no tool together; a tool must pass all three"
    )


def test_tools_that_need_a_pin_are_told_so_when_there_is_none() -> None:
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(MEM0, ServerConfig(tags=("deep_research",)))
    assert wrong.value.message == (
        "the selected tools require a pin: search, fetch; set config.pins to an id of user_id or agent_id or app_id or "
        "run_id"
    )


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            {"write_ids": {"run_id": ("r",)}},
            "config.write_ids has no effect without config.pins; only a pinned server limits the ids of writes",
        ),
        (
            {"write_ids": {"user_id": ("u",)}, "pins": {"user_id": "v"}},
            "config.write_ids.user_id: user_id is pinned, and a write names its pin only; leave it out",
        ),
        (
            {"write_ids": {"run": ("r",)}, "pins": {"user_id": "v"}},
            'config.write_ids: "run" is unknown; did you mean "run_id"?',
        ),
        (
            {"write_ids": {"run_id": ("*", "")}, "pins": {"user_id": "v"}},
            f'config.write_ids.run_id has ""; it is empty; {ids.RULE}',
        ),
        (
            {"fixed": {"create_a_mem_0_memory": {"run_id": "r"}}, "pins": {"user_id": "v"}},
            'config.fixed or config.defaults: create_a_mem_0_memory: run_id is "r", but this server is pinned to '
            'user_id="v", and its writes may not name that id; leave run_id out',
        ),
    ],
)
def test_ids_of_writes_are_checked(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(MEM0, ServerConfig(**config))
    assert wrong.value.message == problem


def test_a_fixed_id_of_writes_is_taken_when_it_is_listed() -> None:
    config = ServerConfig(
        pins={"user_id": "v"},
        write_ids={"run_id": ("r",)},
        fixed={"create_a_mem_0_memory": {"run_id": "r"}},
    )
    assert MEM0.tools["create_a_mem_0_memory"] in config_check.check(MEM0, config)


@pytest.mark.parametrize("field", ["pins", "write_ids"])
def test_where_nothing_can_be_pinned_the_refusal_names_what_can_be_done(field: str) -> None:
    value: Any = {"pins": {"team_id": "t_1"}, "write_ids": {"team_id": ("t_1",)}}[field]
    problems = config_check_problems(replace(THINGS, pinnable=()), ServerConfig(**{field: value}))
    assert problems[0] == (
        f'config.{field}: "team_id" cannot be pinned; the records of things name no id that can. config.fixed sends an '
        'argument on every call, e.g. {"*": {"team_id": "..."}}'
    )


def test_no_refusal_ends_in_a_list_of_nothing() -> None:
    bare = replace(catalog_of(replace(LIST, tags=())), pinnable=())
    wrong = ServerConfig(tags=("a",), pins={"b": "c"}, fixed={"*": {"d": 1}}, methods=("e",))
    problems = config_check_problems(bare, wrong)
    assert len(problems) == 4
    assert not [problem for problem in problems if problem.rstrip().endswith((":", ";"))]


def test_a_strict_config_that_leaves_nothing_says_which_argument_no_tool_takes() -> None:
    config = ServerConfig(methods=("list", "delete"), fixed={"*": {"team_id": "t"}}, strict=True)
    takes = tool("POST", "/", Parameter("body", "team_id", "team_id"), name="create_a_thing", method="create")
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(catalog_of(LIST, takes, DROP), config)
    assert wrong.value.message == (
        'config.strict hides all of the selected tools, because none takes every argument of config.fixed."*": '
        "list_all_things, delete_a_thing; select others, or leave out strict"
    )


def config_check_problems(catalog: Catalog, config: ServerConfig) -> list[str]:
    with pytest.raises(errors.Invalid) as wrong:
        config_check.check(catalog, config)
    found: list[str] = wrong.value.details["problems"]
    return found
