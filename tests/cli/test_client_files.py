"""A client's settings file is changed in one entry, and in nothing else."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.cli.client_files import NotEditable, with_json_entry, with_toml_table

ENTRY = {"url": "https://x.example/mcp/T"}

ZED = """\
// Zed settings
{
  "theme": "One Dark", // my favourite
  /* servers, with "quotes" and } braces in a comment */
  "context_servers": {
    "other": {
      "command": "npx", // keep
      "args": ["-y", "{}", "a,b"],
    },
  },
  "vim_mode": true,
}
"""


def test_comments_order_and_other_entries_stay_when_one_is_added() -> None:
    changed = with_json_entry(ZED, "context_servers", "postern", ENTRY)
    assert changed == ZED.replace(
        """"args": ["-y", "{}", "a,b"],
    },
""",
        """"args": ["-y", "{}", "a,b"],
    },
    "postern": {
      "url": "https://x.example/mcp/T"
    }
""",
    )
    for _ in range(3):
        assert with_json_entry(changed, "context_servers", "postern", ENTRY) == changed


def test_an_entry_is_replaced_in_its_place_and_taken_out_again() -> None:
    added = with_json_entry(ZED, "context_servers", "postern", ENTRY)
    other = with_json_entry(added, "context_servers", "postern", {"url": "https://y.example/mcp/U"})
    assert other == added.replace("x.example/mcp/T", "y.example/mcp/U")
    removed = with_json_entry(other, "context_servers", "postern", None)
    assert "postern" not in removed
    assert "// keep" in removed
    assert "// my favourite" in removed
    assert with_json_entry(removed, "context_servers", "postern", None) == removed


@pytest.mark.parametrize(
    "text", ["", "{}", "{\n}\n", '{"a": 1}', '{\n\t"a": {\n\t\t"b": 1\n\t}\n}', '{"mcpServers": {}}']
)
def test_a_file_without_servers_gets_them(text: str) -> None:
    changed = with_json_entry(text, "mcpServers", "postern", ENTRY, {"inputs": [1]})
    document = json.loads(changed)
    assert document["mcpServers"] == {"postern": ENTRY}
    assert document["inputs"] == [1]
    assert {key: value for key, value in document.items() if key not in ("mcpServers", "inputs")} == {
        key: value for key, value in json.loads(text or "{}").items() if key != "mcpServers"
    }
    assert with_json_entry(changed, "mcpServers", "postern", ENTRY, {"inputs": [2]}) == changed


_NAMES = st.text(alphabet="abc-_", min_size=1, max_size=4)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='ab"\\/{}[],:*\n', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(
    document=st.dictionaries(_NAMES, _VALUES, max_size=3),
    servers=st.none() | st.dictionaries(_NAMES, _VALUES, max_size=3),
    name=_NAMES,
    entry=st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=2),
    indent=st.none() | st.sampled_from([2, 4, "\t"]),
)
def test_any_document_is_the_same_but_for_the_entry(
    document: dict[str, Any], servers: dict[str, Any] | None, name: str, entry: dict[str, Any], indent: Any
) -> None:
    whole = {**document, **({"servers!": servers} if servers is not None else {})}
    text = json.dumps(whole, indent=indent)
    added = with_json_entry(text, "servers!", name, entry)
    assert json.loads(added) == {**whole, "servers!": {**(servers or {}), name: entry}}
    removed = json.loads(with_json_entry(added, "servers!", name, None))
    expected = {key: value for key, value in (servers or {}).items() if key != name}
    assert removed == {**whole, "servers!": expected}


@pytest.mark.parametrize("text", ["[1]", "{", '{"mcpServers": []}', '{"mcpServers": 5}', "{'a': 1}", '{"a": }'])
def test_a_file_that_is_something_else_is_left_alone(text: str) -> None:
    with pytest.raises(NotEditable):
        with_json_entry(text, "mcpServers", "postern", ENTRY)


CODEX = """\
# my settings
model = "gpt"

[mcp_servers.other]
command = "npx"  # keep

[mcp_servers.postern]
url = "https://old.example/mcp/T"
[mcp_servers.postern.env]
A = "b"

[tools]
web = true
"""
TABLE = '[mcp_servers.postern]\nurl = "https://x.example/mcp/T"'


def test_a_toml_table_is_added_replaced_and_taken_out() -> None:
    added = with_toml_table("# mine\n", "mcp_servers.postern", TABLE)
    assert added == f"# mine\n\n{TABLE}\n"
    changed = with_toml_table(CODEX, "mcp_servers.postern", TABLE)
    assert "# my settings" in changed
    assert "# keep" in changed
    document = tomllib.loads(changed)
    assert document["mcp_servers"]["postern"] == {"url": "https://x.example/mcp/T"}
    assert document["tools"] == {"web": True}
    for _ in range(3):
        assert with_toml_table(changed, "mcp_servers.postern", TABLE) == changed
    removed = with_toml_table(changed, "mcp_servers.postern", None)
    assert tomllib.loads(removed)["mcp_servers"] == {"other": {"command": "npx"}}
    assert with_toml_table(removed, "mcp_servers.postern", None) == removed


@pytest.mark.parametrize(
    "text", ["a = ", '[mcp_servers]\npostern = { url = "x" }\n', 'mcp_servers.postern.url = "x"\n']
)
def test_a_toml_file_in_another_form_is_left_alone(text: str) -> None:
    with pytest.raises(NotEditable):
        with_toml_table(text, "mcp_servers.postern", TABLE)
