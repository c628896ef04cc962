"""Builds the artefact of one Lambda function: locked packages, our modules that the handler reaches, nothing else.

    python infra/package/build.py FUNCTION FOLDER [--architecture arm64|x86_64] [--python 3.13]

`sam build` runs it through the Makefile beside it. The same sources give the same bytes:

- packages come from infra/requirements/FUNCTION.txt: exact versions, checked by hash, wheels only, for the platform of
  the function and not of this machine. Nothing is compiled, so any Python 3.11+ with pip builds for arm64;
- our modules are those that the handler's imports lead to, also the imports inside functions, so a module that no
  function uses is in no artefact;
- bytecode is compiled in, because Lambda's /var/task is read-only and a cold start would compile every module again.
  It is "unchecked-hash" bytecode: the file times that Lambda gives to unpacked files would make any other kind stale.
  It needs an interpreter of the function's own version (python3.13); where there is none the artefact is made
  without, works, and starts slower, and a line says so.

The gate comes first: a catalogue that does not compile, or is not what the records say, stops the build.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("functions", "tool_catalog")
FUNCTIONS = ("mcp_endpoint", "admin_api", "purge")

PLATFORMS = {
    "arm64": ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64", "manylinux_2_34_aarch64"),
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64"),
}
"""Wheel platforms that run on Lambda's Amazon Linux 2023 (glibc 2.34)."""

AWS_SERVICES = ("dynamodb", "kms", "scheduler", "secretsmanager")
"""Services whose model files stay in botocore; all of them together are 25 of its 30 MB."""

UNUSED = ("*.pyi", "py.typed", "bin", "tests", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED")
"""What packages bring along and no function reads. Licences stay."""

TASK_ROOT = "/var/task"
"""Where Lambda unpacks an artefact; the file names in tracebacks."""


class BuildError(Exception):
    """The artefact cannot be built; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one artefact; returns the exit code."""
    parser = argparse.ArgumentParser(prog="build.py", description="Build the artefact of one Lambda function.")
    parser.add_argument("function", choices=FUNCTIONS)
    parser.add_argument("folder", type=Path, help="emptied first")
    parser.add_argument("--architecture", choices=PLATFORMS, default=os.environ.get("POSTERN_ARCHITECTURE", "arm64"))
    parser.add_argument("--python", default=os.environ.get("POSTERN_PYTHON", "3.13"), help="version of the runtime")
    options = parser.parse_args(arguments)
    try:
        build(options.function, options.folder, options.architecture, options.python)
    except BuildError as problem:
        print(f"{options.function}: {problem}", file=sys.stderr)
        return 1
    return 0


def build(function: str, folder: Path, architecture: str, python: str) -> None:
    """Fill `folder` with the artefact. Raises BuildError."""
    modules = reached(f"functions.{function}.handler")
    serves_tools = ROOT / "tool_catalog" / "catalog.py" in modules
    check = [sys.executable, "-m", "tool_catalog.cli", "check"]
    if serves_tools and subprocess.run(check, cwd=ROOT, check=False).returncode:
        raise BuildError("the catalogue is not what the records say (above); run `make catalog` and read its diff")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    _install(ROOT / "infra" / "requirements" / f"{function}.txt", folder, architecture, python)
    for pattern in UNUSED:
        for path in [*folder.glob(pattern), *folder.glob(f"*/**/{pattern}")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    _prune_botocore(folder)
    for module in modules:
        target = folder / module.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module, target)
    if serves_tools:
        shutil.copytree(ROOT / "tool_catalog" / "compiled", folder / "tool_catalog" / "compiled")
    _compile(folder, python)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"{function}: {len(files)} files, {size / 1e6:.1f} MB unpacked, {architecture}, Python {python}")


def reached(module: str) -> list[Path]:
    """Our source files that importing `module` and calling into it can load, sorted; with their packages' __init__."""
    found: set[Path] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        path = _source(name)
        if path is None or path in found:
            continue
        found.add(path)
        pending += [name.rpartition(".")[0]] if "." in name else []
        pending += _imports(ast.parse(path.read_bytes(), str(path)))
    if not found:
        raise BuildError(f"{module.replace('.', '/')}.py is not there; run this in a complete checkout")
    return sorted(found)


def _source(name: str) -> Path | None:
    """The file of one of our modules; None for anybody else's, and for a name inside a module."""
    if name.partition(".")[0] not in OURS:
        return None
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _imports(tree: ast.AST) -> Iterator[str]:
    """Absolute names that a module's imports may mean, in functions too, but not under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=other):
                for statement in other:
                    yield from _imports(statement)
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(source), names=names, level=0):
                yield source
                yield from (f"{source}.{alias.name}" for alias in names)
            case _:
                yield from _imports(node)


def _install(lock: Path, folder: Path, architecture: str, python: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--target", str(folder), "-r", str(lock)]
    command += ["--implementation", "cp", "--python-version", python]
    for platform in PLATFORMS[architecture]:
        command += ["--platform", platform]
    if subprocess.run(command, check=False).returncode:
        raise BuildError(f"the packages of {lock.relative_to(ROOT)} could not be installed (pip says why above)")
    locked = [line for line in lock.read_text().splitlines() if "==" in line]
    if locked and not any(folder.iterdir()):
        raise BuildError(f"pip installed nothing of {lock.relative_to(ROOT)}")


def _prune_botocore(folder: Path) -> None:
    data = folder / "botocore" / "data"
    if data.exists():
        for path in data.iterdir():
            if path.is_dir() and path.name not in AWS_SERVICES:
                shutil.rmtree(path)
        for path in (folder / "boto3" / "data").iterdir():
            if path.is_dir() and path.name not in AWS_SERVICES:
                shutil.rmtree(path)
        shutil.rmtree(folder / "boto3" / "examples", ignore_errors=True)


def _compile(folder: Path, python: str) -> None:
    compiler = interpreter(python)
    if compiler is None:
        print(f"no Python {python} here: the artefact has no bytecode, so its cold starts take longer", file=sys.stderr)
        return
    command = [compiler, "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    if subprocess.run([*command, "-s", str(folder), "-p", TASK_ROOT, str(folder)], check=False).returncode:
        raise BuildError("a module does not compile (above)")


def interpreter(python: str) -> str | None:
    """An interpreter that is of this version, not merely called so."""
    ask = "import sys; print('{}.{}'.format(*sys.version_info))"
    aside = sorted(Path.home().glob(f".pyenv/versions/{python}.*/bin/python{python}"))  # its shims may be switched off
    for candidate in (sys.executable, shutil.which(f"python{python}"), *map(str, aside)):
        if candidate is not None:
            answer = subprocess.run([candidate, "-I", "-c", ask], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == python:
                return candidate
    return None


if __name__ == "__main__":
    sys.exit(main())
