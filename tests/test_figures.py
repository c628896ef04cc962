"""Figures in the pages that follow from the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from functions.admin_api.trusts import identities, service
from functions.gateway import caps, connections, http_connection, model_tokens, places, tracing
from functions.gateway.json_text import Json, text
from functions.gateway.settings import Settings
from functions.local import turns
from functions.purge import notices
from tests.mcp_endpoint.endpoint import Answer, Bench, legacy, opened, post

ROOT = Path(__file__).parents[1]
NUMBERS = {10: "ten", 13: "thirteen"}
"""Numbers that the pages have as words."""
READ = ("name", "description", "inputSchema")
"""What hosts give to a model of a tool."""


class _Template(yaml.SafeLoader):
    """YAML with the tags of CloudFormation, whose values are not needed."""


_Template.add_multi_constructor("!", lambda loader, suffix, node: None)


@pytest.fixture(name="bench", scope="module")
def _bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with opened(tmp_path_factory.mktemp("store")) as bench:
        yield bench


def _listing(bench: Bench, **config: Json) -> Answer:
    return post(bench.endpoint(), bench.mint(**config), legacy("tools/list"))


def _tools(bench: Bench, **config: Json) -> str:
    return str(len(_listing(bench, **config).json["result"]["tools"]))


def _kilobytes(bench: Bench) -> float:
    """The size of a listing of everything, to the next ten."""
    return round(len(_listing(bench).body) / 1_000, -1)


def _transfer(bench: Bench) -> str:
    """US dollars for a million listings, at 0.09 a gigabyte."""
    return f"{_kilobytes(bench) * 0.09:.2f}"


def _tokens(bench: Bench, **config: Json) -> str:
    """The tokens of a listing, to two digits."""
    tools = _listing(bench, **config).json["result"]["tools"]
    found = sum(model_tokens.about(text({name: tool[name] for name in READ})) for tool in tools)
    return f"{round(found, 2 - len(str(found))):,}"


def _alarms(_: Bench) -> str:
    """The alarms of a deployment without traces."""
    resources = yaml.load((ROOT / "template.yaml").read_text(), Loader=_Template)["Resources"]
    alarms = [one for one in resources.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    return str(sum(one.get("Condition") != "HasTraces" for one in alarms))


def _edge_fields(_: Bench) -> str:
    resources = yaml.load((ROOT / "template.yaml").read_text(), Loader=_Template)["Resources"]
    return NUMBERS[len(resources["EdgeLogDelivery"]["Properties"]["RecordFields"])]


def _constant(value: int, _: Bench) -> str:
    return NUMBERS.get(value, f"{value:,}")


FIGURES: list[tuple[str, str, Callable[[Bench], str]]] = [
    ("README.md", r"an MCP URL with (\d+) tools", _tools),
    ("README.md", r"list       (\d+) tools", _tools),
    ("README.md", r"a read-only server shows (\d+) tools", partial(_tools, methods=["read"])),
    ("README.md", r"MCP URL of one person: its (\d+) tools", partial(_tools, profile="core", pins={"user_id": "ada"})),
    (
        "docs/clients.md",
        r"MCP URL of one person: its (\d+) tools",
        partial(_tools, profile="core", pins={"user_id": "ada"}),
    ),
    ("docs/cost-and-limits.md", r"\d+ KB for the (\d+) tools of a server that shows everything", _tools),
    (
        "docs/cost-and-limits.md",
        r"(\d+) KB for the \d+ tools of a server that shows everything",
        lambda bench: f"{_kilobytes(bench):.0f}",
    ),
    ("docs/cost-and-limits.md", r"a million such listings are (\d+) GB", lambda bench: f"{_kilobytes(bench):.0f}"),
    ("docs/cost-and-limits.md", r"\| ([\d.]+) / million listings", _transfer),
    ("docs/cost-and-limits.md", r"alarms \| (\d+) × 0\.10", _alarms),
    ("docs/management-api.md", r"marks none refuses this profile \| ([\d,]+) tokens", partial(_tokens, profile="core")),
    ("docs/management-api.md", r"every selected tool \| ([\d,]+) tokens", _tokens),
    ("docs/management-api.md", r"for any number of tools \| ([\d,]+) tokens", partial(_tokens, profile="discovery")),
    ("docs/deploy.md", r"access log has (\w+) fields", _edge_fields),
]


LIMITS = "docs/cost-and-limits.md"
DEFAULTS = Settings()

FIGURES += [
    (LIMITS, where, partial(_constant, value))
    for where, value in (
        (r"\| request \| (\d+) MB", DEFAULTS.max_request_bytes // 1_000_000),
        (r"result text \| ([\d,]+) bytes", DEFAULTS.max_result_bytes),
        (r"upstream answer \| (\d+) MB", DEFAULTS.max_upstream_bytes // 1_000_000),
        (r"; ([\d,]+) pieces", http_connection.MAX_PIECES),
        (r"members of one object in a result \| ([\d,]+)", caps.MAX_MEMBERS),
        (r"calls of one server \| ([\d,]+) per minute", DEFAULTS.calls_per_minute),
        (r"per minute and ([\d,]+) at once in each process", DEFAULTS.call_burst),
        (r"on a laptop \| (\d+) begin at once", turns.FEW),
        (r"wait for a turn, at most (\d+) for", turns.QUEUE),
        (r"wait for a turn, at most \d+ for at most (\d+) s", int(turns.WAIT_SECONDS)),
        (r"waiting requests take (\d+) % of", round(turns.SHARE * 100)),
        (r"calls at once to one upstream \| (\d+) per account", places.PLACES),
        (r"per account and process, (\d+) more wait", places.QUEUE),
        (r"idle connection to an upstream \| (\d+) s", int(connections.IDLE_SECONDS)),
        (r"one upstream call \| (\d+) s", DEFAULTS.call_timeout_seconds),
        (r"log of calls \| (\d+) days", DEFAULTS.log_retention_days),
        (r"spans of a request to upstreams \| (\d+)", tracing.MAX_EXCHANGES),
        (r"notices to the webhook \| \d+ in a round, (\w+) at a time", notices.AT_ONCE),
        (r"trusts \| (\d+) of a deployment", service.MAX_TRUSTS),
        (r"identity token \| ([\d,]+) characters", identities.MAX_CHARS),
    )
]


@pytest.mark.parametrize(("page", "where", "figure"), FIGURES, ids=[f"{page} {where}" for page, where, _ in FIGURES])
def test_a_figure_in_a_page_is_that_of_the_code(
    bench: Bench, page: str, where: str, figure: Callable[[Bench], str]
) -> None:
    stated = re.findall(where, (ROOT / page).read_text(encoding="utf-8"))
    assert stated, "the page no longer has this figure; take it out of this list"
    assert set(stated) == {figure(bench)}
