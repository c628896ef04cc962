"""Run the official conformance suite against the endpoint and keep docs/conformance.md true.

    python -m tests.conformance.run            run everything, write the table
    python -m tests.conformance.run --check    run everything, fail when the table is not what it says

Two catalogues are served by the same endpoint on a loopback socket: Mem0 as it is shipped, and the tools the suite asks
for (fixture.py). Each is run against each revision. The run fails on a scenario that fails unexpectedly and on one that
is expected to fail and passes: `expected/<catalogue>-<revision>.yaml` holds those, each with its reason.

Needs the Node packages that `tests/clients/install` puts into .cache/node.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from functions.gateway.settings import Settings
from tests.conformance import authorization, fixture
from tests.conformance.upstream import FixtureUpstream
from tests.mcp_endpoint.endpoint import Clock, listen, opened, served

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NODE_MODULES = ROOT / ".cache" / "node" / "node_modules"
PACKAGES = ROOT / "tests" / "clients" / "package.json"
TABLE = ROOT / "docs" / "conformance.md"

SUITE = (
    NODE_MODULES / "node" / "bin" / "node",
    NODE_MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js",
)
"""How the suite is started."""

AUTHORIZATION_SCENARIOS = 2
"""Scenarios for an authorization server that the suite has."""

REVISIONS = ("2026-07-28", "2025-11-25")
CATALOGUES = ("fixture", "mem0")

STREAM = re.compile(r"event stream|session")
"""In a reason: what a stateless server with JSON answers does not have."""

RUN_SECONDS = 300
"""Longest time of one run; a usual one takes 5 s."""

ENTRY = re.compile(r"\s*- (?P<scenario>[\w-]+)(:(?P<check>[\w-]+))?\s+# (?P<reason>.+)")
"""A line of an expected-failures file: a scenario or one of its checks, and why."""

SCENARIO_FOLDER = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
SUMMARY_LINE = re.compile(r"^[✓✗] (?P<scenario>[\w-]+): \d+ passed")
REQUIRED_LINE = re.compile(r"^  - (?P<scenario>[\w-]+)$")
COMPLAINT_LINE = re.compile(r"^  ✗ (?P<entry>\S+)$")


@dataclass(frozen=True)
class Scenario:
    """What one scenario came to in one run: its checks by status, and why those that do not pass do not."""

    name: str
    passed: int
    warned: int
    failed: int
    required: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One catalogue against one revision. `unexpected` names scenarios that failed, or passed, against expectation."""

    catalogue: str
    revision: str
    scenarios: tuple[Scenario, ...]
    unexpected: tuple[str, ...]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.run", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail when docs/conformance.md is stale; write nothing")
    check = parser.parse_args().check
    if not (NODE_MODULES / "@modelcontextprotocol" / "conformance").is_dir():
        print("the conformance suite is not installed; run tests/clients/install", file=sys.stderr)
        return 2
    runs = _run_all()
    signed_in = authorization.outcomes(SUITE)
    if len(signed_in) != AUTHORIZATION_SCENARIOS:
        print(f"authorization: {len(signed_in)} scenarios ran, not {AUTHORIZATION_SCENARIOS}", file=sys.stderr)
        return 1
    for outcome in signed_in:
        if outcome.failed or outcome.warned:
            print(f"authorization: not as expected: {outcome.name}", file=sys.stderr)
    for run in runs:
        for entry in run.unexpected:
            print(f"{run.catalogue} against {run.revision}: not as expected: {entry}", file=sys.stderr)
    table = _render(runs, signed_in)
    if check:
        if not TABLE.exists() or TABLE.read_text() != table:
            print("docs/conformance.md is stale; run `make conformance` and commit it", file=sys.stderr)
            return 1
    else:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(table)
    for run in runs:
        counts = _counts(run)
        print(f"{run.catalogue:8} {run.revision}  {counts['pass']} pass, {counts['expected']} expected failures")
    imperfect = any(outcome.failed or outcome.warned for outcome in signed_in)
    return 1 if imperfect or any(run.unexpected for run in runs) else 0


