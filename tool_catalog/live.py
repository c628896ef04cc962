"""The catalogues of a running process, read again when files of your own folders change.

The catalogue of an integration comes from its compiled file. If its records have changed since, they are compiled in
memory: the compiled file is written by `tool-catalog compile` only. A catalogue that cannot be read or compiled
replaces nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from functions.gateway.wording import listed
from tool_catalog import compiled_file, folders
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_file import CatalogError
from tool_catalog.folders import PACKAGE, Folder, FolderError

Fingerprint = tuple[tuple[str, int, int], ...]
"""Name, time of change in ns, and size of each file that a catalogue is made of."""


class Unusable(Exception):
    """A catalogue cannot be made; the message says why, with file and line."""


class LiveCatalogs(Mapping[str, Catalog]):
    """Integration -> its catalogue as it is now. `refresh` may run in another thread than the readers."""

    def __init__(self, own: Sequence[Folder]) -> None:
        """Read everything. Raises FolderError for an integration that is in two folders."""
        self.own = tuple(own)
        self._homes = folders.homes((PACKAGE, *self.own))
        self._read: dict[str, Fingerprint] = {}
        self._seen: dict[str, Fingerprint] = {}
        self._told: str | None = None
        self._catalogs = {name: compiled_file.load(name) for name in compiled_file.available()}
        self.notes = tuple(folders.empty(folder) for folder in self.own if not folder.integrations())
        """One line for each folder without a catalogue, and for each catalogue that could not be made."""
        for name, folder in self._homes.items():
            if folder is not PACKAGE:
                self._seen[name] = self._read[name] = _fingerprint(folder, name)
                self.notes += tuple(self._replace(name, folder))

    def __getitem__(self, integration: str) -> Catalog:
        return self._catalogs[integration]

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalogs)

    def __len__(self) -> int:
        return len(self._catalogs)

    def load(self, integration: str) -> Catalog:
        """The catalogue of an integration. Raises CatalogError when there is none."""
        try:
            return self._catalogs[integration]
        except KeyError:
            known = ", ".join(sorted(self._catalogs))
            raise CatalogError(f'no catalogue for integration "{integration}"; available: {known}') from None

    def refresh(self) -> list[str]:
        """Read again what has changed, and return a line about each. Files are read when they have been unchanged for
        one round, so that a half-written change is not."""
        try:
            homes = folders.homes((PACKAGE, *self.own))
        except FolderError as problem:
            lines = [] if str(problem) == self._told else [f"{problem}. The catalogues stay as they are"]
            self._told = str(problem)
            return lines
        self._told = None
        lines = [
            f"{name}: its files are gone; the catalogue that was read last stays until the restart"
            for name in self._homes
            if name not in homes
        ]
        self._homes = homes
        for name, folder in homes.items():
            if folder is PACKAGE:
                continue
            found = _fingerprint(folder, name)
            settled = found == self._seen.get(name)
            self._seen[name] = found
            if settled and found != self._read.get(name):
                self._read[name] = found
                lines += self._replace(name, folder)
        return lines

    def _replace(self, name: str, folder: Folder) -> list[str]:
        """Put the catalogue as it is on disk in the place of the one before, or say why not."""
        before = self._catalogs.get(name)
        try:
            made = _made(folder, name)
        except Unusable as problem:
            stored = _stored(folder, name) if before is None else None
            if stored is not None:
                self._catalogs = {**self._catalogs, name: stored}
                return [f"{name}: the records do not compile, so the compiled file is served: {problem}"]
            stays = "not served" if before is None else "not reloaded, the catalogue of before stays"
            return [f"{name}: {stays}: {problem}"]
        self._catalogs = {**self._catalogs, name: made}
        if before is None:
            return [f"{name}: served from {folder.path}, {_count(made)}"]
        if before.source_sha256 == made.source_sha256:
            return []
        return [f"{name}: reloaded, {_count(made)}"]


def _count(made: Catalog) -> str:
    return f"{len(made.tools)} tool{'s' if len(made.tools) != 1 else ''}"


def _fingerprint(folder: Folder, name: str) -> Fingerprint:
    files: list[tuple[str, int, int]] = []
    for path in (*sorted((folder.records / name).glob("*.y*ml")), folder.compiled_file(name)):
        try:
            state = path.stat()
        except OSError:
            continue
        files.append((path.name, state.st_mtime_ns, state.st_size))
    return tuple(files)


def _stored(folder: Folder, name: str) -> Catalog | None:
    """The catalogue of the compiled file; None without a usable one."""
    path = folder.compiled_file(name)
    try:
        return compiled_file.read(path.read_bytes(), path.name)
    except (OSError, CatalogError):
        return None


def _made(folder: Folder, name: str) -> Catalog:
    """The catalogue of the records, or of the compiled file where that is up to date or alone. Raises Unusable."""
    from tool_catalog.building import build  # late: the compiler takes a while to import, and few need it
    from tool_catalog.compiled_document import to_bytes
    from tool_catalog.record_folder import sha256

    records: Path = folder.records / name
    path = folder.compiled_file(name)
    try:
        if not (records / folders.INTEGRATION_FILE).is_file():
            return compiled_file.read(path.read_bytes(), str(path))
        stored = _stored(folder, name)
        if stored is not None and stored.source_sha256 == sha256(records):
            return stored
        document, problems = build(records)
    except OSError as error:
        raise Unusable(f"{error.filename} cannot be read ({error.strerror})") from None
    except CatalogError as error:
        raise Unusable(str(error)) from None
    if document is None:
        raise Unusable("; ".join(listed([f"{folder.records}/{problem}" for problem in problems])))
    return compiled_file.read(to_bytes(document), name)
