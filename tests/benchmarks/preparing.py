"""What a comparison needs before it starts: environments, catalogues of each size, one grant, the requests to send.

Everything is kept in .cache/bench and made again when what it was made from has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from functions.gateway.credentials import seal, seal_credential, token_key
from functions.gateway.grants import Grant, GrantedAccount, ServerConfig, keys_of, mint_secret
from functions.stores.dynamodb_items import key_attributes
from functions.stores.store import Key
from infra.package.build import interpreter, reached
from tests.benchmarks import synthetic
from tests.benchmarks.contenders import POSTERN, Contender, Setup
from tests.benchmarks.world import Addresses

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "bench"
RUNTIME = "3.13"
"""The functions' own Python; every contender runs on it, or, where there is none, on the one of this process."""

TABLE = "bench"
LOCKS = {
    "postern": "mcp_endpoint",
    "laptop": "local",
    "fastmcp": "bench_fastmcp",
    "sdk": "bench_sdk",
    "awslabs": "bench_awslabs",
}

AWS = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}

NO_LIMIT = {"POSTERN_CALLS_PER_MINUTE": "600000", "POSTERN_CALL_BURST": "600000"}
"""More calls than a bench makes: a refused call is faster than one that is carried out."""

Json = Any


class NotInstalled(Exception):
    """An environment could not be made; the message is pip's last line."""


class Minted(NamedTuple):
    """A token and the items that it opens."""

    token: str
    items: dict[Key, dict[str, Json]]


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is installed when it is not there or its lock changed. Raises
    NotInstalled."""
    lock = ROOT / "infra" / "requirements" / f"{LOCKS[name]}.txt"
    folder = CACHE / name
    python = folder / "bin" / "python"
    base = interpreter(RUNTIME) or sys.executable
    stamp = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {base}"
    marker = folder / ".installed"
    if marker.exists() and marker.read_text() == stamp:
        return python
    print(f"installing {lock.name} into {folder.relative_to(ROOT)} (once)...", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    commands: list[list[str]] = [
        [base, "-m", "venv", str(folder)],
        [
            *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--no-deps", "-r", str(lock)),
        ],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
            raise NotInstalled(said[-1][:200])
    marker.write_text(stamp)
    return python


def mint(integration: str, base_url: str) -> Minted:
    """A grant on all tools of an integration, which never expires."""
    token, data_key = mint_secret(secrets.token_bytes), secrets.token_bytes(32)
    sealed = seal_credential({"api_key": "bench-key"}, data_key, "acc_bench", secrets.token_bytes)
    context = {"org_id": "org", "project_id": "proj"}
    grant = Grant(
        id="srv_bench",
        name="bench",
        account=GrantedAccount("acc_bench", integration, base_url, context, sealed),
        config=ServerConfig(),
        created_at=datetime.now(UTC),
        expires_at=None,
        sealed_data_key=seal(data_key, token_key(token), "acc_bench", secrets.token_bytes),
    )
    items = dict(zip(keys_of(token), (grant.to_json(), grant.account.to_json()), strict=True))
    return Minted(token, items)


def put(table: str, minted: Minted, tls: ssl.SSLContext | None = None) -> None:
    """The grant and its account into the table at this address."""
    for key, body in minted.items.items():
        item = {**key_attributes(key), "body": {"S": json.dumps(body)}, "version": {"N": "1"}}
        request = urllib.request.Request(
            table,
            json.dumps({"TableName": TABLE, "Item": item}).encode(),
            {"X-Amz-Target": "DynamoDB_20120810.PutItem"},
        )
        with urllib.request.urlopen(request, context=tls) as answer:
            answer.read()


class Prepared:
    """Files of one catalogue size, and the setup of each contender for it."""

    def __init__(self, count: int, world: Addresses, minted: Minted) -> None:
        self.count = count
        self._world = world
        self._minted = minted
        self._folder = CACHE / "tools" / str(count)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write("specification.json", synthetic.specification(count))
        self._write("definitions.json", synthetic.definitions(count))
        self.stage = self._staged()
        self._called = self._postern_name()

    @property
    def token(self) -> str:
        """The secret that every request has in its path."""
        return self._minted.token

    def setup(self, contender: Contender) -> Setup:
        """What a worker is told."""
        arguments = {"item_id": "item-1", **synthetic.ENTRY}
        name = synthetic.operation_name(synthetic.CALLED)
        if contender.name == POSTERN:
            name, item = self._called
            arguments = {item: "item-1", **synthetic.ENTRY}
        params: dict[str, dict[str, Json]] = {"list": {}, "call": {"name": name, "arguments": arguments}}
        events = {
            f"{era} {method}": synthetic.event(self._minted.token, era, f"tools/{method}", params[method])
            for era in contender.eras
            for method in params
        }
        return {
            "upstream": self._world.upstream,
            "table": self._world.table,
            "table_name": TABLE,
            "stage": str(self.stage),
            "specification": str(self._folder / "specification.json"),
            "definitions": str(self._folder / "definitions.json"),
            "events": json.dumps(events),
            "log": str(CACHE / "log-lines.txt"),
            "era": contender.eras[0],
        }

    def _write(self, name: str, content: Json) -> None:
        (self._folder / name).write_text(json.dumps(content))

    def _staged(self) -> Path:
        """The modules of the data plane's artefact beside a catalogue of this size, compiled from the OpenAPI
        document as an operator would."""
        modules = reached("functions.mcp_endpoint.handler")
        sources = [*modules, *sorted((ROOT / "tool_catalog").rglob("*.py"))]
        made_from = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, *self._folder.glob("spec*")]))
        stage = self._folder / "stage"
        marker = stage / ".made-from"
        if marker.exists() and marker.read_text() == made_from.hexdigest():
            return stage
        print(f"compiling a catalogue of {self.count} tools (once)...", file=sys.stderr)
        shutil.rmtree(stage, ignore_errors=True)
        shutil.rmtree(self._folder / "records", ignore_errors=True)
        tool_catalog = [sys.executable, "-m", "tool_catalog.cli"]
        for command in (
            ["import", "--integration", "bench", str(self._folder / "specification.json")],
            ["compile"],
        ):
            into = ["--into", str(self._folder)]
            subprocess.run([*tool_catalog, *command, *into], cwd=ROOT, check=True, capture_output=True)
        shutil.copytree(self._folder / "compiled", stage / "tool_catalog" / "compiled")
        for module in modules:
            target = stage / module.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, target)
        subprocess.run(
            [str(python_of("postern")), "-m", "compileall", "-q", str(stage)], check=True, stdout=subprocess.DEVNULL
        )
        marker.write_text(made_from.hexdigest())
        return stage

    def _postern_name(self) -> tuple[str, str]:
        """Name of the tool that calls the operation, and of its argument that takes the item's id."""
        from tool_catalog import compiled_file

        tools = compiled_file.load("bench", self.stage / "tool_catalog" / "compiled").tools
        path = f"/v1/c{synthetic.CALLED}/{{item_id}}"
        tool = next(tool for tool in tools.values() if tool.request.path == path)
        item = next(one.argument for one in tool.request.parameters if one.location == "path")
        assert item is not None
        return tool.name, item


