"""What the tests on stand-ins share: the built functions, a deployment of them, and an upstream."""

from __future__ import annotations

import os
import platform
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from functions.memory_engine.app import create_app
from functions.memory_engine.settings import EngineSettings
from tests.aws import standins
from tests.patience import STUCK_SECONDS, until

ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
LOGICAL_IDS = {
    "mcp_endpoint": "McpEndpoint",
    "admin_api": "AdminApi",
    "purge": "Purge",
    "log_subscriber": "LogSubscriber",
    "trace_exporter": "TraceExporter",
}


@dataclass(frozen=True)
class Built:
    """The output of `sam build` for this machine: functions run here, not on arm64."""

    folder: Path
    python: str

    def function(self, name: str) -> Path:
        return self.folder / LOGICAL_IDS[name]


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in the repository's root, with its output kept."""
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0", **variables}
    return subprocess.run(
        command, cwd=standins.ROOT, env=environment, capture_output=True, text=True, check=False, timeout=STUCK_SECONDS
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """All functions through infra/build.sh, for the interpreter that the stand-ins run functions with.

    `infra/test-aws.sh` has built them already, into POSTERN_BUILT.
    """
    interpreter = standins.tool("standins/bin/python")
    ask = [str(interpreter), "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
    python = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    if ready := os.environ.get("POSTERN_BUILT"):
        return Built(Path(ready), python)
    folder = tmp_path_factory.mktemp("build") / "functions"
    architecture = ARCHITECTURES[platform.machine()]
    done = run("infra/build.sh", str(folder), POSTERN_ARCHITECTURE=architecture, POSTERN_PYTHON=python)
    assert done.returncode == 0, done.stdout + done.stderr
    return Built(folder, python)


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """The memory engine on a loopback port: the base URL of an account."""
    config = uvicorn.Config(
        create_app(EngineSettings(path=":memory:")), host="127.0.0.1", port=0, log_level="error", lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "the memory engine starts")
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(STUCK_SECONDS)
