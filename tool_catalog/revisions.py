"""The two sides of `tool-catalog diff`: compiled files on disk, at a git ref, or made of the records as they are."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from functions.gateway.wording import listed
from tool_catalog.compiled_document import from_bytes
from tool_catalog.folders import Folder

Documents = Mapping[str, Mapping[str, object]]
"""Integration -> the content of its compiled file."""


class Unreadable(Exception):
    """A side cannot be read; the message says what can be given."""


def sides(old: str, new: str | None, folders: Sequence[Folder], cwd: Path) -> tuple[Documents, Documents]:
    """What `old` and `new` name. Without `new`: the records as they are now, of the folder that `old` is, otherwise of
    `folders`, and then only of the integrations in the file that `old` is. Raises Unreadable."""
    before, path = _side(old, folders, cwd), cwd / old
    if new is not None:
        return before, _side(new, folders, cwd)
    if path.is_dir() and Folder(path).recorded():
        return before, _now([Folder(path)])
    after = _now(folders)
    return before, {name: after[name] for name in after if name in before} if path.exists() else after


def _side(named: str, folders: Sequence[Folder], cwd: Path) -> Documents:
    path = cwd / named
    if path.is_file():
        return _documents([(str(path), path.read_bytes())])
    if path.is_dir():
        compiled = Folder(path).compiled
        files = sorted((compiled if compiled.is_dir() else path).glob("*.json"))
        if not files:
            raise Unreadable(f"{path} holds no compiled file; name a folder that holds compiled/")
        return _documents((str(file), file.read_bytes()) for file in files)
    found: dict[str, Mapping[str, object]] = {}
    for folder in folders:
        found |= _documents(_at(named, folder))
    return found


def _at(ref: str, folder: Folder) -> Iterable[tuple[str, bytes]]:
    """The compiled files of a folder at a git ref. A folder without commits of its own had none."""
    if not _git(folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").strip():
        if _git(folder, "rev-parse", "--is-inside-work-tree").strip() != b"true":
            raise Unreadable(
                f"{folder.path} is not in a git repository; name two compiled files or folders: diff OLD NEW"
            )
        raise Unreadable(f'"{ref}" is neither a file, a folder nor a git ref of {folder.path}')
    for name in _git(folder, "ls-tree", "--name-only", ref, "./compiled/").decode().splitlines():
        if name.endswith(".json"):
            yield f"{ref}:{name}", _git(folder, "show", f"{ref}:./{name}")


def _git(folder: Folder, *words: str) -> bytes:
    """What git prints; nothing where it fails, which it does for what does not exist."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the ref is one word that rev-parse has verified
            ["git", "-C", str(folder.path), *words],  # noqa: S607 - git is where the person has it
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise Unreadable("git is not installed; name two compiled files or folders: diff OLD NEW") from None
    return done.stdout if done.returncode == 0 else b""


def _now(folders: Sequence[Folder]) -> Documents:
    """The catalogues of the records, compiled in memory; a compiled file without records stands for itself."""
    from tool_catalog.building import build

    found: dict[str, Mapping[str, object]] = {}
    for folder in folders:
        for name in folder.integrations():
            if name not in folder.recorded():
                file = folder.compiled_file(name)
                found |= _documents([(str(file), file.read_bytes())])
                continue
            document, problems = build(folder.records / name)
            if document is None:
                raise Unreadable("\n".join(listed([str(problem) for problem in problems])))
            found[name] = document
    return found


def _documents(files: Iterable[tuple[str, bytes]]) -> Documents:
    found: dict[str, Mapping[str, object]] = {}
    for name, content in files:
        try:
            document = from_bytes(content)
            found[document["integration"]] = document
        except (ValueError, KeyError, TypeError):
            raise Unreadable(f"{name} is not a compiled file of this version of Postern") from None
    return found
