"""The build backend of the distributions whose folder is their package: setuptools, in a copy with the package's name.

It builds pytest-postern from here, and postern-cdk through a link in infra/cdk. The copy also keeps the files that
setuptools leaves behind out of the repository.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import get_requires_for_build_wheel

__all__ = ["build_wheel", "get_requires_for_build_wheel"]

HERE = Path(__file__).absolute().parent
"""The folder of the project, which is that of the link."""

LICENSE = HERE.parents[1] / "LICENSE"
"""That of the repository."""


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """Build the wheel of the copy; returns its name."""
    target = str(Path(wheel_directory).resolve())
    with (HERE / "pyproject.toml").open("rb") as file:
        [name] = tomllib.load(file)["tool"]["setuptools"]["packages"]
    with tempfile.TemporaryDirectory(prefix="postern-wheel-") as temporary:
        stage = Path(temporary)
        package = stage / name
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
