"""`postern memory`: export the embedded memory as JSON Lines, and import such a copy."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from functions.cli.invocation import Failed, Invocation
from functions.cli.tables import count, details

STANDARD = "-"
"""The file name for standard output or input."""


def add(commands: Any, shaped: argparse.ArgumentParser) -> None:
    """Add the command and its verbs."""
    verbs = commands.add_parser("memory", help="export or import the embedded memory").add_subparsers(
        metavar="VERB", required=True
    )
    of_file = argparse.ArgumentParser(add_help=False, parents=[shaped])
    of_file.add_argument(
        "--memory",
        metavar="PATH",
        help="the file of the memory (default: POSTERN_MEMORY_PATH, then memory.sqlite in the state folder)",
    )
    one = verbs.add_parser("export", parents=[of_file], help="write a full copy; the memory may be in use")
    one.add_argument("file", nargs="?", default=STANDARD, metavar="FILE", help="default: standard output")
    one.set_defaults(run=_export)
    one = verbs.add_parser(
        "import", parents=[of_file], help="read a copy into a new or empty memory; stop the endpoint first"
    )
    one.add_argument("file", nargs="?", default=STANDARD, metavar="FILE", help="default: standard input")
    one.set_defaults(run=_import)


def _memory_file(invocation: Invocation) -> Path:
    environment = invocation.environment
    state_dir = environment.get("POSTERN_STATE_DIR") or ".postern"
    return Path(invocation.options.memory or environment.get("POSTERN_MEMORY_PATH") or f"{state_dir}/memory.sqlite")


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


def _export(invocation: Invocation) -> None:
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
    terminal.result(rows, details(list(rows.items())))


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


def _import(invocation: Invocation) -> None:
    from functions.memory_engine.storage.jsonl import import_jsonl

    terminal, source = invocation.terminal, invocation.options.file
    target = _memory_file(invocation)
    with _readable_failures(), terminal.waiting(f"reading into {target}"):
        if source == STANDARD:
            rows = import_jsonl(target, terminal.stdin)
        else:
            with open(source, encoding="utf-8") as lines:
                rows = import_jsonl(target, lines)
    terminal.result(rows, details(list(rows.items())))
