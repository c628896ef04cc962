"""What people edited, what was generated before, what is generated now: one file, and nothing of anyone's lost."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.json_text import Json
from tool_catalog.openapi.merge import Merged, Unreadable, merge, tree
from tool_catalog.openapi.yaml_text import document
from tool_catalog.yaml_source import read

BASE: dict[str, Json] = {
    "resource": "pets",
    "tags": ["pets"],
    "methods": {
        "list": {
            "title": "List pets",
            "request": "GET /pets",
            "query_schema": {"type": "object", "properties": {"tag": {"type": "string"}, "page": {"type": "integer"}}},
        },
        "get": {"title": "Get a pet", "request": "GET /pets/{id}"},
    },
}


def merged(text: str, new: Json, base: Json = BASE) -> Merged:
    return merge("pets.yaml", text, tree(base), new, {})


def data(text: str) -> Json:
    source, problems = read("pets.yaml", text)
    assert problems == []
    return source.data


def changed(edit: Any) -> dict[str, Json]:
    new = copy.deepcopy(BASE)
    edit(new["methods"])
    return new


def test_a_file_nobody_touched_follows_the_source() -> None:
    new = changed(lambda methods: methods["list"].update(title="List all pets"))
    result = merged(document(BASE, {}), new)
    assert data(result.text) == new
    assert result.changed == ["methods.list.title"]


def test_comments_layout_and_quotes_of_untouched_lines_stay_to_the_letter() -> None:
    text = document(BASE, {}).replace("    title: List pets\n", "    title: 'List pets'   # as in the menu\n\n")
    text = (
        "# who owns this: the pet team\n" + text.replace("  get:\n", "\n  # one pet\n  get: # by id\n") + "# the end\n"
    )
    new = changed(lambda methods: methods["list"]["query_schema"]["properties"].update(tag={"type": "integer"}))
    assert merged(text, new).text == text.replace("tag: {type: string}", "tag: {type: integer}")


def test_a_value_changed_by_hand_wins_and_the_source_change_is_told() -> None:
    text = document(BASE, {}).replace("title: List pets", "title: All the pets")
    new = changed(lambda methods: methods["list"].update(title="List every pet"))
    result = merged(text, new)
    assert data(result.text)["methods"]["list"]["title"] == "All the pets"
    assert (result.kept, result.changed) == (["methods.list.title"], [])
    again = merge("pets.yaml", result.text, result.tree, new, {})
    assert (again.text, again.kept) == (result.text, []), "told once, not at every import"


def test_added_by_hand_stays_removed_by_hand_stays_away_and_what_the_source_drops_goes() -> None:
    text = document(BASE, {}).replace("        tag: {type: string}\n", "        mine: {type: boolean}\n")
    new = changed(lambda methods: methods["list"]["query_schema"]["properties"].pop("page"))
    result = merged(text, new)
    assert data(result.text)["methods"]["list"]["query_schema"]["properties"] == {"mine": {"type": "boolean"}}
    assert result.absent == ["methods.list.query_schema.properties.tag"]
    assert result.changed == ["methods.list.query_schema.properties.page"]


def test_a_method_the_source_drops_stays_and_is_told_every_time() -> None:
    new = changed(lambda methods: methods.pop("get"))
    result = merged(document(BASE, {}), new)
    assert data(result.text) == BASE
    assert result.removed == ["methods.get"]
    assert merge("pets.yaml", result.text, result.tree, new, {}).removed == ["methods.get"]


def test_new_keys_stand_where_the_source_has_them() -> None:
    def edit(methods: Json) -> None:
        one = methods["list"]
        methods["list"] = {"title": one["title"], "name": "pets", **{k: v for k, v in one.items() if k != "title"}}
        methods["create"] = {"title": "Create a pet"}

    result = merged(document(BASE, {}), changed(edit))
    assert list(data(result.text)["methods"]) == ["list", "get", "create"]
    assert list(data(result.text)["methods"]["list"]) == ["title", "name", "request", "query_schema"]


def test_a_guess_that_was_confirmed_loses_its_mark_only_when_its_value_changes() -> None:
    text = document(BASE, {}).replace("    title: Get", "    # guessed: who knows\n    # seen: works\n    title: Get")
    same = merged(text, changed(lambda methods: methods["list"].update(title="x")))
    assert "# guessed: who knows" in same.text
    other = merged(text, changed(lambda methods: methods["get"].update(title="Get one pet")))
    assert "guessed" not in other.text
    assert "    # seen: works\n    title: Get one pet" in other.text


def test_other_indentation_and_flow_style_are_merged_too() -> None:
    flow = "title: List pets, request: GET /pets, query_schema: {type: object, properties: {tag: {type: string}}}"
    text = (
        "methods:\n"
        f"    list: {{{flow}}}\n"
        "    get:\n"
        "        request: GET /pets/{id}\n"
        "        title: Get a pet\n"
        "resource: pets\n"
        "tags:\n"
        "- pets\n"
    )

    def edit(methods: Json) -> None:
        methods["get"]["title"] = "Get one"
        methods["list"]["title"] = "List them"

    result = merged(text, changed(edit))
    assert result.text == text.replace("title: Get a pet", "title: Get one").replace(
        f"    list: {{{flow}}}\n",
        "    list:\n"
        "      title: List them\n"
        "      request: GET /pets\n"
        "      query_schema:\n"
        "        type: object\n"
        "        properties:\n"
        "          tag: {type: string}\n",
    )
    assert result.absent == ["methods.list.query_schema.properties.page"]


def test_a_file_that_is_no_record_is_refused_with_its_line() -> None:
    with pytest.raises(Unreadable) as caught:
        merged("resource: pets\nmethods: {a: 1, a: 2}\n", BASE)
    assert str(caught.value) == 'pets.yaml:2: duplicate key "a"; first on line 2'
    with pytest.raises(Unreadable, match=r"^pets.yaml:1: must be a mapping$"):
        merged("- a\n", BASE)


LEAVES = st.sampled_from(["a", "b", "c " * 70, 1, True, None, ["x"], {"type": "string"}])
METHODS = st.dictionaries(
    st.sampled_from(["list", "get", "run"]),
    st.fixed_dictionaries(
        {"title": LEAVES},
        optional={
            "request": LEAVES,
            "query_schema": st.fixed_dictionaries(
                {"type": st.just("object")},
                optional={"properties": st.dictionaries(st.sampled_from(["p", "q", "r"]), LEAVES, min_size=1)},
            ),
        },
    ),
    min_size=1,
)
FILES = st.fixed_dictionaries(
    {"resource": st.just("pets"), "methods": METHODS}, optional={"tags": LEAVES, "schemas": METHODS}
)


@given(own=FILES, base=FILES, new=FILES)
def test_every_value_is_the_hands_the_sources_or_both(own: Json, base: Json, new: Json) -> None:
    result = merge("pets.yaml", document(own, {}), tree(base), new, {})
    found = dict(leaves(data(result.text)))
    mine, before, theirs = dict(leaves(own)), dict(leaves(base)), dict(leaves(new))
    for path, value in found.items():
        assert value in (mine.get(path), theirs.get(path))
    for path, value in mine.items():
        if path not in before or before[path] != value:
            assert found[path] == value, "what a hand wrote or changed is never lost"
    for path, value in theirs.items():
        if path in mine and path in before and before[path] == mine[path]:
            assert found[path] == value, "what no hand touched follows the source"
    assert merge("pets.yaml", result.text, result.tree, new, {}).text == result.text, "a second time changes nothing"


@given(base=FILES, new=FILES)
def test_without_hand_edits_the_result_is_what_is_generated_plus_the_methods_that_are_gone(
    base: Json, new: Json
) -> None:
    result = data(merge("pets.yaml", document(base, {}), tree(base), new, {}).text)
    gone = {key: value for key, value in base["methods"].items() if key not in new["methods"]}
    assert json.dumps(result, sort_keys=True) == json.dumps(
        {**new, "methods": {**new["methods"], **gone}}, sort_keys=True
    )


def leaves(value: Json, path: tuple[str, ...] = ()) -> Any:
    """The values that are merged as one, by path."""
    for key, part in value.items():
        where = (*path, key)
        if isinstance(part, dict) and isinstance(_subtree(where, part), dict):
            yield from leaves(part, where)
        else:
            yield where, json.dumps(part, sort_keys=True)


def _subtree(path: tuple[str, ...], part: Json) -> Any:
    nested: Json = part
    for key in reversed(path):
        nested = {key: nested}
    found: Any = tree(nested)
    for key in path:
        found = found[key]
    return found
