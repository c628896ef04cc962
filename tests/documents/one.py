"""Measures one document in a process of its own: `python -m tests.documents.one FILE`. Prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

from functions.gateway.json_text import text
from functions.gateway.model_tokens import about
from tests.tool_catalog.openapi.self_test import examine, filled_in
from tool_catalog.openapi import importer
from tool_catalog.openapi.progress import Progress


def main() -> None:
    """Import once for time and memory, once with --passing, and then try what must hold for every document."""
    source = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        started = time.process_time()
        importer.run(importer.Options(source, "tried", folder / "timed"), Progress(StringIO(), lambda: 0.0))
        seconds = time.process_time() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        passing = importer.run(
            importer.Options(source, "tried", folder / "passing", passing=True), Progress(StringIO(), lambda: 0.0)
        )
        found = examine(source, folder / "tried")
        listed = [text(tool.listed) for tool in filled_in(source, folder / "listed").tools.values()]
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
