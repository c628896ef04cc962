"""What holds for the import of any document, whatever it describes.

- Every draft compiles once its missing words are filled in: there is no draft that no person can repair.
- Each request example of the document is accepted by the tool made from its operation, and leaves as it is documented.
  Examples of parameters are accepted, too. An example that its own schema refuses is counted apart.

Run on a document of your own: `python -m tests.tool_catalog.openapi.self_test FILE...`
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema_rs

from functions.gateway import paging, requests
from functions.gateway.errors import ToolFailure
from tests.tool_catalog.openapi.words import fill_in
from tool_catalog import building, compiled_file
from tool_catalog.catalog import Catalog, Tool
from tool_catalog.compiled_document import to_bytes
from tool_catalog.openapi import importer
from tool_catalog.openapi.document import Document, Operation, Unresolvable, read
from tool_catalog.openapi.progress import Progress
from tool_catalog.openapi.report import Report
from tool_catalog.request_template import media_kind

Json = Any


@dataclass
class Findings:
    """Of one document: operations, methods, problems that no words mend, its catalogue, and examples of requests.

    `refused` examples are allowed by the document and not by the tool; `contradicting` ones are not allowed by either.
    """

    operations: int = 0
    methods: int = 0
    passing: int = 0
    problems: list[str] = field(default_factory=list)
    examples: int = 0
    refused: list[str] = field(default_factory=list)
    contradicting: list[str] = field(default_factory=list)
    loaded: Catalog | None = None

    def judge(self, document: Document, schema: Json, example: Json, what: str, problem: str) -> None:
        """Count an example of `schema`, which has this problem or ""."""
        self.examples += 1
        if problem:
            allowed = is_allowed(document, schema, example)
            (self.refused if allowed else self.contradicting).append(f"{what}: {problem}")


def examine(source: Path, folder: Path) -> Findings:
    """Import `source` into `folder`, and try both."""
    return judged(
        importer.run(importer.Options(source, "tried", folder), Progress(StringIO(), lambda: 0.0)), source, folder
    )


def judged(report: Report, source: Path, folder: Path) -> Findings:
    """Both, of an import into `folder` that was done."""
    found = Findings(report.operations, report.methods, report.passed)
    fill_in(folder / "tried")
    built, problems = building.build(folder / "tried")
    found.problems = [str(problem) for problem in problems]
    if built is None:
        return found
    found.loaded = loaded = compiled_file.read(to_bytes(built), "tried.json")
    document = read(source)
    known = json.loads((folder / "tried" / importer.MEMORY).read_text())["operations"]
    tools = {(tool.resource, tool.method): tool for tool in loaded.tools.values()}
    for operation in document.operations():
        if isinstance(operation, Operation) and tuple(known.get(operation.key, ())) in tools:
            tool = tools[tuple(known[operation.key])]
            for schema, example in body_examples(document, operation, tool):
                found.judge(document, schema, example, operation.key, tried(tool, loaded, example))
            for name, schema, example in parameter_examples(document, operation):
                if (part := argument_schema(tool, name)) is not None:
                    error = next(_checks(part).iter_errors(example), None)
                    found.judge(document, schema, example, f"{operation.key} {name[1]}", error.message if error else "")
    return found


def filled_in(source: Path, folder: Path) -> Catalog:
    """The catalogue of `source`, imported into `folder`, with its missing words filled in."""
    importer.run(importer.Options(source, "tried", folder), Progress(StringIO(), lambda: 0.0))
    fill_in(folder / "tried")
    built, problems = building.build(folder / "tried")
    assert built is not None, problems
    return compiled_file.read(to_bytes(built), "tried.json")


def body_examples(document: Document, operation: Operation, tool: Tool) -> Iterator[tuple[Json, Json]]:
    """The examples of the request body in the media type that the tool sends, each with its schema."""
    try:
        body = document.resolve(operation.data.get("requestBody"))
        for media_type, entry in (body.get("content") or {}).items():
            media = document.resolve(entry)
            if media_kind(media_type) != media_kind(tool.request.media_type):
                continue
            schema = media.get("schema", {})
            for example in (*_examples(document, media), *_examples(document, document.resolve(schema))):
                yield schema, example
            return
    except Unresolvable:
        return


def parameter_examples(document: Document, operation: Operation) -> Iterator[tuple[tuple[str, str], Json, Json]]:
    """The examples of parameters: location and name, schema, example."""
    for parameter in operation.parameters:
        schema = parameter.get("schema")
        if isinstance(schema, dict):
            for example in (*_examples(document, parameter), *_examples(document, document.resolve(schema))):
                yield (str(parameter.get("in")), parameter["name"]), schema, example


def _examples(document: Document, node: Mapping[str, Json]) -> Iterator[Json]:
    """The values of `example` and `examples`, which is a list in a schema and a mapping elsewhere."""
    if "example" in node:
        yield node["example"]
    several = node.get("examples")
    if isinstance(several, list):
        yield from several
    for example in several.values() if isinstance(several, dict) else ():
        if "value" in (resolved := document.resolve(example)):
            yield resolved["value"]


def argument_schema(tool: Tool, name: tuple[str, str]) -> Json:
    """The schema of the argument that is sent as a parameter; None where paging or a credential replaces it."""
    for one in tool.request.parameters:
        if (one.location, one.name) == name and one.argument is not None:
            return tool.definition["inputSchema"]["properties"][one.argument]
    return None


def _checks(schema: Json) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def is_allowed(document: Document, schema: Json, example: Json) -> bool:
    """Whether the document's own schema allows the example, read here apart from the importer."""
    try:
        return _checks({**_as_2020(document.data), "allOf": [_as_2020(schema)]}).is_valid(example)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return True  # a schema that cannot be checked refuses nothing


