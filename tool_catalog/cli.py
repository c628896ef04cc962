"""`tool-catalog`: compile, check and show the catalogues.

    tool-catalog compile [INTEGRATION ...]    compiles records to compiled/<integration>.json, all or nothing
    tool-catalog check   [INTEGRATION ...]    exits with 1 if a compiled file is stale, and lists the differences
    tool-catalog show    TOOL [INTEGRATION]   prints what an agent sees and what the example sends upstream
    tool-catalog import  FILE --integration NAME   writes draft records, or updates them without losing hand edits

Exit codes: 0 done, 1 problems (on standard error), 2 usage error.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from functions.gateway import json_text
from functions.gateway.wording import did_you_mean, shown
from tool_catalog import catalog, naming
from tool_catalog.atomic_write import write_atomically
from tool_catalog.catalog import Json
from tool_catalog.compiler import compile_catalog, from_bytes, to_bytes
from tool_catalog.records import INTEGRATION_FILE, RECORDS, read_folder
from tool_catalog.yaml_source import Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "show":
        return _show(options.tool, options.integration, options.compiled)
    if options.command == "import":
        return _import(options)
    names = options.integrations or _integrations(options.records)
    outcomes = {name: build(options.records / name, drafts=options.allow_drafts) for name in names}
    problems = [problem for _, found in outcomes.values() for problem in found]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} problem{'s' if len(problems) != 1 else ''}; nothing was written", file=sys.stderr)
        return 1
    documents = {name: document for name, (document, _) in outcomes.items() if document is not None}
    if options.command == "check":
        orphans = set() if options.integrations else set(catalog.available(options.compiled)) - set(names)
        return _check(documents, options.compiled, sorted(orphans))
    for name, document in documents.items():
        path = options.compiled / f"{name}.json"
        write_atomically(path, to_bytes(document))
        print(f"{path.name}: {len(document['tools'])} tools")
        for line in _long_names(document):
            print(line, file=sys.stderr)
    return 0


def _long_names(document: dict[str, Json]) -> list[str]:
    """A warning about tool names that hosts with a prefix of their own may refuse."""
    names = [tool["definition"]["name"] for tool in document["tools"]]
    if not (long := [name for name in names if len(name) > naming.ROOMY_NAME]):
        return []
    return [
        f"{len(long)} of {len(names)} tool names have over {naming.ROOMY_NAME} characters, e.g. {long[0]}; hosts that "
        'put a prefix before it may refuse them, so give such a method a "name" of its own'
    ]


def build(folder: Path, *, drafts: bool = False) -> tuple[dict[str, Json] | None, list[Problem]]:
    """Compile the folder of one integration. Returns the document, or None and all problems."""
    records, problems = read_folder(folder)
    if records is None:
        return None, sorted(problems)
    document, found = compile_catalog(records, drafts=drafts)
    return (None if problems else document), sorted({*problems, *found})


def differences(old: dict[str, Json], new: dict[str, Json]) -> list[str]:
    """The differences between two compiled documents, one line for each tool or key."""
    lines = [f"{key}: changed" for key in new if key not in ("tools", "source_sha256") and old.get(key) != new[key]]
    before = {tool["definition"]["name"]: tool for tool in old.get("tools", ())}
    after = {tool["definition"]["name"]: tool for tool in new["tools"]}
    lines += [f"{name}: removed" for name in before if name not in after]
    for name, tool in after.items():
        if name not in before:
            lines.append(f"{name}: added")
        elif changed := list(_changed(before[name], tool, "")):
            own = [path for path in changed if not path.startswith("shown")]  # what is shown follows the definition
            lines.append(f"{name}: changed {', '.join(own or changed)}")
    if not lines and list(before) != list(after):
        lines.append("tools: order changed")
    if not lines and old != new:
        lines.append("the records changed, the tools did not")
    return lines


def _changed(old: Json, new: Json, path: str) -> list[str]:
    """Dotted paths of the parts that differ. A path ends where one side is not an object."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [line for key in keys for line in _changed(old.get(key), new.get(key), f"{path}.{key}" if path else key)]
    return [path.removeprefix("definition.")]


def _check(documents: dict[str, dict[str, Json]], compiled: Path, orphans: list[str]) -> int:
    stale = False
    for name, document in documents.items():
        path = compiled / f"{name}.json"
        content = path.read_bytes() if path.is_file() else None
        if content == to_bytes(document):
            print(f"{path.name}: up to date, {len(document['tools'])} tools")
            continue
        stale = True
        if content is None:
            lines = ["missing"]
        else:
            try:
                lines = differences(from_bytes(content), document) or ["not in canonical form"]
            except (ValueError, KeyError, TypeError):
                lines = ["not a compiled file of this version"]
        print(f"{path.name}: stale; run `tool-catalog compile`", file=sys.stderr)
        for line in lines:
            print(f"  {line}", file=sys.stderr)
    for orphan in orphans:
        print(f"{orphan}.json: has no records; remove the file", file=sys.stderr)
    return 1 if stale or orphans else 0


