"""The gateway and the data plane know no integration: its words are in its records, or in the file of a dialect."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tool_catalog import compiled_file

ROOT = Path(__file__).parents[1]
ROOMS = ("functions/gateway", "functions/mcp_endpoint")
DIALECTS = ("functions/gateway/pins/dialects/mem0.py",)
"""Files that may speak of one integration, because a record asks for them by name."""

ALSO = ("filters", "memory", "memories")
"""Words of an integration that are neither its name nor one of its ids."""

FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@cache
def words() -> re.Pattern[str]:
    """Names of the shipped integrations, the ids a server can pin in them, and ALSO."""
    found = {*ALSO}
    for name in compiled_file.available():
        loaded = compiled_file.load(name)
        found |= {name, loaded.label.lower(), *loaded.pinnable}
    return re.compile(
        rf"(?<![a-z0-9])({'|'.join(re.escape(word) for word in sorted(found))})(?![a-z0-9])", re.IGNORECASE
    )


def spoken(path: Path) -> Iterator[tuple[int, str]]:
    """Lines and texts of a file's names and strings: what runs, without comments and docstrings."""
    source = path.read_text("utf-8")
    documented = {
        (node.value.lineno, node.value.col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE) and token.start not in documented:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_of_the_gateway_has_no_word_of_an_integration(path: Path) -> None:
    if str(path.relative_to(ROOT)) in DIALECTS:
        pytest.skip("the file of a dialect")
    found = [f"line {line}: {text}" for line, text in spoken(path) if words().search(text)]
    assert not found, f"{path.relative_to(ROOT)} speaks of one integration: {found}"


def test_the_words_are_found_in_the_file_of_a_dialect() -> None:
    """The test above can fail: a dialect's file has such words."""
    for name in DIALECTS:
        assert any(words().search(text) for _, text in spoken(ROOT / name)), f"{name} needs no exception"
