"""The import is one straight line: read, infer, draft, merge with hand edits, ask the gate, write.

Everything is made in a temporary folder first and then moved to the target, file by file, or as a whole the first
time. An import that stops half way has changed nothing.

`.imported.json` in the folder of the records remembers what was generated (see `merge`) and which operation became
which method, so that a later version of the specification changes no name. The compiler does not read it.
"""

from __future__ import annotations

import bisect
import gc
import json
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tool_catalog.atomic_write import write_atomically
from tool_catalog.catalog import Json
from tool_catalog.compiler import compile_catalog
from tool_catalog.folders import INTEGRATION_FILE
from tool_catalog.openapi import drafts, integration, responses, servers
from tool_catalog.openapi.document import CannotImport, Document, Operation, Unresolvable, read
from tool_catalog.openapi.drafts import Draft
from tool_catalog.openapi.inference import Placement, Seen, placements
from tool_catalog.openapi.merge import Merged, Unreadable, merge, tree
from tool_catalog.openapi.pin_proposals import propose
from tool_catalog.openapi.progress import Progress
from tool_catalog.openapi.record_files import RecordFile, instruct, resource_files, tool_names
from tool_catalog.openapi.report import Report
from tool_catalog.openapi.responses import Response
from tool_catalog.openapi.schema_conversion import Note
from tool_catalog.openapi.subjects import Context, NotCallable, Subject
from tool_catalog.openapi.yaml_text import document as yaml_document
from tool_catalog.record_folder import read_folder
from tool_catalog.records import SLUG, VERBS, Records
from tool_catalog.yaml_source import Problem

MEMORY = ".imported.json"
MEMORY_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Options:
    """What to import and where to: `into` is the folder of all records, `integration` the folder made in it.

    `passing`   write only what passes the gate: leave out optional arguments without a description, and methods that
                have a problem.
    `draft_texts`  make up descriptions from names where the source has none, each marked as a draft.
    `deprecated`  import deprecated operations, too.
    `paths`     glob patterns of paths ("/v1/customers*"); without any, all operations are imported.
    """

    source: Path
    integration: str
    into: Path
    base_url: str | None = None
    passing: bool = False
    deprecated: bool = False
    draft_texts: bool = False
    paths: tuple[str, ...] = ()


def run(options: Options, progress: Progress) -> Report:
    """Import once. Raises CannotImport, with nothing written."""
    collecting = gc.isenabled()
    gc.disable()  # there are millions of small objects and hardly a cycle; looking for cycles would take half the time
    try:
        return _run(options, progress)
    finally:
        progress.end()
        if collecting:
            gc.enable()


def _run(options: Options, progress: Progress) -> Report:
    if not re.fullmatch(SLUG, options.integration):
        raise CannotImport(
            f'"{options.integration}" is not an integration name; use lower-case letters, digits and single "_" or "-"'
        )
    if options.base_url is not None and not servers.is_https(options.base_url):
        raise CannotImport(f'"{options.base_url}" is not a base URL; give one that starts with https:// and has a host')
    document = read(options.source)
    target = options.into / options.integration
    memory = _memory(target)
    report = Report(options.integration, first=not (target / INTEGRATION_FILE).exists())
    seen, found_answers, unasked = _operations(document, options, report, progress)
    if not seen:
        raise CannotImport(f"{document.name}: there is no operation to import; check --path")
    where = placements(seen, _known(memory))
    everything = [one for one in document.operations() if isinstance(one, Operation)]
    made = integration.draft(document, options.integration, everything, options.base_url)
    context = Context(
        document,
        options.integration,
        made.credential_names,
        options.passing,
        own_auth=made.own_auth,
        prefixes=made.prefixes,
        not_callable=made.not_callable,
        draft_texts=options.draft_texts,
    )
    methods = _methods(context, seen, where, found_answers, report, progress=progress)
    integration_file = RecordFile(made.data, made.comments)
    propose(methods, where, integration_file)
    files = {INTEGRATION_FILE: integration_file, **resource_files(methods, where, found_answers)}
    options.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.into, prefix=f".{options.integration}.") as temporary:
        staged = Path(temporary) / options.integration
        progress.step("checking", 0, 1)
        instruct(document, files, target)
        merged = _stage(staged, target, files, memory)
        failing = _ask_gate(staged, report, drafts=options.draft_texts)
        if options.passing and _drop(files, failing, memory, report):
            shutil.rmtree(staged)
            instruct(document, files, target)
            merged = _stage(staged, target, files, memory)
            failing = _ask_gate(staged, report, drafts=options.draft_texts)
        _tell(report, files, merged, methods, where, failing=failing)
        known = _known(memory)
        unchanged = {f"{known[key][0]}.yaml: methods.{known[key][1]}" for key in unasked if key in known}
        report.removed = [method for method in report.removed if method not in unchanged]
        _remember(staged, options, merged, where, memory)
        report.written = _publish(staged, target)
    return report


# ---- from the specification


