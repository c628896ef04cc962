"""Wheels of this repository, and environments that hold what a wheel requires and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def build(project: Path, folder: Path) -> Path:
    """The wheel of a project, built as `make wheel` does."""
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(project))
    [path] = folder.iterdir()
    return path


def stated(wheel: Path) -> Message:
    """The METADATA of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def required(*wheels: Path, also: tuple[str, ...] = ()) -> set[str]:
    """The distributions that the wheels require, without extras, those that are named, and what all these require."""
    lines = [*also, *(line for wheel in wheels for line in stated(wheel).get_all("Requires-Dist", []))]
    found: set[tuple[str, str]] = set()
    ahead = [(Requirement(line), "") for line in lines]
    while ahead:
        one, extra = ahead.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(one.name)
        for extra in ("", *sorted(one.extras)):
            if (name, extra) not in found:
                found.add((name, extra))
                ahead += [(Requirement(line), extra) for line in metadata.requires(one.name) or ()]
    return {name for name, _ in found}


def installed(folder: Path, *wheels: Path, also: tuple[str, ...] = ()) -> Path:
    """The `bin` of a new environment with the wheels and the files of the distributions that they require."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [site] = folder.glob("lib/python*/site-packages")
    for name in required(*wheels, also=also):
        for file in metadata.files(name) or ():
            source = Path(str(file.locate()))
            if ".." not in file.parts and source.exists():  # with its bytecode, which would be compiled again
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
    python = folder / "bin" / "python"
    pip("--python", str(python), "install", "--quiet", "--no-index", "--no-deps", *map(str, wheels))
    return folder / "bin"