def _as_2020(node: Json) -> Json:
    """Schemas of OpenAPI 3.0 as in 3.1. A request need not have what is readOnly."""
    if isinstance(node, list):
        return [_as_2020(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    made = {key: _as_2020(value) for key, value in node.items()}
    if made.get("nullable") is True:
        if isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
        if isinstance(made.get("enum"), list):
            made["enum"] = [*made["enum"], None]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(flag := made.get(exclusive), bool):
            del made[exclusive]
            if flag and bound in made:
                made[exclusive] = made.pop(bound)
    properties = made.get("properties")
    if isinstance(properties, dict) and isinstance(made.get("required"), list):
        read_only = {name for name, part in properties.items() if isinstance(part, dict) and part.get("readOnly")}
        made["required"] = [name for name in made["required"] if name not in read_only]
    return made


def tried(tool: Tool, loaded: Catalog, example: Json) -> str:
    """Why the example is refused, or how the body that leaves differs from it; "" if neither."""
    given = {**tool.example, **arguments(tool, example)}
    for name in [name for name in given if is_body(tool, name) and name not in arguments(tool, example)]:
        del given[name]
    schema = tool.definition["inputSchema"]
    error = next(iter(_checks(schema).iter_errors(given)), None)
    if error is not None:
        return f"{'.'.join(map(str, error.instance_path))}: {error.message[:160]}"
    try:
        request = requests.build(tool, given, loaded.base_url, {}, paging.start(tool, given))
    except ToolFailure as failure:
        return failure.message
    if media_kind(tool.request.media_type) is None:
        return "" if request.body == str(example).encode() else "other bytes leave"
    if media_kind(tool.request.media_type) != "json":
        return ""
    sent = json.loads(request.body) if request.body else None if example is None else {}
    return "" if is_part(sent, example) else f"differs at {difference(example, sent, '')}"


def is_part(sent: Json, example: Json, levels: int = 2) -> bool:
    """Whether the example leaves as it is, less members of its root that the source calls readOnly or does not know.

    What is inside an argument is compared as it is; only the root, and a wrapper around it, are made of arguments.
    """
    if sent == example:
        return True
    if not (levels and isinstance(sent, Mapping) and isinstance(example, Mapping)):
        return False
    return all(name in example and is_part(value, example[name], levels - 1) for name, value in sent.items())


def difference(one: Json, other: Json, path: str) -> str:
    """The first place where two values differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in (*one, *other):
            if name not in one or name not in other or one[name] != other[name]:
                return difference(one.get(name, ...), other.get(name, ...), f"{path}.{name}")
    shown = ["nothing" if value is ... else json.dumps(value)[:60] for value in (one, other)]
    return f"{path}: {' became '.join(shown)}"


def arguments(tool: Tool, example: Json) -> dict[str, Json]:
    """The arguments that give this body."""
    found: dict[str, Json] = {}
    rest = dict(example) if isinstance(example, Mapping) else example
    if media_kind(tool.request.media_type) is None:
        rest = base64.b64encode(str(example).encode()).decode()
    whole = ""
    for parameter in tool.request.parameters:
        if parameter.location != "body" or parameter.argument is None:
            continue
        if parameter.name == "":
            whole = parameter.argument
            continue
        steps = parameter.name[1:].split("/") if parameter.name.startswith("/") else [parameter.name]
        value: Json = example
        for step in (step.replace("~1", "/").replace("~0", "~") for step in steps):
            value = value.get(step, ...) if isinstance(value, Mapping) else ...
        if value is not ...:
            found[parameter.argument] = {"name": "x", "text": str(value)} if parameter.style == "file" else value
            rest.pop(steps[0], None)
    if whole and rest:
        found[whole] = rest
    return found


def is_body(tool: Tool, name: str) -> bool:
    return any(one.argument == name and one.location == "body" for one in tool.request.parameters)


def main() -> None:
    for name in sys.argv[1:]:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = examine(Path(name), Path(folder))
        accepted = found.examples - len(found.refused) - len(found.contradicting)
        print(
            f"{Path(name).name}: {found.operations} operations, {found.methods} methods, {found.passing} pass; "
            f"{len(found.problems)} problems that words do not mend; {accepted} of {found.examples} examples accepted, "
            f"{len(found.contradicting)} contradict their own schema; {time.monotonic() - started:.1f} s"
        )
        for line in (*found.problems[:15], *found.refused[:40], "", *found.contradicting[:20]):
            print("   ", line[:300])


if __name__ == "__main__":
    main()