def _run_all() -> list[Run]:
    """Every catalogue against every revision, through one endpoint."""
    listener, origin = listen()
    settings = Settings(
        allowed_hosts=("127.0.0.1", "localhost"),
        allowed_origins=(origin, origin.replace("127.0.0.1", "localhost")),
    )

    with (
        tempfile.TemporaryDirectory() as folder,
        opened(
            Path(folder), settings=settings, clock=Clock(datetime.now(UTC)), sender=FixtureUpstream(settings)
        ) as bench,
    ):
        endpoint = bench.endpoint(fixture.methods(settings, bench.sender))
        tokens = {
            "fixture": bench.mint(integration=fixture.INTEGRATION, id="srv_fixture"),
            "mem0": bench.mint(id="srv_mem0"),
        }
        with served(endpoint, listener):
            return [
                _run(catalogue, revision, f"{origin}/mcp/{tokens[catalogue]}")
                for revision in REVISIONS
                for catalogue in CATALOGUES
            ]


def _run(catalogue: str, revision: str, url: str) -> Run:
    expected = HERE / "expected" / f"{catalogue}-{revision}.yaml"
    with tempfile.TemporaryDirectory() as folder:
        suite = _suite(
            *("server", "--url", url, "--requirements", revision),
            *("--expected-failures", str(expected), "--output-dir", folder),
        )
        statuses = {
            match["scenario"]: Counter(check["status"] for check in json.loads((path / "checks.json").read_text()))
            for path in Path(folder).iterdir()
            if (match := SCENARIO_FOLDER.fullmatch(path.name))
        }
    listed = _suite("list", "--server", "--requirements", revision).stdout.partition("Client scenarios")[0]
    required = {match["scenario"] for match in map(REQUIRED_LINE.match, listed.splitlines()) if match}
    reasons = _reasons(expected)
    lines = suite.stdout.splitlines() + suite.stderr.splitlines()
    scenarios = tuple(
        Scenario(
            name,
            statuses[name]["SUCCESS"],
            statuses[name]["WARNING"],
            statuses[name]["FAILURE"],
            name in required,
            reasons.get(name, ()),
        )
        for name in (match["scenario"] for match in map(SUMMARY_LINE.match, lines) if match)
    )
    unexpected = tuple(match["entry"] for match in map(COMPLAINT_LINE.match, lines) if match)
    if (suite.returncode and not unexpected) or not scenarios:
        raise RuntimeError(f"the suite broke off:\n{suite.stdout[-2000:]}{suite.stderr[-2000:]}".replace(url, "URL"))
    return Run(catalogue, revision, scenarios, unexpected)


def _suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SUITE, *arguments],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def _reasons(path: Path) -> dict[str, tuple[str, ...]]:
    """Scenario -> the reasons of its entries. Raises ValueError for an entry without a reason."""
    reasons: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip().startswith("- "):
            continue
        entry = ENTRY.fullmatch(line)
        if entry is None:
            raise ValueError(f"{path.name}:{number}: write `- scenario  # reason` or `- scenario:check  # reason`")
        told = reasons.setdefault(entry["scenario"], ())
        if entry["reason"] not in told:
            reasons[entry["scenario"]] = (*told, entry["reason"])
    return reasons


def _counts(run: Run) -> Counter[str]:
    return Counter(
        "expected" if scenario.failed or scenario.warned else "pass" for scenario in run.scenarios if scenario.required
    )


