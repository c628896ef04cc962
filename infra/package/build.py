"""Build the artefact of one Lambda function: locked packages and the modules that the handler can load.

    python infra/package/build.py FUNCTION FOLDER [--architecture arm64|x86_64] [--python 3.13]

`sam build` runs this file through the Makefile in this folder. Equal sources give equal bytes:

- Packages come from infra/requirements/FUNCTION.txt: exact versions, checked by hash, only wheels, for the platform of
  the function. Nothing is compiled, so any Python 3.11 or newer with pip can build for arm64.
- Packages are kept in .cache/packages by the hash of the lock file and the platform, so an unchanged lock is installed
  once.
- Modules of ours are those that the imports of the handler reach, including imports inside functions.
- The artefact contains bytecode, because /var/task on Lambda is read-only and every cold start would compile again. The
  bytecode is "unchecked-hash": the file times that Lambda sets would make any other kind stale. It needs an interpreter
  of the version of the function (python3.13). Without one the artefact has no bytecode and starts slower, and a
  message says so.

The gate comes first: a catalogue that does not compile, or differs from its records, stops the build. The folders that
POSTERN_CATALOGS names pass the same gate, and their compiled files go into the artefact beside those of the package.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "packages"
OURS = ("functions", "tool_catalog")
FUNCTIONS = ("mcp_endpoint", "admin_api", "purge", "log_subscriber", "trace_exporter")

PLATFORMS = {
    "arm64": ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64", "manylinux_2_34_aarch64"),
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64"),
}
"""Wheel platforms that run on Amazon Linux 2023 (glibc 2.34), the system of Lambda."""

AWS_SERVICES = ("dynamodb", "kms", "scheduler", "secretsmanager")
"""Services whose model files stay in botocore. The model files of all services are 25 of its 30 MB."""

UNUSED = ("*.pyi", "py.typed", "bin", "tests", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED")
"""Files of packages that no function reads. Licences stay."""

DATA = {
    Path("functions", "admin_api", "console", "static"): "files.py",
    Path("functions", "mcp_endpoint", "view.html"): "resources.py",
    Path("functions", "admin_api", "extension", "source"): "archive.py",
}
"""Folders of files that are no modules, and the module beside each that serves them."""

TASK_ROOT = "/var/task"
"""Where Lambda unpacks an artefact. Tracebacks show this path."""


VARIABLE = "POSTERN_CATALOGS"
"""Names the folders of your own catalogues, separated as in PATH."""


class BuildError(Exception):
    """The artefact cannot be built. The message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one artefact and return the exit code."""
    parser = argparse.ArgumentParser(prog="build.py", description="Build the artefact of one Lambda function.")
    parser.add_argument("function", choices=FUNCTIONS)
    parser.add_argument("folder", type=Path, help="the target; it is emptied first")
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
    serves_tools = ROOT / "tool_catalog" / "compiled_file.py" in modules
    check = [sys.executable, "-m", "tool_catalog.cli", "check"]
    if serves_tools and subprocess.run(check, cwd=ROOT, check=False).returncode:
        raise BuildError("the catalogue differs from its records (see above); run `make catalog` and read the diff")
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
        bundle(os.environ.get(VARIABLE, ""), folder / "tool_catalog" / "compiled")
    for data, reader in DATA.items():
        if ROOT / data.parent / reader in modules:
            copy = shutil.copytree if (ROOT / data).is_dir() else shutil.copyfile
            copy(ROOT / data, folder / data)
    _compile(folder, python)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"{function}: {len(files)} files, {size / 1e6:.1f} MB unpacked, {architecture}, Python {python}")


def bundle(own: str, target: Path) -> None:
    """Copy the compiled files of the package, and those of the folders that POSTERN_CATALOGS names, to `target`."""
    from tool_catalog import folders  # late: only the functions that serve tools need it

    try:
        homes = folders.homes((folders.PACKAGE, *folders.own(own)))
    except folders.FolderError as problem:
        raise BuildError(str(problem)) from None
    target.mkdir(parents=True)
    for name, home in homes.items():
        shutil.copyfile(home.compiled_file(name), target / f"{name}.json")
    if added := [name for name, home in homes.items() if home is not folders.PACKAGE]:
        print(f"bundled from {VARIABLE}: {', '.join(added)}")


def reached(module: str) -> list[Path]:
    """The source files of ours that `module` can load, sorted, including the `__init__` files of their packages."""
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
        raise BuildError(f"{module.replace('.', '/')}.py does not exist; run this command in a complete checkout")
    return sorted(found)


def _source(name: str) -> Path | None:
    """The file of a module of ours; None for other modules, and for a name inside a module."""
    if name.partition(".")[0] not in OURS:
        return None
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _imports(tree: ast.AST) -> Iterator[str]:
    """Absolute names that a module may import, also in functions, but not under `if TYPE_CHECKING`."""
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
    """Copy the packages of a lock file into `folder`, and install them first where that was not done yet."""
    made_of = hashlib.sha256(lock.read_bytes() + f"{architecture} {python}".encode()).hexdigest()[:16]
    kept = CACHE / f"{lock.stem}-{architecture}-{python}-{made_of}"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=".installing-") as made:
            target = Path(made) / "packages"
            target.mkdir()
            _download(lock, target, architecture, python)
            try:
                target.rename(kept)  # whole or not at all, whoever else installs it at this moment
            except OSError:
                if not kept.exists():
                    raise
    shutil.copytree(kept, folder, dirs_exist_ok=True)


def _download(lock: Path, folder: Path, architecture: str, python: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--target", str(folder), "-r", str(lock)]
    command += ["--implementation", "cp", "--python-version", python]
    for platform in PLATFORMS[architecture]:
        command += ["--platform", platform]
    if subprocess.run(command, check=False).returncode:
        raise BuildError(f"the packages of {lock.relative_to(ROOT)} could not be installed; see the messages above")
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
        print(
            f"Python {python} is not installed: the artefact has no bytecode, so its cold starts take longer",
            file=sys.stderr,
        )
        return
    command = [compiler, "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    if subprocess.run([*command, "-s", str(folder), "-p", TASK_ROOT, str(folder)], check=False).returncode:
        raise BuildError("a module does not compile (see above)")


def interpreter(python: str) -> str | None:
    """An interpreter that really has this version; its name is not proof."""
    ask = "import sys; print('{}.{}'.format(*sys.version_info))"
    aside = sorted(Path.home().glob(f".pyenv/versions/{python}.*/bin/python{python}"))
    for candidate in (sys.executable, shutil.which(f"python{python}"), *map(str, aside)):
        if candidate is not None:
            answer = subprocess.run([candidate, "-I", "-c", ask], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == python:
                return candidate
    return None


if __name__ == "__main__":
    sys.exit(main())
