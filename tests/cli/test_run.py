"""`postern run`: a memory pinned to this laptop's user, over a URL and over standard input and output."""

from __future__ import annotations

import asyncio
import io
import json
import os
import plistlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from functions import local
from functions.cli import stdio_bridge
from functions.cli.commands import service
from functions.cli.invocation import Failed
from functions.cli.program import program
from functions.gateway.settings import Settings
from tests.cli.conftest import run
from tests.gateway.loopback import unused_origin
from tests.patience import STUCK_SECONDS
from tests.started import measured, started

ROOT = Path(__file__).parents[2]


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), **measured()}


@contextmanager
def running(home: Path) -> Iterator[str]:
    """What `postern run` prints, while it runs in a folder where nothing is."""
    command = [sys.executable, "-m", "functions.cli", "run", "--port", "0"]
    with started(command, "Ctrl-C stops it.", cwd=home, env=environment(home), stderr=subprocess.PIPE) as memory:
        yield memory.printed
        code, said = memory.stop()
        assert (code, "Stopped. The memories are kept" in said) == (0, True), said


def test_the_commands_that_it_prints_work_from_any_shell_and_the_url_survives(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "my home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    bash = shutil.which("bash")
    assert bash is not None
    with running(home) as printed:
        url = re.search(r"^  MCP URL +(http://127\.0\.0\.1:\d+/mcp/(\S+))$", printed, re.MULTILINE)
        assert url is not None, printed
        assert re.search(r"^  Console +http://127\.0\.0\.1:\d+/console#sign-in=\S+$", printed, re.MULTILINE), printed
        tried = [line.strip() for line in printed.splitlines() if " call mem_0_" in line]
        assert len(tried) == 2
        done = [
            subprocess.run(
                [bash, "-c", line],
                cwd=elsewhere,
                env={"PATH": "/usr/bin:/bin", "HOME": str(home), **measured()},
                capture_output=True,
                text=True,
                timeout=STUCK_SECONDS,
                check=False,
            )
            for line in tried
        ]
        assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
        assert "I like window seats." in done[1].stdout
        foreign = run("call", "mem_0_memories_search", "query=x", "filters.user_id=other", "--url", url[1])
        assert (foreign.code, "pinned to user_id=" in foreign.out) == (1, True), foreign
    assert (home / ".local" / "share" / "postern" / "memory.sqlite").is_file()
    assert list(elsewhere.iterdir()) == []
    with running(home) as again:
        assert f"/mcp/{url[2]}" in again


async def _talk(home: Path, mode: str) -> tuple[list[str], Any]:
    """The tools that a client sees over standard input and output, and what it finds after it stored a fact."""
    words = ["-m", "functions.cli", "run", "--stdio"]
    started = StdioServerParameters(command=sys.executable, args=words, env=environment(home), cwd=str(home))
    async with Client(stdio_client(started), mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        await client.call_tool("mem_0_memories_remember", {"facts": [f"Anna likes tea, said {mode}."]})
        found = await client.call_tool("mem_0_memories_search", {"query": "tea"})
        assert not found.is_error, found.content
        return tools, found.structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_that_starts_it_speaks_mcp_over_its_standard_input_and_output(mode: str, tmp_path: Path) -> None:
    tools, found = asyncio.run(_talk(tmp_path, mode))
    assert "mem_0_memories_remember" in tools
    assert not [name for name in tools if "_project" in name or "_organization" in name]
    assert f"Anna likes tea, said {mode}." in json.dumps(found)


def test_a_second_client_shares_the_memory_of_the_first(tmp_path: Path) -> None:
    state = tmp_path / ".local" / "share" / "postern"
    with local.start(Settings(state_dir=str(state)), {}, personal=True):
        asyncio.run(_talk(tmp_path, "auto"))
        _, found = asyncio.run(_talk(tmp_path, "legacy"))
    assert {"said auto", "said legacy"} == set(re.findall(r"said \w+", json.dumps(found)))


def bridged(*lines: str, url: str) -> list[Any]:
    """The messages that the bridge writes for these lines."""
    out = io.StringIO()
    stdio_bridge.serve(lines, out, url)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_bridge_answers_every_request_and_nothing_else(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        [broken] = bridged("{not json\n", "\n", url=ready.mcp_url)
        assert (broken["id"], broken["error"]["code"]) == (None, -32700)
        notification = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert bridged(notification, url=ready.mcp_url) == []
        [unknown] = bridged(json.dumps({"jsonrpc": "2.0", "id": 7, "method": "x/y"}), url=ready.mcp_url)
        assert (unknown["id"], unknown["error"]["code"]) == (7, -32601)
        ping = json.dumps({"jsonrpc": "2.0", "id": 8, "method": "ping"})
        [dead] = bridged(ping, url=f"{ready.base_url}/mcp/{'x' * 43}")
        assert (dead["id"], "error" in dead) == (8, True)
    [lost] = bridged(json.dumps({"jsonrpc": "2.0", "id": "a", "method": "ping"}), url=f"{unused_origin()}/mcp/x")
    assert (lost["id"], lost["error"]["code"]) == ("a", -32000)
    assert lost["error"]["message"].startswith("the memory cannot be reached (ConnectError); restart this server")


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("search", "search"),
        ("süß", "=?base64?c8O8w58=?="),
        (" a", "=?base64?IGE=?="),
        ("=?base64?x", "=?base64?PT9iYXNlNjQ/eA==?="),
    ],
)
def test_a_name_that_a_header_cannot_carry_is_sent_in_base64(value: str, header: str) -> None:
    assert stdio_bridge._header(value) == header


# ---- the service


def test_the_unit_of_systemd_starts_this_program_with_this_state(tmp_path: Path) -> None:
    made = service.unit(["/opt/a b/50%$/postern", "run"], "/home/é/state")
    assert 'ExecStart="/opt/a b/50%%$$/postern" "run"\n' in made
    assert 'Environment="POSTERN_STATE_DIR=/home/é/state"\n' in made
    assert "\nWantedBy=default.target\n" in made
    checker = shutil.which("systemd-analyze")
    if checker is not None:
        file = tmp_path / "postern.service"
        file.write_text(service.unit([sys.executable, "run"], "/home/é/state"))
        done = subprocess.run([checker, "verify", "--user", str(file)], capture_output=True, text=True, check=False)
        assert str(file) not in done.stderr, done.stderr


def test_the_agent_of_launchd_starts_this_program_with_this_state() -> None:
    made = plistlib.loads(service.agent(["/opt/a b/postern", "run"], "/Users/é/State"))
    assert made["ProgramArguments"] == ["/opt/a b/postern", "run"]
    assert made["EnvironmentVariables"] == {"POSTERN_STATE_DIR": "/Users/é/State"}
    assert (made["Label"], made["RunAtLoad"], made["KeepAlive"]) == (service.LABEL, True, {"SuccessfulExit": False})


@pytest.mark.parametrize(
    ("given", "platform", "path"),
    [
        ({"HOME": "/home/u"}, "linux", "/home/u/.config/systemd/user/postern.service"),
        ({"HOME": "/home/u", "XDG_CONFIG_HOME": "/cfg"}, "linux", "/cfg/systemd/user/postern.service"),
        ({"HOME": "/Users/u"}, "darwin", f"/Users/u/Library/LaunchAgents/{service.LABEL}.plist"),
    ],
)
def test_the_file_goes_where_the_system_looks(given: dict[str, str], platform: str, path: str) -> None:
    assert service.place(given, platform) == Path(path)


def test_a_system_without_either_and_a_user_without_a_home_are_told_so() -> None:
    with pytest.raises(Failed, match=r"^services of win32 are not supported; start `postern run` yourself$"):
        service.place({"HOME": "/x"}, "win32")
    with pytest.raises(Failed, match=r"^HOME is not set, so there is no place for the service"):
        service.place({}, "linux")


@pytest.mark.skipif(sys.platform == "darwin", reason="reads the unit of systemd")
def test_install_writes_the_file_and_uninstall_removes_it(tmp_path: Path) -> None:
    given = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "MEM0_API_KEY": "secret-key"}
    installed = run("service", "install", environment=given)
    file = tmp_path / ".config" / "systemd" / "user" / "postern.service"
    assert installed.out == f"wrote {file}\n"
    assert "systemctl --user enable --now postern.service" in installed.err
    assert "MEM0_API_KEY of this shell is not passed on" in installed.err
    text = file.read_text()
    command = re.search(r'^ExecStart="(.*)" "run"$', text, re.MULTILINE)
    assert command is not None
    assert Path(command[1]).is_absolute()
    assert f'"POSTERN_STATE_DIR={tmp_path}/.local/share/postern"' in text
    assert "secret-key" not in text
    assert run("service", "uninstall", environment=given).out == f"removed {file}\n"
    assert run("service", "uninstall", environment=given).code == 1


def test_the_program_is_called_by_its_name_only_where_the_path_leads_to_it(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "postern").write_text("#!/bin/sh\n")
        (tmp_path / folder / "postern").chmod(0o755)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "postern").symlink_to(tmp_path / "one" / "postern")
    called = str(tmp_path / "one" / "postern")
    assert program({"PATH": f"{tmp_path}/one:{tmp_path}/other"}, called) == "postern"
    assert program({"PATH": f"{tmp_path}/one"}, called, own_bin=tmp_path / "one") == called
    assert program({"PATH": f"{tmp_path}/linked:{tmp_path}/one"}, called, own_bin=tmp_path / "one") == "postern"
    assert program({"PATH": f"{tmp_path}/other"}, called) == called
    assert program({}, called) == called
