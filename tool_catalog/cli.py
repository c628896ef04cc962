"""`tool-catalog`: make, compile, check, compare and show catalogues.

    tool-catalog compile [INTEGRATION ...]    compiles records to compiled/<integration>.json, all or nothing
    tool-catalog check   [INTEGRATION ...]    exits with 1 if a compiled file is stale, and lists the differences
    tool-catalog diff    [OLD [NEW]]          what an agent sees change; exits with 1 if it sees any change
    tool-catalog show    TOOL [INTEGRATION]   prints what an agent sees and what the example sends upstream
    tool-catalog show    --tokens [INTEGRATION]    prints what each tool costs a model
    tool-catalog new     NAME --base-url URL  writes the first records of an API, to be filled in
    tool-catalog import  FILE --integration NAME   writes draft records, or updates them without losing hand edits

The folders of catalogues are that of the package and those that POSTERN_CATALOGS names; `--into DIR` takes one instead.
Exit codes: 0 done, 1 problems (on standard error), 2 usage error.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from functions.gateway import json_text
from functions.gateway.wording import did_you_mean, one_of, shown
from tool_catalog import catalog, compiled_file, folders, naming, sarif
from tool_catalog.atomic_write import write_atomically
from tool_catalog.building import build
from tool_catalog.catalog import Json
from tool_catalog.compiled_document import to_bytes
from tool_catalog.folders import PACKAGE, Folder, FolderError
from tool_catalog.staleness import stale_files


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code = _run(options, environment)
        sys.stdout.flush()
        return code
    except FolderError as problem:
        print(problem, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader went away, e.g. `tool-catalog show TOOL | head`. Without another target, Python reports it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    if options.command == "new":
        return _new(options, environment)
    if options.command == "import":
        return _import(options, environment)
    chosen = _folders(options, environment)
    homes = folders.homes(chosen)
    if options.command == "show":
        return _show(options, homes)
    if options.command == "diff":
        return _diff(options, chosen)
    return _compile_or_check(options, chosen, homes)


def _folders(options: argparse.Namespace, environment: Mapping[str, str]) -> tuple[Folder, ...]:
    """The folders that a command works on; one without a catalogue is named. Raises FolderError."""
    if options.into is not None:
        chosen: tuple[Folder, ...] = (folders.opened(options.into, "--into"),)
        if not chosen[0].integrations():
            raise FolderError(folders.empty(chosen[0]))
        return chosen
    own = folders.own(environment.get(folders.VARIABLE, ""))
    for folder in own:
        if not folder.integrations():
            print(folders.empty(folder), file=sys.stderr)
    return (PACKAGE, *own)


def _target(options: argparse.Namespace, environment: Mapping[str, str]) -> Folder:
    """The folder that new records go to: --into, otherwise the first of your own, otherwise that of the package."""
    if options.into is not None:
        return Folder(options.into)
    return next(iter(folders.own(environment.get(folders.VARIABLE, ""))), PACKAGE)


def _compile_or_check(options: argparse.Namespace, chosen: Sequence[Folder], homes: Mapping[str, Folder]) -> int:
    names = options.integrations or [name for folder in chosen for name in folder.recorded()]
    where = {name: homes.get(name, chosen[0]) for name in names}
    outcomes = {name: build(folder.records / name, drafts=options.allow_drafts) for name, folder in where.items()}
    problems = [problem for _, found in outcomes.values() for problem in found]
    documents = {name: document for name, (document, _) in outcomes.items() if document is not None}
    if options.command == "check" and options.format == "sarif":
        stale = {} if problems else stale_files(documents, where)
        found = [(where[name].records, problem) for name, (_, more) in outcomes.items() for problem in more]
        files = {where[name].compiled_file(name): lines for name, lines in stale.items()}
        print(json_text.readable(sarif.log(found, files, Path.cwd())))
        return 1 if found or files else 0
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} problem{'s' if len(problems) != 1 else ''}; nothing was written", file=sys.stderr)
        return 1
    if options.command == "check":
        return _check(documents, where, [] if options.integrations else chosen)
    for name, document in documents.items():
        path = where[name].compiled_file(name)
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


def _check(documents: Mapping[str, dict[str, Json]], where: Mapping[str, Folder], chosen: Sequence[Folder]) -> int:
    stale = stale_files(documents, where)
    for name, document in documents.items():
        if name not in stale:
            print(f"{name}.json: up to date, {len(document['tools'])} tools")
            continue
        print(f"{name}.json: stale; run `tool-catalog compile`", file=sys.stderr)
        for line in stale[name]:
            print(f"  {line}", file=sys.stderr)
    orphans = [
        name
        for folder in chosen
        if folder.recorded()  # a folder that holds compiled files only was made somewhere else, and is taken as it is
        for name in folder.integrations()
        if name not in folder.recorded()
    ]
    for orphan in orphans:
        print(f"{orphan}.json: has no records; remove the file", file=sys.stderr)
    return 1 if stale or orphans else 0


def _diff(options: argparse.Namespace, chosen: Sequence[Folder]) -> int:
    from tool_catalog import comparison, revisions

    try:
        old, new = revisions.sides(options.old, options.new, chosen, Path.cwd())
    except revisions.Unreadable as problem:
        print(problem, file=sys.stderr)
        return 2
    found = comparison.compare(old, new)
    if options.format == "json":
        print(json_text.readable([change.to_json() for change in found]))
    else:
        for line in comparison.lines(found, old, new):
            print(line)
    counted = [change for change in found if change.breaking or not options.breaking]
    return 1 if counted else 0


def _show(options: argparse.Namespace, homes: Mapping[str, Folder]) -> int:
    names = options.names
    if len(names) > (1 if options.tokens else 2) or not (names or options.tokens):
        print("usage: tool-catalog show TOOL [INTEGRATION], or show --tokens [INTEGRATION]", file=sys.stderr)
        return 2
    integration = names[-1] if len(names) > (not options.tokens) else None
    loaded = [
        compiled_file.load(name, folder.compiled)
        for name, folder in homes.items()
        if integration in (None, name) and folder.compiled_file(name).is_file()
    ]
    if not loaded:
        known = one_of(sorted(homes))
        print(f"no compiled catalogue for integration {shown(integration)}; available: {known}", file=sys.stderr)
        return 1
    if options.tokens:
        for one in loaded:
            print("\n".join(_tokens(one)))
        return 0
    for one in loaded:
        if names[0] in one.tools:
            print(_shown(one.tools[names[0]], one.base_url))
            return 0
    tools = [tool for one in loaded for tool in one.tools]
    hint = did_you_mean(names[0], tools, instead=f"{len(tools)} tools")
    print(f"there is no tool {shown(names[0])}{hint}", file=sys.stderr)
    return 1


def _tokens(loaded: catalog.Catalog) -> list[str]:
    """What each tool costs a model, the dearest first, and then what each profile costs."""
    tools = sorted(loaded.tools.values(), key=lambda tool: (-tool.tokens, tool.name))
    core = [tool for tool in tools if tool.core]
    lines = [f"{loaded.label}: about so many tokens of name, description and input schema (o200k_base)"]
    lines += [f"{tool.tokens:7,}  {tool.name}{'  core' if tool.core else ''}" for tool in tools]
    if core:
        lines.append(f"{sum(tool.tokens for tool in core):7,}  core, {len(core)} tools")
    return [*lines, f"{sum(tool.tokens for tool in tools):7,}  full, {len(tools)} tools"]


def _new(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from tool_catalog import skeleton

    target = _target(options, environment)
    try:
        written = skeleton.write(target, options.name, options.base_url)
    except skeleton.CannotStart as problem:
        print(problem, file=sys.stderr)
        return 1
    for path in written:
        print(path)
    into = f" --into {options.into}" if options.into is not None else ""
    print(f"Write what the texts that begin with DRAFT leave open, then run: tool-catalog compile {options.name}{into}")
    return 0


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


def _import(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from tool_catalog.openapi import importer
    from tool_catalog.openapi.document import CannotImport
    from tool_catalog.openapi.progress import Progress

    asked = importer.Options(
        options.source,
        options.integration,
        _target(options, environment).records,
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tool-catalog", description="Compile documentation records into tool catalogues."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    of_folder = argparse.ArgumentParser(add_help=False)
    of_folder.add_argument(
        "--into",
        type=Path,
        metavar="DIR",
        help=f"folder with records/ and compiled/ (default: that of the package, and those of {folders.VARIABLE})",
    )
    for name, text in (
        ("compile", "write the compiled files"),
        ("check", "compare the compiled files with the records"),
    ):
        command = commands.add_parser(name, parents=[of_folder], help=text)
        command.add_argument("integrations", nargs="*", metavar="INTEGRATION", help="default: all")
        command.add_argument(
            "--allow-drafts", action="store_true", help="accept texts that `import --draft-texts` or `new` made up"
        )
        if name == "check":
            command.add_argument(
                "--format",
                choices=("text", "sarif"),
                default="text",
                help="sarif: for code scanning, on standard output",
            )
    comparing = commands.add_parser("diff", parents=[of_folder], help="show what an agent will see change")
    comparing.add_argument(
        "old", nargs="?", metavar="OLD", default="HEAD", help="git ref, compiled file or folder (default: HEAD)"
    )
    comparing.add_argument(
        "new", nargs="?", metavar="NEW", help="the same (default: the records as they are now, compiled in memory)"
    )
    comparing.add_argument(
        "--breaking", action="store_true", help="exit with 1 only for a change that a working call may not survive"
    )
    comparing.add_argument("--format", choices=("text", "json"), default="text")
    making = commands.add_parser("new", parents=[of_folder], help="write the first records of an API")
    making.add_argument("name", metavar="NAME", help="name of the integration and of its folder")
    making.add_argument("--base-url", required=True, metavar="URL", help="address that request paths are appended to")
    importing = commands.add_parser(
        "import", parents=[of_folder], help="write draft records from an OpenAPI 3 or Swagger 2.0 file"
    )
    importing.add_argument("source", type=Path, metavar="FILE", help="a JSON or YAML file; nothing is fetched")
    importing.add_argument(
        "--integration", required=True, metavar="NAME", help="name of the integration and of its folder"
    )
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
    show = commands.add_parser(
        "show", parents=[of_folder], help="print one tool as an agent sees it, or what each tool costs a model"
    )
    show.add_argument("names", nargs="*", metavar="TOOL [INTEGRATION]", help="with --tokens: INTEGRATION alone")
    show.add_argument("--tokens", action="store_true", help="print what each tool costs a model")
    return parser


if __name__ == "__main__":
    sys.exit(main())
