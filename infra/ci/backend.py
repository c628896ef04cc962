"""The build backend of pytest-postern: setuptools, in a copy whose package is named `pytest_postern`.

The copy also keeps the files that setuptools leaves behind out of the repository.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import get_requires_for_build_wheel

__all__ = ["build_wheel", "get_requires_for_build_wheel"]

HERE = Path(__file__).resolve().parent
LICENSE = HERE.parents[1] / "LICENSE"
"""That of the repository."""


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """Build the wheel of the copy; returns its name."""
    target = str(Path(wheel_directory).resolve())
    with tempfile.TemporaryDirectory(prefix="pytest-postern-wheel-") as temporary:
        stage = Path(temporary)
        package = stage / "pytest_postern"
        package.mkdir()
        for module in (*HERE.glob("*.py"), HERE / "py.typed"):
            if module.name != Path(__file__).name:
                shutil.copyfile(module, package / module.name)
        for document in (HERE / "pyproject.toml", HERE / "README.md", LICENSE):
            shutil.copyfile(document, stage / document.name)
        before = Path.cwd()
        os.chdir(stage)
        try:
            return str(build_meta.build_wheel(target, config_settings, metadata_directory))
        finally:
            os.chdir(before)