def _show(name: str, integration: str | None, compiled: Path) -> int:
    for candidate in [integration] if integration else catalog.available(compiled):
        loaded = catalog.load(candidate, compiled)
        tool = loaded.tools.get(name)
        if tool is None:
            continue
        print(_shown(tool, loaded.base_url))
        return 0
    known = [tool for name in catalog.available(compiled) for tool in catalog.load(name, compiled).tools]
    print(f"there is no tool {shown(name)}{did_you_mean(name, known, instead=f'{len(known)} tools')}", file=sys.stderr)
    return 1


def _shown(tool: catalog.Tool, base_url: str) -> str:
    """What an agent sees of a tool, and then where each value of its example goes upstream."""
    lines = [json_text.readable(tool.definition), ""]
    lines.append(f"{tool.resource}.{tool.method}: {tool.access}; tags {', '.join(tool.tags)}")
    lines.append(f"example: {json_text.spaced(tool.example)}")
    lines.append(f"upstream: {tool.request.verb} {base_url}{tool.request.path}")
    for parameter in tool.request.parameters:
        if parameter.argument is not None and parameter.argument in tool.example:
            source = f"{json_text.spaced(tool.example[parameter.argument])} (argument {parameter.argument})"
        elif parameter.context is not None:
            source = f"the account's {parameter.context}"
        elif parameter.value is not None and parameter.location != "result":
            source = json_text.spaced(parameter.value)
        else:
            continue
        where = "our answer" if parameter.location == "result" else parameter.location
        style = f", {parameter.style}" if parameter.style else ""
        lines.append(f"  {where} {parameter.name or '(whole)'}{style} = {source}")
    return "\n".join(lines)


def _import(options: argparse.Namespace) -> int:
    from tool_catalog.openapi import importer
    from tool_catalog.openapi.document import CannotImport
    from tool_catalog.openapi.progress import Progress

    asked = importer.Options(
        options.source,
        options.integration,
        options.into or options.records,
        base_url=options.base_url,
        passing=options.passing,
        deprecated=options.deprecated,
        draft_texts=options.draft_texts,
        paths=tuple(options.path),
    )
    try:
        report = importer.run(asked, Progress(sys.stderr, time.monotonic))
    except CannotImport as error:
        print(f"{error}\nnothing was written", file=sys.stderr)
        return 1
    for line in report.lines():
        print(line)
    return 0


def _integrations(records: Path) -> list[str]:
    return sorted(path.parent.name for path in records.glob(f"*/{INTEGRATION_FILE}"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tool-catalog", description="Compile documentation records into tool catalogues."
    )
    parser.add_argument(
        "--records", type=Path, default=RECORDS, help="folder of the records (default: that of the package)"
    )
    parser.add_argument("--compiled", type=Path, default=catalog.COMPILED, help="folder of the compiled files")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("compile", "write the compiled files"),
        ("check", "compare the compiled files with the records"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("integrations", nargs="*", metavar="INTEGRATION", help="default: all")
        command.add_argument(
            "--allow-drafts", action="store_true", help="accept texts that `import --draft-texts` made up"
        )
    importing = commands.add_parser("import", help="write draft records from an OpenAPI 3 or Swagger 2.0 file")
    importing.add_argument("source", type=Path, metavar="FILE", help="a JSON or YAML file; nothing is fetched")
    importing.add_argument(
        "--integration", required=True, metavar="NAME", help="name of the integration and of its folder"
    )
    importing.add_argument("--into", type=Path, metavar="DIR", help="folder of the records (default: --records)")
    importing.add_argument("--base-url", metavar="URL", help="replaces the server that the file names")
    importing.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="GLOB",
        help='import only these paths, e.g. "/v1/customers*"; repeatable',
    )
    importing.add_argument("--passing", action="store_true", help="leave out what does not pass the gate")
    importing.add_argument(
        "--draft-texts", action="store_true", help="make up a marked description where the file has none"
    )
    importing.add_argument("--deprecated", action="store_true", help="import deprecated operations, too")
    show = commands.add_parser("show", help="print one tool as an agent sees it")
    show.add_argument("tool", metavar="TOOL")
    show.add_argument("integration", nargs="?", metavar="INTEGRATION")
    return parser


if __name__ == "__main__":
    sys.exit(main())
