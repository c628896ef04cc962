"""An error of the endpoint in the words of the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from functions.cli.api_words import OPTIONS, in_cli_words

ROOT = Path(__file__).parents[2]
HTTP = re.compile(r"\b(?:GET|POST|PUT|PATCH|DELETE) /(?!mcp|proxy)[a-z{]")


def texts() -> list[str]:
    """Every text in the code of the management API that is not documentation."""
    found = []
    for file in sorted((ROOT / "functions" / "admin_api").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        passed |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
                found.append(node.value)
    return [text for text in found if HTTP.search(text)]


def test_every_path_in_a_message_of_the_api_has_a_command() -> None:
    found = texts()
    assert len(found) >= 6
    for text in found:
        assert not HTTP.search(in_cli_words(text)), text


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("there is no integrated account \"x\"; GET /integrated-account lists them",
         "there is no integrated account \"x\"; `postern account list` lists them"),
        ('config.methods: "raed" is unknown', '--methods: "raed" is unknown'),
        ("config.pins must hold user_id=ci; config.write_ids must be empty",
         "--pin must hold user_id=ci; --write-id must be empty"),
        ("query: created_at[gt] is 5 and created_at[lt] is 4", "--since is 5 and --until is 4"),
        ("query: limit is \"0\"", '--limit is "0"'),
        ("expires_at is 2020-01-01T00:00:00Z, which is not in the future",
         "--expires-in or --expires-at is 2020-01-01T00:00:00Z, which is not in the future"),
        ("servers of the deleted account acc_1 still exist; remove them with DELETE /integrated-account/acc_1",
         "servers of the deleted account acc_1 still exist; remove them with `postern account remove acc_1`"),
        ("my_base_url stays", "my_base_url stays"),
    ],
)  # fmt: skip
def test_a_message_names_options_and_commands(message: str, shown: str) -> None:
    assert in_cli_words(message) == shown


def test_a_longer_name_goes_before_its_beginning() -> None:
    names = list(OPTIONS)
    for place, name in enumerate(names):
        assert not any(later.startswith(name) for later in names[place + 1 :]), name