def _operations(
    document: Document, options: Options, report: Report, progress: Progress
) -> tuple[list[Seen], dict[str, Response], set[str]]:
    """The operations to import, each with its documented answer, and the keys of those not asked for.

    Operations that cannot be imported are reported.
    """
    seen: list[Seen] = []
    unasked: set[str] = set()
    found: dict[str, Response] = {}
    everything = list(document.operations())
    for number, one in enumerate(everything):
        progress.step("reading operations", number, len(everything))
        if isinstance(one, tuple):
            report.operations += 1
            report.skipped.append(one)
            continue
        if options.paths and not any(_matches(one.path, pattern) for pattern in options.paths):
            unasked.add(one.key)
            continue
        report.operations += 1
        if one.data.get("deprecated") is True and not options.deprecated:
            report.skipped.append((one.key, "is deprecated"))
            continue
        try:
            found[one.key] = responses.documented(document, one)
        except Unresolvable as error:
            report.skipped.append((one.key, str(error)))
            continue
        seen.append(Seen(one, found[one.key].items is not None, found[one.key].searched))
    for path, verb in document.others():
        if not options.paths or any(_matches(path, pattern) for pattern in options.paths):
            report.operations += 1
            report.skipped.append(
                (f"{verb} {path}", f"is a {verb}; tools send {', '.join(VERBS[:-1])} and {VERBS[-1]}")
            )
    return seen, found, unasked


def _matches(path: str, pattern: str) -> bool:
    """Whether `path` is `pattern`, whose "*" stands for any text ("/v1/customers*")."""
    head, *rest = pattern.split("*")
    if not path.startswith(head):
        return False
    at = len(head)
    for part in rest[:-1]:
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return path[at:].endswith(rest[-1]) if rest else path == pattern


def _methods(
    context: Context,
    seen: list[Seen],
    where: Mapping[str, Placement],
    found: Mapping[str, Response],
    report: Report,
    *,
    progress: Progress,
) -> dict[str, Draft]:
    """Operation key -> method. Operations that no tool can be made of are reported."""
    with_ids = {where[key].resource for key, answer in found.items() if key in where and answer.objects_have_id}
    names = tool_names(context.integration, seen, where, with_ids)
    made: dict[str, Draft] = {}
    for number, one in enumerate(seen):
        progress.step("drafting", number, len(seen))
        operation, place = one.operation, where[one.operation.key]
        try:
            has_id = place.resource in with_ids
            subject = Subject(operation, place, found[operation.key], names[place.resource], has_id)
            made[operation.key] = drafts.draft(context, subject)
        except (NotCallable, Unresolvable) as error:
            report.skipped.append((operation.key, str(error)))
    return made


# ---- to the folder


def _memory(target: Path) -> dict[str, Json]:
    path = target / MEMORY
    if not path.is_file():
        return {"format": MEMORY_FORMAT, "operations": {}, "generated": {}}
    try:
        memory: dict[str, Json] = json.loads(path.read_bytes())
        if memory["format"] == MEMORY_FORMAT and isinstance(memory["generated"], dict):
            return memory
    except (ValueError, KeyError, TypeError):
        pass
    raise CannotImport(
        f"{target.name}/{MEMORY}: cannot be read; restore it from version control. If you delete it, "
        "everything in the folder counts as written by hand"
    )


def _known(memory: Mapping[str, Json]) -> dict[str, tuple[str, str]]:
    return {key: (resource, method) for key, (resource, method) in memory["operations"].items()}


def _stage(
    staged: Path, target: Path, files: Mapping[str, RecordFile], memory: Mapping[str, Json]
) -> dict[str, Merged]:
    """Fill the staged folder: merge a file that exists, write one that does not. Raises Unreadable."""
    staged.mkdir()
    problems: list[Problem] = []
    merged: dict[str, Merged] = {}
    for path in sorted(target.glob("*.yaml")) if target.is_dir() else ():
        if path.name not in files:
            shutil.copyfile(path, staged / path.name)
            base = memory["generated"].get(path.name)
            if base is not None:
                gone = [f"methods.{method}" for method in base.get("methods", {})]
                merged[path.name] = Merged(path.read_text(encoding="utf-8"), base, removed=gone)
    for name, file in files.items():
        path, base = target / name, memory["generated"].get(name)
        if path.is_file():
            try:
                text = path.read_text(encoding="utf-8-sig")
                merged[name] = merge(f"{target.name}/{name}", text, base or {}, file.data, file.comments)
            except Unreadable as error:
                problems += error.problems
                continue
        elif base is not None:  # generated before, and the whole file was removed by hand
            merged[name] = Merged("", tree(file.data), absent=["methods"])
            continue
        else:
            new = [f"methods.{method}" for method in file.data.get("methods", {})]
            merged[name] = Merged(yaml_document(file.data, file.comments), tree(file.data), changed=new)
        (staged / name).write_text(merged[name].text, encoding="utf-8")
    if problems:
        raise Unreadable(problems)
    return merged


