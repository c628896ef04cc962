"""Large specifications in bounded work and memory, counted in processes of their own.

POSTERN_TEST_RESOURCES=200 imports 1,000 operations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from functions.gateway.json_text import Json

RESOURCES = int(os.environ.get("POSTERN_TEST_RESOURCES", "24"))
"""Kinds of things in the larger specification, of five operations each; the smaller one has a third of them."""

CALLS_PER_OPERATION = 300_000
"""Calls of Python and built-in functions, the whole command divided by its operations. Measured: 112,000."""

MOST_GROWTH = 3.5
"""Most calls for three times the operations, as a multiple. Measured: 2.6; work that grows with the square has 9."""

MOST_BYTES_PER_OPERATION = 500_000
BYTES_OF_THE_PROGRAM = 120_000_000
"""Memory at its peak: so much for the program, and so much for each operation. Measured: 60 MB and 0.19 MB."""

MEASURED = """
import json, pathlib, re, resource, runpy, sys
from tests.work import counted
def peak():
    # The kernel's own figure of this program: ru_maxrss also counts what the process was before it became this program.
    status = pathlib.Path("/proc/self/status")
    found = re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text()) if status.exists() else None
    return 1024 * (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
def command():
    try:
        runpy.run_module("tool_catalog.cli", run_name="__main__")
    except SystemExit as end:
        return end.code
code, calls = counted(command)
print(json.dumps([code, calls, peak()]), file=sys.stderr)
"""


def specification(resources: int) -> dict[str, Json]:
    """Five operations on each resource, whose schemas refer to one another in circles."""
    paths: dict[str, Json] = {}
    components: dict[str, Json] = {}
    identifier = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The record.",
        "schema": {"type": "string"},
    }
    for number in range(resources):
        name = f"thing{number}s"
        properties: dict[str, Json] = {
            f"field_{index}": {"type": "string", "description": f"Field {index} of the record, as text."}
            for index in range(12)
        }
        for key, step in (("next", number + 1), ("twin", number * 7)):
            reference = f"#/components/schemas/T{step % resources}"
            properties[key] = {"$ref": reference, "description": "Another record, as an object."}
        components[f"T{number}"] = {"type": "object", "properties": properties}
        one = {"$ref": f"#/components/schemas/T{number}"}
        answer = {"200": {"content": {"application/json": {"schema": one}}}}
        many = {"200": {"content": {"application/json": {"schema": {"type": "array", "items": one}}}}}
        body = {"content": {"application/json": {"schema": one}}}
        filters = [
            {
                "name": f"filter_{index}",
                "in": "query",
                "description": "Only records like this.",
                "schema": {"type": "string"},
            }
            for index in range(15)
        ]
        paths[f"/v1/{name}"] = {
            "get": {"summary": f"List the {name} there are.", "parameters": filters, "responses": many},
            "post": {"summary": f"Create one of the {name}.", "requestBody": body, "responses": answer},
        }
        paths[f"/v1/{name}/{{id}}"] = {
            "parameters": [identifier],
            "get": {"summary": f"Get one of the {name}.", "responses": answer},
            "patch": {"summary": f"Change one of the {name}.", "requestBody": body, "responses": answer},
            "delete": {"summary": f"Delete one of the {name}.", "responses": {"204": {"description": "Gone."}}},
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Things", "description": "Two hundred kinds of things."},
        "servers": [{"url": "https://things.example.com"}],
        "paths": paths,
        "components": {"schemas": components},
    }


def imported(resources: int, folder: Path) -> tuple[int, int]:
    """Calls made and bytes at the peak of importing a specification."""
    source = folder / f"things{resources}.json"
    source.write_text(json.dumps(specification(resources)))
    into = folder / str(resources)
    into.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "import", str(source), "--integration", "things", "--into", str(into)],
        capture_output=True,
        text=True,
        timeout=1_200,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    code, calls, peak = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    operations = resources * 5
    assert done.stdout.splitlines()[0] == (
        f"things: {operations} operations read; {operations} methods of {resources} resources, "
        f"{operations} pass the gate; {resources + 1} files written"
    )
    return calls, peak


def test_work_and_memory_grow_with_the_operations_and_no_faster(tmp_path: Path) -> None:
    few, _ = imported(RESOURCES // 3, tmp_path)
    many, peak = imported(RESOURCES, tmp_path)
    assert many < CALLS_PER_OPERATION * RESOURCES * 5
    assert many < few * MOST_GROWTH
    assert peak < BYTES_OF_THE_PROGRAM + MOST_BYTES_PER_OPERATION * RESOURCES * 5
