"""How to call this program from another shell or another process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

NAME = "postern"

OWN_BIN = Path(sys.executable).parent if sys.prefix != sys.base_prefix else None
"""Where the programs of this virtual environment are; other shells do not have that folder on their PATH."""


def program(environment: Mapping[str, str], called: str = sys.argv[0], own_bin: Path | None = OWN_BIN) -> str:
    """`postern` where any shell finds the program that is running by that name, else its whole path."""
    path = Path(called)
    if path.name == "__main__.py" or not path.exists():  # python -m: the installed program is beside the interpreter
        path = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME, path=environment.get("PATH", ""))
    if found is not None and Path(found).parent != own_bin and Path(found).resolve() == path.resolve():
        return NAME
    return str(path.absolute())