def _render(runs: list[Run], signed_in: list[authorization.Outcome]) -> str:
    version = json.loads(PACKAGES.read_text())["dependencies"]["@modelcontextprotocol/conformance"]
    lines = [
        "# Conformance",
        "",
        "<!-- Written by `make conformance`; CI fails when it is stale. -->",
        "",
        f"Results of the official suite, `@modelcontextprotocol/conformance` {version}, against the endpoint.",
        "",
        "- **fixture**: the tools and prompts that the suite requires (`tests/conformance/fixture.py`). The endpoint's",
        "  own code asks for input, seals the rounds, follows tasks, and serves prompts and resources. Some content is",
        "  canned, because nothing in the product has such content; the last column says what.",
        "- **mem0**: the shipped catalogue. It has none of the suite's own, so a scenario that needs one fails.",
        "",
        "Postern is stateless, answers with JSON (no event streams) and serves tools, prompts and resources. A cell",
        "shows the passed checks of all checks. Each scenario that does not pass has its reason. The reasons, line by",
        "line, are the expected failures that CI holds the runs to: `tests/conformance/expected/`.",
        "",
        "| revision | catalogue | required scenarios | pass | expected to fail or warn | not as expected |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        counts = _counts(run)
        lines.append(
            f"| {run.revision} | {run.catalogue} | {counts.total()} | {counts['pass']} | {counts['expected']} "
            f"| {len(run.unexpected)} |"
        )
    for revision in REVISIONS:
        by_catalogue = {run.catalogue: run for run in runs if run.revision == revision}
        lines += ["", f"## {revision}", "", *_plainly(by_catalogue["fixture"]), ""]
        lines += [
            "| scenario | fixture | mem0 | why it does not pass | canned by the fixture |",
            "|---|---|---|---|---|",
        ]
        mem0 = {scenario.name: scenario for scenario in by_catalogue["mem0"].scenarios}
        for scenario in by_catalogue["fixture"].scenarios:
            other = mem0[scenario.name]
            name = f"`{scenario.name}`" + ("" if scenario.required else " (not required)")
            why = "; ".join(scenario.reasons or [f"mem0: {reason}" for reason in other.reasons])
            canned = fixture.CANNED.get(scenario.name, "")
            lines.append(f"| {name} | {_cell(scenario)} | {_cell(other)} | {why} | {canned} |")
    lines += [
        "",
        "## Authorization server",
        "",
        "The suite's scenarios for an authorization server, against the management API ([oauth.md](oauth.md)). They",
        "are the same in each revision, and pass in product code.",
        "",
        "| scenario | result |",
        "|---|---|",
        *(f"| `{outcome.name}` | {outcome.cell} |" for outcome in signed_in),
    ]
    return "\n".join(lines) + "\n"


def _plainly(run: Run) -> list[str]:
    """What passes in product code alone, what the fixture has to help with, and what does not pass."""
    required = [scenario for scenario in run.scenarios if scenario.required]
    passing = [scenario for scenario in required if not scenario.failed and not scenario.warned]
    canned = [scenario for scenario in passing if scenario.name in fixture.CANNED]
    alone = len(passing) - len(canned)
    lines = [
        f"Of {len(required)} required scenarios, {alone} pass in product code alone. {len(canned)} more pass with "
        "content that the fixture cans."
    ]
    streams = [f"`{scenario.name}`" for scenario in required if any(map(STREAM.search, scenario.reasons))]
    others = [scenario for scenario in required if scenario not in passing and f"`{scenario.name}`" not in streams]
    if streams:
        lines.append(f"Not served, because they need an event stream or a session: {', '.join(streams)}.")
    if others:
        lines.append(f"Not served for another reason, see the table: {', '.join(f'`{one.name}`' for one in others)}.")
    return [row for line in lines for row in textwrap.wrap(line, 120, break_on_hyphens=False)]


def _cell(scenario: Scenario) -> str:
    total = scenario.passed + scenario.warned + scenario.failed
    if not total:
        return "not applicable"
    verdict = "fails" if scenario.failed else "warns" if scenario.warned else "passes"
    return f"{verdict} {scenario.passed}/{total}"


if __name__ == "__main__":
    sys.exit(main())
