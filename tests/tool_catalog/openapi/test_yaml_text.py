"""Draft records as YAML: what is read back is what was written, and it looks as a person would write it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.json_text import Json
from tool_catalog.openapi.yaml_text import WIDTH, document
from tool_catalog.yaml_source import read

LOOKALIKES = [
    "true",
    "null",
    "~",
    "no",
    "1e3",
    "-1",
    "- a",
    "# b",
    "a #b",
    "a: b",
    "$ref",
    "GET /a/{b}:c",
    "\ufeff",
    "\x85",
]
WORDS = st.sampled_from(["word", "longer", "#tag", "- x", "a:", "“quoted”"])
TEXTS = (
    st.text(max_size=40)
    | st.text("ab: #-?{}[],&*!|>'\"%@`\\\n\t ~0e.", max_size=20)
    | st.sampled_from(LOOKALIKES)
    | st.lists(WORDS, min_size=20, max_size=60).map(" ".join)
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=25,
)


def spoken(value: Json) -> Json:
    """`value` without half surrogate pairs, which are no characters."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [spoken(part) for part in value]
    return {spoken(key): spoken(part) for key, part in value.items()} if isinstance(value, dict) else value


@given(data=st.dictionaries(TEXTS, VALUES, min_size=1, max_size=6), wrap=st.sampled_from(["", "methods", "schemas"]))
def test_what_is_written_is_read_back(data: dict[str, Json], wrap: str) -> None:
    whole = spoken({wrap: data} if wrap else data)
    source, problems = read("record.yaml", document(whole, {}))
    assert problems == []
    assert source.data == whole


def test_records_look_like_records() -> None:
    long = "A sentence that goes on. " * 6
    data = {
        "resource": "pets",
        "methods": {
            "list": {
                "request": "GET /pets/{petId}:run",
                "description": long.strip(),
                "query_schema": {"type": "object", "properties": {"limit": {"type": "integer", "minimum": 1}}},
                "example": {"arguments": {}},
                "tags": ["a b", "true", "1"],
            }
        },
    }
    text = document(data, {("methods", "list", "request"): "# guessed: why"})
    assert text == (
        "resource: pets\n"
        "methods:\n"
        "  list:\n"
        "    # guessed: why\n"
        "    request: GET /pets/{petId}:run\n"
        "    description: >-\n"
        f"      {'A sentence that goes on. ' * 4}A sentence\n"
        "      that goes on. A sentence that goes on.\n"
        "    query_schema:\n"
        "      type: object\n"
        "      properties:\n"
        "        limit: {type: integer, minimum: 1}\n"
        "    example: {arguments: {}}\n"
        '    tags: [a b, "true", "1"]\n'
    )
    assert max(map(len, text.splitlines())) <= WIDTH
