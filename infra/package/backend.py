"""The build backend: setuptools, but a wheel holds everything under one import package, `postern`.

In the repository, the path on disk is the import path: `functions` and `tool_catalog`. Installed with other projects,
such general names would hide theirs. So a wheel is built of a copy in which both folders are inside `postern/`, and
each import of ours begins with `postern.`. An editable install is that of setuptools, and keeps the repository's names.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
]

ROOT = Path(__file__).resolve().parents[2]

MOVED = ("functions", "tool_catalog")
"""Folders of the repository that are inside the package `postern`."""

PACKAGE = '''"""Expiring MCP URLs for any documented REST API, with a memory for agents on a laptop."""
'''
MAIN = '''"""`python -m postern`: the command line."""

import sys

from postern.functions.cli import main

sys.exit(main())
'''

_IMPORT = re.compile(r"^(\s*)(from|import) (functions|tool_catalog)(?=[.\s])", re.MULTILINE)
_NAMED = re.compile(r'"(functions|tool_catalog)(?=["*.:])')


def build_wheel(
    wheel_directory: str,
    config_settings: Any = None,
    metadata_directory: str | None = None,  # noqa: ARG001 - part of the interface; there is no metadata step of ours
) -> str:
    """Build the wheel of the mapped copy; returns its name."""
    target = str(Path(wheel_directory).resolve())
    with tempfile.TemporaryDirectory(prefix="postern-wheel-") as temporary:
        stage = Path(temporary)
        _stage(stage)
        before = Path.cwd()
        os.chdir(stage)
        try:
            name = str(build_meta.build_wheel(target, config_settings))
        finally:
            os.chdir(before)
    _pack(Path(target, name))
    return name


def _pack(wheel: Path) -> None:
    """Compress the files of a wheel as far as the format can."""
    packed = wheel.with_suffix(".packed")
    with zipfile.ZipFile(wheel) as loose, zipfile.ZipFile(packed, "w") as archive:
        for entry in loose.infolist():
            archive.writestr(entry, loose.read(entry), zipfile.ZIP_DEFLATED, 9)
    packed.replace(wheel)


def _stage(stage: Path) -> None:
    """The mapped copy of what a wheel holds."""
    package = stage / "postern"
    for folder in MOVED:
        ignored = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info")
        shutil.copytree(ROOT / folder, package / folder, ignore=ignored)
    for path in package.rglob("*.py"):
        path.write_text(_mapped(path.read_text(encoding="utf-8")), encoding="utf-8")
    (package / "__init__.py").write_text(PACKAGE, encoding="utf-8")
    (package / "__main__.py").write_text(MAIN, encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = _NAMED.sub(lambda found: f'"postern.{found[1]}', project)
    project = re.sub(r"^include = .*$", 'include = ["postern*"]', project, flags=re.MULTILINE)
    project = project.replace('build-backend = "backend"\nbackend-path = ["infra/package"]', _PLAIN_BACKEND)
    (stage / "pyproject.toml").write_text(project, encoding="utf-8")
    for name in ("README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, stage / name)


_PLAIN_BACKEND = 'build-backend = "setuptools.build_meta"'


def _mapped(text: str) -> str:
    """The source of a module with the imports that it has in `postern`."""
    return _IMPORT.sub(lambda found: f"{found[1]}{found[2]} postern.{found[3]}", text)
