"""What the tools cost a model: stated for each tool, listed by `tool-catalog show --tokens`, held to a budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from functions.gateway import model_tokens
from tool_catalog import cli, compiled_file
from tool_catalog.building import build

MOST = {"mem0": (900, 4_500, 12_000), "mem0_oss": (600, 2_800, 3_500)}


@pytest.mark.parametrize("name", compiled_file.available())
def test_a_shipped_catalogue_keeps_its_budget(name: str) -> None:
    tools = compiled_file.load(name).tools.values()
    for tool in tools:
        assert tool.tokens == model_tokens.of_tool(tool.listed)
    one, core, full = MOST[name]
    assert max(tool.tokens for tool in tools) <= one
    assert 0 < sum(tool.tokens for tool in tools if tool.core) <= core
    assert sum(tool.tokens for tool in tools) <= full


def test_records_beyond_their_budget_are_refused(library: Path, edit: Callable[[str, str, str], None]) -> None:
    edit("books.yaml", "    title: List books\n", "    title: List books\n    core: true\n")
    edit("integration.yaml", "pinnable:", "token_budget: {tool: 20, core: 30, full: 40}\npinnable:")
    document, problems = build(library)
    assert document is None
    cost = next(problem.message for problem in problems if "costs a model" in problem.message).split()[5]
    assert [problem.message for problem in problems] == [
        f"methods.list: costs a model about {cost} tokens; token_budget.tool is 20",
        f"token_budget.core: 1 tools cost a model about {cost} tokens; `tool-catalog show --tokens` lists them",
        f"token_budget.full: 1 tools cost a model about {cost} tokens; `tool-catalog show --tokens` lists them",
    ]


def test_the_costs_are_listed_with_the_dearest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "--tokens", "mem0"]) == 0
    first, *rows, core, full = capsys.readouterr().out.splitlines()
    assert first == "Mem0: about so many tokens of name, description and input schema (o200k_base)"
    costs = [int(row.split()[0].replace(",", "")) for row in rows]
    assert costs == sorted(costs, reverse=True)
    marked = [int(row.split()[0]) for row in rows if row.endswith("  core")]
    assert core == f"{sum(marked):7,}  core, {len(marked)} tools"
    assert full == f"{sum(costs):7,}  full, {len(costs)} tools"


def test_the_costs_of_every_integration_are_listed_where_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "--tokens"]) == 0
    printed = capsys.readouterr().out
    assert all(compiled_file.load(name).label in printed for name in compiled_file.available())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show"], 2, "usage: tool-catalog show TOOL [INTEGRATION]"),
        (["show", "--tokens", "mem0", "search"], 2, "usage: tool-catalog show TOOL [INTEGRATION]"),
        (["show", "--tokens", "mem1"], 1, 'no compiled catalogue for integration "mem1"'),
        (["show", "serch", "mem0"], 1, 'there is no tool "serch"; did you mean "search" or "fetch"?'),
    ],
)
def test_a_wrong_show_says_what_is_right(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert cli.main(arguments) == code
    assert capsys.readouterr().err.startswith(said)
