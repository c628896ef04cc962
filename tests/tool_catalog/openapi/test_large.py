"""A large specification in bounded work and memory, counted in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from functions.gateway.json_text import Json

RESOURCES = 200
CALLS_PER_OPERATION = 300_000
"""Calls of Python and built-in functions, the whole command divided by its operations. Measured: 112,000."""
MOST_BYTES = 1_000_000_000

MEASURED = """
import json, resource, runpy, sys
from tests.work import counted
def command():
    try:
        runpy.run_module("tool_catalog.cli", run_name="__main__")
    except SystemExit as end:
        return end.code
code, calls = counted(command)
print(json.dumps([code, calls, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]), file=sys.stderr)
"""


def specification() -> dict[str, Json]:
    """1,000 operations: five on each of 200 resources, whose schemas refer to one another in circles."""
    paths: dict[str, Json] = {}
    components: dict[str, Json] = {}
    identifier = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The record.",
        "schema": {"type": "string"},
    }
    for number in range(RESOURCES):
        name = f"thing{number}s"
        properties: dict[str, Json] = {
            f"field_{index}": {"type": "string", "description": f"Field {index} of the record, as text."}
            for index in range(12)
        }
        for key, step in (("next", number + 1), ("twin", number * 7)):
            reference = f"#/components/schemas/T{step % RESOURCES}"
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


def test_a_thousand_operations_take_bounded_work_and_a_gigabyte(tmp_path: Path) -> None:
    source = tmp_path / "things.json"
    source.write_text(json.dumps(specification()))
    command = ["import", str(source), "--integration", "things", "--into", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        capture_output=True,
        text=True,
        timeout=1_200,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    code, calls, peak = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first == "things: 1000 operations read; 1000 methods of 200 resources, 1000 pass the gate; 201 files written"
    assert calls < CALLS_PER_OPERATION * 1_000
    assert peak < MOST_BYTES
