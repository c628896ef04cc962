"""`postern serve` as a process: what it prints, and that it stops and starts again with the same URL."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import run
from tests.patience import STUCK_SECONDS
from tests.started import started

ROOT = Path(__file__).parents[2]


@contextmanager
def _serving(state_dir: Path, *options: str) -> Iterator[list[str]]:
    """Standard output of a served endpoint up to the line about stopping; the process is interrupted at the end."""
    command = [sys.executable, "-m", "functions.cli", "serve", "--port", "0", *options]
    environment = {**os.environ, "POSTERN_STATE_DIR": str(state_dir), "PYTHONPATH": str(ROOT)}
    ready = ("Ctrl-C stops the endpoint", "}")
    with started(command, *ready, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as endpoint:
        yield endpoint.printed.splitlines()
        code, said = endpoint.stop()
        assert code == 0, said
        assert "Stopped. The state is kept" in said or "--json" in options, said


def _value(lines: list[str], label: str) -> str:
    [line] = [line for line in lines if line.startswith(f"  {label}  ")]
    return line.removeprefix(f"  {label}").strip()


def test_it_prints_what_works_and_keeps_the_url_over_a_restart(tmp_path: Path) -> None:
    with _serving(tmp_path) as lines:
        url, api_token = _value(lines, "MCP URL"), _value(lines, "API token")
        assert lines[0].startswith("Postern is ready on http://127.0.0.1:")
        assert f"connected to the embedded memory in {tmp_path}/memory.sqlite" in lines[0]
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert httpx.post(url, json=ping, timeout=STUCK_SECONDS, trust_env=False, verify=False).status_code == 200
        assert shlex.split(_value(lines, "Claude Code"))[-1] == url
        vscode = shlex.split(_value(lines, "VS Code"))
        assert vscode[:2] == ["code", "--add-mcp"]
        assert json.loads(vscode[2]) == {"name": "postern", "type": "http", "url": url}
        [cursor] = [line for line in lines if '"mcpServers"' in line]
        assert json.loads(cursor) == {"mcpServers": {"postern": {"url": url}}}
        assert "only public https addresses, not this one" in _value(lines, "ChatGPT")
        environment = {"POSTERN_STATE_DIR": str(tmp_path)}
        for line in lines:
            if line.startswith("  postern "):  # the lines under "Try"
                ran = run(*shlex.split(line)[1:], environment=environment)
                assert ran.code == 0, (line, ran.err)
        base_url = url.split("/mcp/")[0]
        account = httpx.get(
            f"{base_url}/integrated-account/{_value(lines, 'account')}",
            headers={"Authorization": f"Bearer {api_token}"},
            timeout=STUCK_SECONDS,
            trust_env=False,
            verify=False,
        )
        assert account.json()["integration"] == "mem0"
        with_token = ["server", "list", "--endpoint", base_url, "--api-token", api_token]
        assert run(*with_token).code == 0
    with _serving(tmp_path) as lines:
        assert _value(lines, "MCP URL").split("/mcp/")[1] == url.split("/mcp/")[1]
        assert _value(lines, "API token") == api_token


def test_as_json_it_is_one_document(tmp_path: Path) -> None:
    with _serving(tmp_path, "--json") as lines:
        ready = json.loads("\n".join(lines))
        assert ready["mcp_url"].startswith(ready["base_url"])


def test_a_port_that_is_taken_is_told_with_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run("serve", "--port", str(port), environment={"POSTERN_STATE_DIR": str(tmp_path)})
    assert ran.code == 1
    assert ran.err == (
        f"postern: port {port} of 127.0.0.1 is taken (Address already in use); stop the program that listens there, or "
        f"choose another port: --port {port + 1}\n"
    )


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "POSTERN_CALL_TIMEOUT_SECONDS",
            "soon",
            "POSTERN_CALL_TIMEOUT_SECONDS is 'soon'; valid: a whole number from 1 to 840",
        ),
        ("POSTERN_MEMORY_FAILURE_RATE", "2", "failure_rate is 2.0; give a share from 0 to 1"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(tmp_path: Path, variable: str, value: str, message: str) -> None:
    environment = {"POSTERN_STATE_DIR": str(tmp_path), variable: value}
    ran = run("serve", "--port", "0", environment=environment)
    assert (ran.code, ran.out, ran.err) == (1, "", f"postern: {message}\n")