def environment() -> dict[str, str]:
    """The environment variables of a worker: none of the caller's but where programs are."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **AWS}


ZIP = """
import importlib.metadata as m, io, re, sys, zipfile
found, pending = set(), list(sys.argv[1].split(","))
while pending:
    name = re.sub("[-_.]+", "-", pending.pop()).lower()
    if name in found:
        continue
    try:
        distribution = m.distribution(name)
    except m.PackageNotFoundError:
        continue
    found.add(name)
    pending += [re.match("[A-Za-z0-9._-]+", r)[0] for r in distribution.requires or () if "extra ==" not in r]
out = io.BytesIO()
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
    for name in sorted(found):
        for file in m.distribution(name).files or ():
            path = str(file)
            if path.startswith("..") or path.endswith((".pyc", ".pyi", "RECORD")):
                continue
            archive.write(file.locate(), path)
    for path in sys.argv[2:]:
        archive.write(path)
print(len(out.getvalue()))
"""
"""Zips the packages named first with everything that they require, and the files named after; prints the bytes."""


def zipped(contender: Contender, python: Path, ours: Iterable[Path] = ()) -> float:
    """MB of a zip of the contender's packages without bytecode."""
    command = [str(python), "-c", ZIP, ",".join(contender.packages), *map(str, ours)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1e6


def artefact() -> float | None:
    """MB of the zipped data-plane artefact as `make build` makes it for this machine; None where it cannot be built."""
    import io
    import platform
    import zipfile

    folder = CACHE / "artefact"
    architecture = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    build = [sys.executable, str(ROOT / "infra" / "package" / "build.py"), "mcp_endpoint", str(folder)]
    done = subprocess.run([*build, "--architecture", architecture], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return len(out.getvalue()) / 1e6
