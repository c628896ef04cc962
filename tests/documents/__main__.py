"""The public documents one by one, and the table about them in docs/openapi.md.

    python -m tests.documents                  all documents, beside FastMCP; writes the table
    python -m tests.documents Stripe Box       these alone; prints the table

Exit code 1 if a draft cannot be mended by words, or if a tool refuses an example that its document allows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from functions.gateway.json_text import text
from functions.gateway.model_tokens import about
from tests.benchmarks.preparing import NotInstalled, python_of
from tests.documents.packages import DOCUMENTS, NotFetched, Public

Json = Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "openapi.md"
BEGIN, END = "<!-- make documents: begin -->", "<!-- make documents: end -->"

SECONDS = 1_800
"""Longest work on one document, which is imported twice. GitHub's 1,200 operations take some three minutes."""

PEER_SECONDS = 600
"""Longest conversion by FastMCP."""

HEAD = (
    *("document", "operations", "drafted", "untouched", "`--passing`", "own examples", "import", "memory", "tools"),
    *("listing", "tokens", "FastMCP's tools", "listing", "tokens", "ratio"),
)


def main(labels: Sequence[str]) -> int:
    """Measure, print as it goes, write the table."""
    chosen = [one for one in DOCUMENTS if not labels or one.label in labels]
    rows: list[str] = []
    failed = False
    for document in chosen:
        try:
            figures = _measured(document.file)
        except NotFetched as error:
            print(f"{document.label}: {error}", file=sys.stderr)
            failed = True
            continue
        if figures["tools"]:
            rows.append(_row(document, figures, _peer(document.file)))
            print(rows[-1], flush=True)
        for problem in (*figures["problems"], *figures["refused"]):
            print(f"{document.label}: {problem[:300]}", file=sys.stderr)
            failed = True
    if not labels and not failed:
        table = "\n".join((f"| {' | '.join(HEAD)} |", f"|---{'|---:' * (len(HEAD) - 1)}|", *rows))
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return 1 if failed else 0


def _measured(file: Path) -> dict[str, Json]:
    command = [sys.executable, "-m", "tests.documents.one", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True, cwd=ROOT)
    figures: dict[str, Json] = json.loads(done.stdout)
    return figures


def _peer(file: Path) -> list[str] | None:
    """The definitions that FastMCP lists for the document, as compact JSON; None where it refuses the document."""
    try:
        python = python_of("fastmcp")
    except NotInstalled as error:
        sys.exit(f"FastMCP cannot be installed: {error}")
    done = subprocess.run(
        [str(python), str(Path(__file__).parent / "fastmcp_listing.py"), str(file)],
        capture_output=True,
        text=True,
        timeout=PEER_SECONDS,
        check=False,
    )
    return [text(definition) for definition in json.loads(done.stdout)] if done.returncode == 0 else None


def _row(document: Public, figures: dict[str, Json], peer: list[str] | None) -> str:
    accepted = figures["examples"] - len(figures["refused"]) - figures["contradicting"]
    examples = f"{accepted} of {figures['examples'] - figures['contradicting']}" if figures["examples"] else "none"
    if figures["contradicting"]:
        examples += f" ({figures['contradicting']} contradict)"
    cells = [
        document.label,
        *(f"{figures[key]:,}" for key in ("operations", "drafted", "untouched", "passing")),
        examples,
        f"{figures['seconds']:.1f} s",
        f"{figures['megabytes']:.0f} MB",
        f"{figures['tools']:,}",
        f"{figures['bytes'] / 1000:,.0f} kB",
        f"{figures['tokens']:,}",
    ]
    if peer is None:
        return f"| {' | '.join([*cells, 'refuses it', '', '', ''])} |"
    size, tokens = sum(map(len, peer)), sum(map(about, peer))
    ratio = (size / max(len(peer), 1)) / (figures["bytes"] / max(figures["tools"], 1))
    cells += [f"{len(peer):,}", f"{size / 1000:,.0f} kB", f"{tokens:,}", f"{ratio:.1f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
