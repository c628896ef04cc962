"""Where the local endpoint keeps its state: the same folder from any shell.

POSTERN_STATE_DIR                  or
.postern in the current folder     where there is one: a project keeps a state of its own
the user's folder for data         ~/.local/share/postern, ~/Library/Application Support/Postern on macOS
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

HERE = ".postern"
"""The folder of a project's own state, and of all state where the user has no home."""


def state_dir(environment: Mapping[str, str], platform: str = sys.platform) -> str:
    """The state folder of a process with this environment."""
    named = environment.get("POSTERN_STATE_DIR", "")
    home = environment.get("HOME", "")
    if named or not home or Path(HERE).is_dir():
        return named or HERE
    if platform == "darwin":
        return str(Path(home, "Library", "Application Support", "Postern"))
    data = environment.get("XDG_DATA_HOME", "")
    return str(Path(data if Path(data).is_absolute() else Path(home, ".local", "share"), "postern"))
