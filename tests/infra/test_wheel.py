"""The wheel in an environment that holds what it requires and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.infra import wheels
from tests.infra.wheels import ROOT
from tests.patience import STUCK_SECONDS
from tests.started import started

pytestmark = pytest.mark.packages


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make wheel` does."""
    return wheels.build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel and the files of the distributions that it requires."""
    return wheels.installed(tmp_path_factory.mktemp("a venv") / "é", wheel)


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONWARNINGS": "error"}


def run(program: Path, *words: str, home: Path) -> str:
    done = subprocess.run(
        [str(program), *words],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=STUCK_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_takes_one_name_and_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        sources = {name: archive.read(name).decode() for name in names if name.endswith(".py")}
    assert {name.split("/")[0] for name in names} == {"postern", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    ours = re.compile(r"^\s*(?:from|import) (?:functions|tool_catalog|infra)\b", re.MULTILINE)
    assert {name for name, text in sources.items() if ours.search(text)} == set()
    assert wheel.stat().st_size < 1_250_000
    data = [path for path in (ROOT / "functions").rglob("*") if path.suffix in (".sql", ".toml", ".txt")]
    data += [*(ROOT / "tool_catalog").glob("compiled/*.json"), *(ROOT / "tool_catalog").glob("records/*/*.yaml")]
    missing = {str(path.relative_to(ROOT)) for path in data} - {name.removeprefix("postern/") for name in names}
    assert missing == set()


def test_a_laptop_needs_nothing_of_aws(wheel: Path) -> None:
    assert not wheels.required(wheel) & {"boto3", "botocore", "mangum", "numpy", "pytest", "setuptools"}


def test_an_extra_is_for_one_purpose(wheel: Path) -> None:
    metadata_of = wheels.stated(wheel)
    stated = [Requirement(line) for line in metadata_of.get_all("Requires-Dist", [])]
    extras = {
        extra: {one.name for one in stated if one.marker is not None and one.marker.evaluate({"extra": extra})}
        for extra in metadata_of.get_all("Provides-Extra", [])
    }
    assert extras == {"aws": {"boto3", "mangum"}, "embedder": {"numpy"}}
    assert metadata_of["Requires-Python"] == ">=3.11"


def test_every_module_of_the_laptop_is_imported_under_its_name_and_no_other(installed: Path, tmp_path: Path) -> None:
    program = """
import importlib, importlib.util, pkgutil, postern
taken = [name for name in ("functions", "tool_catalog", "infra", "boto3", "mangum") if importlib.util.find_spec(name)]
assert not taken, taken
left = []
for module in pkgutil.walk_packages(postern.__path__, "postern."):
    if not module.name.endswith(("__main__", ".handler", ".lambda_events")):  # these run on Lambda only
        try:
            importlib.import_module(module.name)
        except ImportError as missing:
            left.append((module.name, missing.name))
print(sorted(left))
"""
    left = run(installed / "python", "-c", program, home=tmp_path)
    assert left == "[]\n"


def test_the_commands_work_in_any_folder(installed: Path, tmp_path: Path) -> None:
    home = tmp_path / "with spaces"
    home.mkdir()
    (home / "functions.py").write_text("raise SystemExit('a file of another project was imported')")
    assert run(installed / "postern", "--version", home=home).startswith("postern ")
    assert "mem0.json: up to date" in run(installed / "tool-catalog", "check", home=home)
    assert "Mint, list and revoke MCP URLs" in run(installed / "python", "-m", "postern", "--help", home=home)
    new = ("new", "acme", "--base-url", "https://api.acme.example", "--into", "catalogs")
    assert "items.yaml" in run(installed / "tool-catalog", *new, home=home)


OFFLINE = """
import sys
def refuse(event, arguments):
    if event == "socket.connect" and arguments[1][0] not in ("127.0.0.1", "::1"):
        raise OSError(f"no network: {arguments[1]}")
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "localhost", None):
        raise OSError(f"no network: {arguments[0]}")
sys.addaudithook(refuse)
from postern.functions.cli import main
sys.exit(main(["run", "--port", "0"]))
"""


@contextmanager
def running(installed: Path, home: Path) -> Iterator[str]:
    """The MCP URL of a memory that runs in a process which reaches nothing but this machine."""
    command: list[str | Path] = [installed / "python", "-c", OFFLINE]
    with started(command, "Ctrl-C stops it", cwd=home, env=environment(home)) as memory:
        assert "Your memory is ready: the embedded memory in " in memory.printed, memory.printed
        found = re.search(r"^  MCP URL +(\S+)$", memory.printed, re.MULTILINE)
        assert found is not None, memory.printed
        yield found[1]
        memory.stop()


def test_the_memory_of_the_wheel_remembers_and_starts_without_a_network(installed: Path, tmp_path: Path) -> None:
    facts = 'facts:=["Anna likes window seats."]'
    with running(installed, tmp_path) as first:
        run(installed / "postern", "call", "mem_0_memories_remember", facts, home=tmp_path)
    with running(installed, tmp_path) as second:
        found = run(installed / "postern", "call", "mem_0_memories_search", "query=seats", home=tmp_path)
    assert "Anna likes window seats." in found
    assert first.rpartition("/")[2] == second.rpartition("/")[2]
    assert (tmp_path / ".local" / "share" / "postern" / "memory.sqlite").is_file()
