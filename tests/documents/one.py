"""Measures one document in a process of its own: `python -m tests.documents.one FILE`. Prints JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

from functions.gateway.json_text import text
from functions.gateway.model_tokens import about
from tests.tool_catalog.openapi.self_test import judged
from tool_catalog.openapi import importer
from tool_catalog.openapi.progress import Progress


def _peak_megabytes() -> float:
    """The most memory that this process had: a child's `ru_maxrss` begins with that of its parent."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def main() -> None:
    """Import once, for time and memory too, try what must hold for every document, and import with --passing."""
    source = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        started = time.process_time()
        report = importer.run(importer.Options(source, "tried", folder / "tried"), Progress(StringIO(), lambda: 0.0))
        seconds = time.process_time() - started
        memory = _peak_megabytes()
        found = judged(report, source, folder / "tried")
        passing = importer.run(
            importer.Options(source, "tried", folder / "passing", passing=True), Progress(StringIO(), lambda: 0.0)
        )
    listed = [text(tool.listed) for tool in found.loaded.tools.values()] if found.loaded else []
    figures = {
        "operations": found.operations,
        "drafted": found.methods,
        "untouched": found.passing,
        "passing": passing.methods,
        "problems": found.problems,
        "examples": found.examples,
        "refused": found.refused,
        "contradicting": len(found.contradicting),
        "seconds": seconds,
        "megabytes": memory,
        "tools": len(listed),
        "bytes": sum(map(len, listed)),
        "tokens": sum(map(about, listed)),
    }
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
