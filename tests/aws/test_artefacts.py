"""What is in the built functions, and that it is all they need."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.aws import standins
from tests.aws.conftest import Built

pytestmark = pytest.mark.aws

DATA_PLANE_MAX_BYTES = 10_000_000
"""Of the zip: what a cold start has to fetch and unpack."""

FUNCTIONS = ("mcp_endpoint", "admin_api", "purge", "log_subscriber", "trace_exporter")

ALL_MAX_BYTES = 50_000_000
"""Of all zips: what a deployment uploads, and docs/cost-and-limits.md counts for each version in S3."""

DATA_PLANE_PACKAGES = {"certifi", "cffi", "jmespath", "jsonschema_rs", "nacl", "pycparser"}
NOT_IN_THE_DATA_PLANE = ("boto3", "botocore", "pydantic", "pydantic_core", "yaml", "mcp", "mcp_types", "cryptography")

VARIABLES = {
    "POSTERN_STORE": "dynamodb",
    "POSTERN_TABLE": "no-table",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
OWN = {"trace_exporter": {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example"}}
"""What a function needs in addition."""


def zipped(folder: Path) -> bytes:
    """The folder as a zip of sorted entries without times: what Lambda gets."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.writestr(
                    zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes(), zipfile.ZIP_DEFLATED
                )
    return buffer.getvalue()


def contents(folder: Path) -> dict[str, str]:
    """Relative path -> mode and SHA-256 of every file."""
    return {
        str(path.relative_to(folder)): f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def packages(folder: Path) -> set[str]:
    """Top-level names that can be imported from the folder."""
    return {
        path.name.partition(".")[0]
        for path in folder.iterdir()
        if (path.is_dir() and not path.name.endswith(".dist-info") and path.name != "__pycache__")
        or path.suffix in (".py", ".so")
    }


def test_the_data_plane_is_small_and_carries_its_packages_and_no_other(built: Built) -> None:
    folder = built.function("mcp_endpoint")
    assert len(zipped(folder)) < DATA_PLANE_MAX_BYTES
    assert packages(folder) - {"_cffi_backend"} == DATA_PLANE_PACKAGES | {"functions", "tool_catalog"}
    assert not packages(folder) & set(NOT_IN_THE_DATA_PLANE)


def test_a_deployment_uploads_little(built: Built) -> None:
    assert sum(len(zipped(built.function(function))) for function in FUNCTIONS) < ALL_MAX_BYTES


def test_no_function_carries_another_plane_the_memory_engine_or_a_test(built: Built) -> None:
    rooms = {
        name: {path.name for path in (built.function(name) / "functions").iterdir() if path.is_dir()} - {"__pycache__"}
        for name in FUNCTIONS
    }
    assert rooms == {
        "mcp_endpoint": {"mcp_endpoint", "gateway", "stores"},
        "admin_api": {"admin_api", "gateway", "stores"},
        "purge": {"purge", "admin_api", "gateway", "stores"},
        "log_subscriber": {"log_subscriber", "gateway", "stores"},
        "trace_exporter": {"trace_exporter", "log_subscriber", "admin_api", "gateway", "stores"},
    }
    exporter = built.function("trace_exporter") / "functions"
    assert {path.name for path in (exporter / "log_subscriber").glob("*.py")} == {"__init__.py", "deliveries.py"}
    assert {path.name for path in (exporter / "admin_api").rglob("*.py")} == {"__init__.py", "aws.py"}
    borrowed = (built.function("purge") / "functions" / "admin_api").rglob("*.py")
    assert {path.name for path in borrowed} == {
        *("__init__.py", "item.py", "names.py", "aws.py"),
    }, "the purge function reads a server and an account, no more"
    for name in rooms:
        assert not (built.function(name) / "tests").exists()
        assert not list(built.function(name).rglob("records"))


def test_the_compiled_catalogues_come_along_byte_by_byte(built: Built) -> None:
    source = standins.ROOT / "tool_catalog" / "compiled"
    for name in ("mcp_endpoint", "admin_api"):
        bundled = built.function(name) / "tool_catalog" / "compiled"
        assert contents(bundled).keys() == {path.name for path in source.glob("*.json")}
        assert all(path.read_bytes() == (source / path.name).read_bytes() for path in bundled.iterdir())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_unzipped_function_imports_with_nothing_else_around(built: Built, tmp_path: Path, function: str) -> None:
    """The guard against a build that succeeds with no packages in it: a bare interpreter, an empty environment."""
    interpreter = standins.tool("runtime/bin/python")
    zipfile.ZipFile(io.BytesIO(zipped(built.function(function)))).extractall(tmp_path)
    program = f"import functions.{function}.handler as h, sys; print(callable(h.handler), *sys.modules)"
    done = subprocess.run(
        [str(interpreter), "-S", "-B", "-c", program],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), **VARIABLES, **OWN.get(function, {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    handler_is_callable, *modules = done.stdout.split()
    assert handler_is_callable == "True"
    if function == "mcp_endpoint":
        loaded = {module.partition(".")[0] for module in modules}
        assert not loaded & {*NOT_IN_THE_DATA_PLANE, "httpx", "jsonschema_rs", "nacl", "jmespath"}


@pytest.mark.parametrize("function", ["mcp_endpoint", "purge", "log_subscriber"])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"POSTERN_TABLE": None}, "POSTERN_TABLE is not set"),
        ({"POSTERN_STORE": "mongodb"}, "POSTERN_STORE is 'mongodb'; valid: dynamodb, sqlite"),
        ({"POSTERN_CALL_TIMEOUT_SECONDS": "soon"}, "POSTERN_CALL_TIMEOUT_SECONDS is 'soon'"),
    ],
    ids=["missing", "wrong", "not a number"],
)
def test_a_missing_or_wrong_variable_stops_a_function_with_one_line_that_names_it(
    built: Built, function: str, changed: dict[str, str | None], said: str
) -> None:
    interpreter = standins.tool("runtime/bin/python")
    folder = built.function(function)
    variables = {name: value for name, value in {**VARIABLES, **changed}.items() if value is not None}
    done = subprocess.run(
        [str(interpreter), "-S", "-B", "-c", f"import functions.{function}.handler"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"functions.gateway.settings.SettingsError: {said}")


def test_the_same_sources_give_the_same_bytes(built: Built, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere" / "mcp_endpoint"
    architecture = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x86_64"
    command = ["infra/package/build.py", "mcp_endpoint", str(again), "--architecture", architecture]
    subprocess.run([sys.executable, *command, "--python", built.python], cwd=standins.ROOT, check=True)
    assert contents(again) == contents(built.function("mcp_endpoint"))


def test_bytecode_is_there_and_is_not_bound_to_file_times(built: Built) -> None:
    """Lambda gives unpacked files its own times; bytecode that compares them would never be used."""
    compiled = list((built.function("mcp_endpoint") / "functions").rglob("*.pyc"))
    assert len(compiled) == len(list((built.function("mcp_endpoint") / "functions").rglob("*.py")))
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\x01\x00\x00\x00"}  # PEP 552: hash-based, unchecked


def test_the_functions_for_aws_hold_arm64_code_only(tmp_path: Path) -> None:
    folder = tmp_path / "purge"
    for function in ("mcp_endpoint",):
        folder = tmp_path / function
        command = ["infra/package/build.py", function, str(folder)]
        subprocess.run([sys.executable, *command], cwd=standins.ROOT, check=True)
        libraries = list(folder.rglob("*.so"))
        assert len(libraries) >= 3
        assert {path.read_bytes()[18:20] for path in libraries} == {b"\xb7\x00"}  # ELF e_machine: AArch64
