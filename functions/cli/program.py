"""How to call this program from another shell or another process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

NAME = "postern"


def program(environment: Mapping[str, str], called: str = sys.argv[0]) -> str:
    """`postern` where the PATH leads to the program that is running, else its whole path."""
    path = Path(called)
    if path.name == "__main__.py" or not path.exists():  # python -m: the installed program is beside the interpreter
        path = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME, path=environment.get("PATH", ""))
    if found is not None and Path(found).resolve() == path.resolve():
        return NAME
    return str(path.absolute())
