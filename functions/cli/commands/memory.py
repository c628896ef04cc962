"""`postern memory`: export the embedded memory, import such a copy, and import what other services give away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from functions.cli import completers
from functions.cli.command import Remote, Shared, argument, declaration, flag, option
from functions.cli.connection import local_file
from functions.cli.invocation import Failed, Invocation
from functions.cli.state_dir import state_dir
from functions.cli.tables import Details, count
from functions.cli.terminal import printable
from functions.gateway.json_text import Json

if TYPE_CHECKING:
    from functions.cli.chat_exports.adds import Add

STANDARD = "-"
"""The file name for standard output or input."""


ACCEPTED = "imported.txt"
"""The file in the state folder with what earlier imports have stored."""

SAMPLES = 3
SAMPLE_CHARS = 100
"""Conversations and facts that a dry run shows, and characters of each."""

ADDERS = ("create_a_mem_0_memory", "create_a_mem_0_oss_memory")
"""The tools that take messages to remember."""


MEMORY = declaration("memory")


@dataclass(frozen=True, kw_only=True)
class Export(Shared):
    """The words of `memory export`."""

    file: str = argument("FILE", "default: standard output", optional=True, default=STANDARD)
    memory: str | None = option(
        "the file of the memory (default: POSTERN_MEMORY_PATH, then memory.sqlite in the state folder)", "PATH"
    )


@dataclass(frozen=True, kw_only=True)
class Import(Remote):
    """The words of `memory import`."""

    file: str = argument("FILE", "a file; default: a copy on standard input", optional=True, default=STANDARD)
    memory: str | None = option("the new file for a copy; stop the endpoint first", "PATH")
    user_id: str = option("whose memories they become (default: me)", "ID", default="me")
    account: str | None = option("the integrated account to store them in", "ID", completer=completers.accounts)
    verbatim: bool = flag("store each message as it is, instead of its facts")
    dry_run: bool = flag("show what would be imported, and send nothing")


def _memory_file(invocation: Invocation[Export | Import]) -> Path:
    environment = invocation.environment
    named = invocation.options.memory or environment.get("POSTERN_MEMORY_PATH")
    return Path(named or Path(state_dir(environment), "memory.sqlite"))


@contextlib.contextmanager
def _readable_failures() -> Iterator[None]:
    from functions.memory_engine.storage.jsonl import ImportRefused
    from functions.memory_engine.storage.opening import DatabaseUnavailable

    try:
        yield
    except (DatabaseUnavailable, ImportRefused) as error:
        raise Failed(str(error)) from None
    except BrokenPipeError:
        raise
    except (OSError, UnicodeError) as error:
        raise Failed(f"{getattr(error, 'filename', None) or 'the copy'}: {getattr(error, 'strerror', error)}") from None


@MEMORY.verb("export", Export, "write a full copy; the memory may be in use")
def _export(invocation: Invocation[Export]) -> None:
    from functions.memory_engine.storage.jsonl import export_jsonl

    terminal, target = invocation.terminal, invocation.options.file
    source = _memory_file(invocation)
    with _readable_failures(), terminal.waiting(f"copying {source}"):
        if target == STANDARD:
            rows = export_jsonl(source, terminal.out)
            terminal.note(f"{count(rows['memories'], 'memory')} and everything that belongs to them")
            return
        with _whole_file(Path(target)) as out:
            rows = export_jsonl(source, out)
    terminal.result(rows, Details(list(rows.items())))


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[IO[str]]:
    """A file that appears only once it is complete. Only its owner may read it, because it holds what people said."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            yield out
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@MEMORY.verb(
    "import",
    Import,
    "import a copy into a new memory, or a download of ChatGPT, Claude, Gemini or Mem0 into any memory",
)
def _import(invocation: Invocation[Import]) -> None:
    source = invocation.options.file
    if source == STANDARD or _is_copy(Path(source)):
        _import_copy(invocation)
    else:
        _import_download(invocation, Path(source))


