"""What the tools may cost a model: the rule of the gate for the budget that integration.yaml sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import TokenBudgetRecord
from tool_catalog.schemas import Place


def check_budget(
    budget: TokenBudgetRecord, tools: Sequence[Mapping[str, Json]], named: Mapping[str, Place], place: Place, gate: Gate
) -> None:
    """Each tool, the core tools and all tools together cost at most what the budget says. `named`: a tool's place."""
    core = [tool for tool in tools if tool["core"]]
    for key, chosen, most in (("core", core, budget.core), ("full", tools, budget.full)):
        if most is not None and (total := sum(tool["tokens"] for tool in chosen)) > most:
            gate.report(
                place.at(key),
                f"{len(chosen)} tools cost a model about {total:,} tokens; `tool-catalog show --tokens` lists them",
            )
    for tool in tools:
        if budget.tool is not None and tool["tokens"] > budget.tool:
            gate.report(
                named[tool["definition"]["name"]],
                f"costs a model about {tool['tokens']} tokens; token_budget.tool is {budget.tool}",
            )
