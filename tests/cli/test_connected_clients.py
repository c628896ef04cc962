"""Snippets that really connect: the clients that can be installed here run what `postern snippet` printed.

They live in environments of their own (`make clients`). Programs that a snippet fetches with npx are taken from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from tests.cli.conftest import Local
from tests.patience import STUCK_SECONDS

ROOT = Path(__file__).parents[2]
NODE = ROOT / ".cache" / "node" / "node_modules"
PYTHONS = {
    "langchain": ROOT / ".cache" / "clients" / "bin" / "python",
    "openai-agents": ROOT / ".cache" / "clients_modern" / "bin" / "python",
}
"""The environments that `make clients` makes, by framework: each has the SDK that its framework takes."""
INSTALLED = {"@modelcontextprotocol/inspector": "mcp-inspector", "mcp-remote": "mcp-remote"}
"""Package that npx would fetch -> its program."""

VARIABLE = "POSTERN_SECOND_API_TOKEN"
pytestmark = pytest.mark.clients


@pytest.fixture(name="guarded", params=[False, True], ids=["url alone", "API token"])
def _guarded(local: Local, request: pytest.FixtureRequest) -> tuple[str, str | None]:
    """A server's URL, and the API token it requires, if any."""
    if not request.param:
        return local("server", "create", "--methods", "read", "-q").out.strip(), None
    minted = local("server", "create", "--methods", "read", "--require-api-token", "--json").json
    token = local(
        "api-token", "create", "--name", f"client of {minted['id']}", "--servers", minted["id"], "-q"
    ).out.strip()
    return minted["url"], token


def _snippet(local: Local, client: str, url: str, token: str | None) -> str:
    ran = local("snippet", "--client", client, "--url", url, *(["--api-token-env", VARIABLE] if token else []))
    assert ran.code == 0, ran.err
    assert token is None or token not in ran.out
    return ran.out


def _environment(tmp_path: Path, token: str | None) -> dict[str, str]:
    """Of a shell where npx runs what is installed already, with the API token in its variable."""
    assert all(python.exists() for python in PYTHONS.values()), (
        "the third-party clients are not installed; run `make clients`"
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    node = NODE / "node" / "bin" / "node"
    cases = "\n".join(f'  "{name}") exec "{node}" "{NODE}/.bin/{bin}" "$@" ;;' for name, bin in INSTALLED.items())
    npx = programs / "npx"
    npx.write_text(f'#!/bin/sh\n[ "$1" = -y ] || exit 9\nname="$2"; shift 2\ncase "$name" in\n{cases}\nesac\nexit 9\n')
    npx.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG")}
    return {
        **inherited,
        "HOME": str(tmp_path),
        "PATH": f"{programs}:{os.environ['PATH']}",
        **({VARIABLE: token} if token else {}),
    }


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=STUCK_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("client", ["langchain", "openai-agents"])
def test_a_framework_lists_the_tools(
    local: Local, guarded: tuple[str, str | None], client: str, tmp_path: Path
) -> None:
    url, token = guarded
    program = tmp_path / "program.py"
    program.write_text(_snippet(local, client, url, token), encoding="utf-8")
    assert "mem_0_memories_search" in _run([str(PYTHONS[client]), str(program)], _environment(tmp_path, token))


def test_the_inspector_lists_the_tools(local: Local, guarded: tuple[str, str | None], tmp_path: Path) -> None:
    url, token = guarded
    command = _snippet(local, "inspector", url, token)
    shell = shutil.which("sh")
    assert shell is not None
    listed = json.loads(_run([shell, "-c", command], _environment(tmp_path, token)))
    assert "mem_0_memories_search" in {tool["name"] for tool in listed["tools"]}


@pytest.mark.parametrize("client", ["mcp-remote", "claude-desktop"])
def test_a_client_of_local_programs_lists_the_tools_over_the_bridge(
    local: Local, guarded: tuple[str, str | None], client: str, tmp_path: Path
) -> None:
    url, token = guarded
    [entry] = json.loads(_snippet(local, client, url, token))["mcpServers"].values()
    variables = {
        name: value.replace("PASTE_THE_API_TOKEN_HERE", token or "") for name, value in entry.get("env", {}).items()
    }
    environment = {**_environment(tmp_path, None), **variables}
    parameters = StdioServerParameters(command=entry["command"], args=entry["args"], env=environment)
    assert "mem_0_memories_search" in asyncio.run(_names(parameters))


async def _names(parameters: StdioServerParameters) -> set[str]:
    async with asyncio.timeout(STUCK_SECONDS), Client(parameters, mode="legacy") as client:
        return {tool.name for tool in (await client.list_tools()).tools}