def _is_copy(path: Path) -> bool:
    from functions.memory_engine.storage.jsonl import FORMAT

    with path.open("rb") as file:
        return f'"{FORMAT}"'.encode() in file.readline(200)


def _import_copy(invocation: Invocation[Import]) -> None:
    from functions.memory_engine.storage.jsonl import import_jsonl

    terminal, source = invocation.terminal, invocation.options.file
    target = _memory_file(invocation)
    with _readable_failures(), terminal.waiting(f"reading into {target}"):
        if source == STANDARD:
            rows = import_jsonl(target, terminal.stdin)
        else:
            with open(source, encoding="utf-8") as lines:
                rows = import_jsonl(target, lines)
    terminal.result(rows, Details(list(rows.items())))


def _import_download(invocation: Invocation[Import], path: Path) -> None:
    from functions.cli.chat_exports import adds
    from functions.cli.chat_exports.reading import read

    options, terminal = invocation.options, invocation.terminal
    with terminal.waiting(f"reading {path}"):
        found = read(path)
    planned = list(adds.of(found, options.user_id, verbatim=options.verbatim))
    summary: dict[str, Json] = {
        "service": found.service,
        "conversations": len(found.conversations),
        "messages": sum(len(talk.messages) for talk in found.conversations),
        "facts": len(found.facts),
        "left_out": {reason: number for reason, number in sorted(found.left_out.items()) if number},
    }
    if options.dry_run:
        samples = [*(f"{talk.title}: {talk.messages[0].text}" for talk in found.conversations[:SAMPLES])]
        samples += [fact.text for fact in found.facts[:SAMPLES]]
        summary |= {"requests": len(planned), "samples": [" ".join(text.split())[:SAMPLE_CHARS] for text in samples]}
    else:
        summary |= _send(invocation, planned)
    terminal.result(summary, *_told(summary))


def _told(summary: dict[str, Json]) -> list[object]:
    left_out = [f"{number} {reason}" for reason, number in summary["left_out"].items()]
    samples = [printable(text) for text in summary.get("samples", [])]
    rows = [(name, value) for name, value in summary.items() if name not in ("left_out", "samples")]
    rows.append(("left out", ", ".join(left_out) or "nothing"))
    return [Details(rows), *(f"  e.g. {text}" for text in samples)]


def _send(invocation: Invocation[Import], planned: list[Add]) -> dict[str, Json]:
    """Make the adds that no earlier import made. Raises Failed with how far it came."""
    from functions.cli.chat_exports.adds import Accepted
    from functions.cli.management_api import open_api
    from functions.cli.tool_clients import account_tools, proxied_call

    options, terminal = invocation.options, invocation.terminal
    accepted = Accepted(local_file(invocation.environment).with_name(ACCEPTED))
    with open_api(invocation) as api:
        account_id = api.account_id(options.account)
        tools = {tool["name"]: tool for tool in account_tools(api, account_id)}
        name = next((name for name in ADDERS if name in tools), None)
        if name is None:
            raise Failed(f"account {account_id} has no tool that remembers messages; name an account of Mem0")
        known = set(tools[name]["input_schema"]["properties"])
        due = [add for add in planned if add.key(account_id) not in accepted]
        with terminal.progress("importing", len(due)) as advance:
            for sent, one in enumerate(due):
                arguments = {argument: value for argument, value in one.arguments.items() if argument in known}
                try:
                    proxied_call(api, account_id, tools[name], arguments)
                except Failed as error:
                    done = f"{sent} of {len(due)} requests were accepted; the same command continues with the next"
                    raise Failed(f"{error}\n{done}", error.body) from None
                accepted.note(one.key(account_id))
                advance()
    queued = sum(one.arguments.get("infer") is not False for one in due)
    return {
        "requests": len(due),
        "imported_before": len(planned) - len(due),
        "queued": f"{queued} requests, whose facts the memory extracts in the background" if queued else "nothing",
    }