def _ask_gate(staged: Path, report: Report, *, drafts: bool) -> dict[str, set[str]]:
    """File -> methods in which the compiler finds a problem."""
    records, problems = read_folder(staged)
    if records is not None:
        _, found = compile_catalog(records, drafts=drafts)
        problems = [*problems, *found]
    report.problems = sorted(set(problems))
    return _failing(records, report.problems)


def _failing(records: Records | None, problems: list[Problem]) -> dict[str, set[str]]:
    """A problem belongs to the method whose lines it is in, or to the methods that use the shared schema it is in."""
    failing: dict[str, set[str]] = defaultdict(set)
    for resource in records.resources if records is not None else ():
        lines = sorted((resource.source.line(("methods", method)), method) for method in resource.record.methods)
        starts = [line for line, _ in lines]
        shared = sorted((resource.source.line(("schemas", name)), name) for name in resource.record.schemas)
        for problem in problems:
            if problem.file != resource.source.name:
                continue
            at = bisect.bisect_right(starts, problem.line) - 1
            if at >= 0:
                failing[problem.file].add(lines[at][1])
                continue
            names = [name for line, name in shared if line <= problem.line][-1:]
            failing[problem.file] |= {
                method
                for method, record in resource.record.methods.items()
                if any(f"#/schemas/{name}'" in repr(record.response_schema) for name in names)
            }
    read_files = {resource.source.name for resource in records.resources} if records is not None else set()
    for problem in problems:
        if problem.file not in read_files:
            failing[problem.file] |= {"*"}
    return failing


def _drop(
    files: dict[str, RecordFile], failing: Mapping[str, set[str]], memory: Mapping[str, Json], report: Report
) -> bool:
    """Remove methods that do not pass from `files`, except those of an earlier import. True if any was removed."""
    before = len(report.left_out)
    for name, file in list(files.items()):
        bad = failing.get(f"{report.integration}/{name}", set())
        if name == INTEGRATION_FILE or not bad:
            continue
        methods, written = file.data["methods"], memory["generated"].get(name, {}).get("methods", {})
        for method in [one for one in methods if (one in bad or "*" in bad) and one not in written]:
            report.left_out.append(f"{name}: {method} ({methods.pop(method)['request']})")
        if not methods:
            del files[name]
        elif "schemas" in file.data:
            used = repr(methods)
            file.data["schemas"] = {
                key: schema for key, schema in file.data["schemas"].items() if f"'#/schemas/{key}'" in used
            }
    return len(report.left_out) > before


def _tell(
    report: Report,
    files: Mapping[str, RecordFile],
    merged: Mapping[str, Merged],
    methods: Mapping[str, Draft],
    where: Mapping[str, Placement],
    *,
    failing: Mapping[str, set[str]],
) -> None:
    """Fill in the report: what was made, guessed and cut, what passes, and what the merge found."""
    report.resources = len(files) - 1
    for key, draft in methods.items():
        place = where[key]
        name = f"{place.resource}.yaml"
        if name not in files or place.method not in files[name].data["methods"]:
            continue
        report.methods += 1
        bad = failing.get(f"{report.integration}/{name}", set())
        report.passed += not bad & {place.method, "*"}
        report.guesses.update(draft.guesses)
        report.cuts += [(f"{name}: {_dotted(place.method, note)}", note.text) for note in draft.cuts]
    for name, file in sorted(merged.items()):
        report.changed += [f"{name}: {path}" for path in file.changed]
        report.kept += [f"{name}: {path}" for path in file.kept]
        report.removed += [f"{name}: {path}" for path in file.removed]
        report.absent += [f"{name}: {path}" for path in file.absent]


def _dotted(method: str, note: Note) -> str:
    place = drafts.inside(note.path)
    return f"{method}.{place}" if place else method


def _remember(
    staged: Path,
    options: Options,
    merged: Mapping[str, Merged],
    where: Mapping[str, Placement],
    memory: Mapping[str, Json],
) -> None:
    """Write MEMORY: the name of every operation, written or not, and the digests of the generated data."""
    generated = {name: file.tree for name, file in merged.items()}
    operations = {**memory["operations"], **{key: [place.resource, place.method] for key, place in where.items()}}
    content = {
        "format": MEMORY_FORMAT,
        "source": options.source.name,
        "operations": dict(sorted(operations.items())),
        "generated": dict(sorted(generated.items())),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (staged / MEMORY).write_text(text, encoding="utf-8", errors="replace")


def _publish(staged: Path, target: Path) -> list[str]:
    """Move the staged folder to the target. Returns the names of new and changed files, without MEMORY."""
    names = sorted(path.name for path in staged.iterdir() if path.name != MEMORY)
    if not target.exists():
        staged.rename(target)
        return names
    written = []
    for name in [*names, MEMORY]:  # MEMORY comes last: the files it describes must exist
        content = (staged / name).read_bytes()
        if not (target / name).is_file() or (target / name).read_bytes() != content:
            write_atomically(target / name, content)
            written.append(name)
    return [name for name in written if name != MEMORY]
