"""Where catalogues are: in the folder of the package, and in folders of your own, which POSTERN_CATALOGS names.

Each folder holds `records/<integration>/`, written by people, and `compiled/<integration>.json`, written by the
compiler. An integration is in one folder only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "POSTERN_CATALOGS"
"""The environment variable that names folders, separated as in PATH: by ":", on Windows by ";"."""

INTEGRATION_FILE = "integration.yaml"
"""The file that each folder of records has."""


class FolderError(Exception):
    """A folder cannot be used; the message is one line that names the folder and says what to do."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of catalogues."""

    path: Path

    @property
    def records(self) -> Path:
        """Folder of the records, one folder per integration."""
        return self.path / "records"

    @property
    def compiled(self) -> Path:
        """Folder of the compiled files."""
        return self.path / "compiled"

    def compiled_file(self, integration: str) -> Path:
        """The compiled file of an integration."""
        return self.compiled / f"{integration}.json"

    def recorded(self) -> tuple[str, ...]:
        """Names of the integrations that have records, sorted. Raises FolderError."""
        return tuple(name for name in _names(self.records) if (self.records / name / INTEGRATION_FILE).is_file())

    def integrations(self) -> tuple[str, ...]:
        """Names of the integrations that have records or a compiled file, sorted. Raises FolderError."""
        stems = {Path(name).stem for name in _names(self.compiled) if name.endswith(".json") and name[0] != "."}
        return tuple(sorted({*self.recorded(), *stems}))


PACKAGE = Folder(Path(__file__).parent)
"""The folder that comes with Postern."""


def own(value: str) -> tuple[Folder, ...]:
    """The folders that this value of POSTERN_CATALOGS names. Raises FolderError for one that is not readable."""
    named = dict.fromkeys(part for part in value.split(os.pathsep) if part.strip())
    return tuple(opened(Path(part).expanduser(), VARIABLE) for part in named)


def opened(path: Path, named_by: str) -> Folder:
    """The folder at `path`. Raises FolderError when it is not a readable folder; `named_by` is what named it."""
    try:
        with os.scandir(path):
            return Folder(path.resolve())
    except FileNotFoundError:
        advice = f"make it with: tool-catalog new NAME --base-url URL --into {path}"
        raise FolderError(f"{named_by}: there is no folder {path}; {advice}") from None
    except NotADirectoryError:
        raise FolderError(f"{named_by}: {path} is not a folder; name the folder that holds records/") from None
    except OSError as error:
        raise FolderError(f"{named_by}: {path} cannot be read ({error.strerror})") from None


def homes(folders: Iterable[Folder]) -> dict[str, Folder]:
    """Name of each integration -> the folder it is in. Raises FolderError for one that is in two folders."""
    found: dict[str, Folder] = {}
    for folder in folders:
        for name in folder.integrations():
            if name in found:
                raise FolderError(
                    f'integration "{name}" is in two folders: {found[name].path} and {folder.path}; rename one, or '
                    f"take one folder out of {VARIABLE}"
                )
            found[name] = folder
    return found


def empty(folder: Folder) -> str:
    """The line about a folder that holds no integration."""
    making = f"tool-catalog new NAME --base-url URL --into {folder.path}"
    return f"{folder.path} holds no catalogue yet; make one with: {making}"


def _names(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FolderError(f"{path} cannot be read ({error.strerror})") from None
