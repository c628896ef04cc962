"""Machines that lack something: no home, a folder that cannot be written, a taken port, no network. One line each."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, run
from tests.gateway.loopback import unused_origin

URL = f"https://postern.example.com/mcp/{'T' * 43}"


def line(ran: Ran, code: int = 1) -> str:
    """The one line that says what is wrong."""
    assert (ran.code, ran.out) == (code, ""), ran
    told = [text for text in ran.err.splitlines() if text.startswith("postern: ")]
    assert len(told) == 1, ran.err
    assert "Traceback" not in ran.err
    return told[0].removeprefix("postern: ")


@pytest.fixture(name="elsewhere")
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder in which nobody can write, not even root."""
    monkeypatch.chdir("/proc")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("command", ["run", "serve"])
def test_without_a_home_the_state_is_in_the_current_folder(command: str) -> None:
    told = line(run(command, "--port", "0", environment={}))
    assert told.startswith("the state folder .postern cannot be used (")
    assert told.endswith("set POSTERN_STATE_DIR to a folder that this user may write")


@pytest.mark.parametrize("words", [["run"], ["run", "--stdio"], ["serve"]])
def test_a_home_that_cannot_be_written_is_named(words: list[str]) -> None:
    told = line(run(*words, "--port", "0", environment={"HOME": "/dev/null"}))
    assert told.startswith("the state folder /dev/null/")
    assert told.endswith("set POSTERN_STATE_DIR to a folder that this user may write")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["endpoint", "add", "x", "--url", "https://x.example", "--api-token", "y"], "/dev/null/.config/"),
        (["endpoint", "list"], "/dev/null/.config/"),
        (["install", "--client", "cursor", "--url", URL, "--yes"], "/dev/null/.cursor: "),
        (["install", "--capture", "codex"], "/dev/null/.codex: "),
        (["service", "install"], "/dev/null/"),
        (["status"], "/dev/null/"),
        (["memory", "export"], "/dev/null/"),
    ],
)
def test_every_command_that_needs_the_home_names_the_file(words: list[str], told: str) -> None:
    ran = run(*words, environment={"HOME": "/dev/null"})
    assert told in line(ran)


@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_taken_port_is_told_with_another(command: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = line(run(command, "--port", str(port), environment={"HOME": str(tmp_path)}))
    assert told == (
        f"port {port} of 127.0.0.1 is taken (Address already in use); stop the program that listens there, or choose "
        f"another port: --port {port + 1}"
    )


def test_an_upstream_without_a_network_is_told(tmp_path: Path) -> None:
    given = {"HOME": str(tmp_path), "MEM0_API_KEY": "secret-key", "MEM0_BASE_URL": unused_origin()}
    told = line(run("run", "--port", "0", environment=given))
    assert told.startswith("could not connect the account: no connection to 127.0.0.1:")
    assert "secret-key" not in told


@pytest.mark.parametrize("folder", ["with spaces", "é ü 漢字", "50%$HOME'\"", "-dash"])
def test_names_of_endpoints_and_clients_go_into_a_home_of_any_name(folder: str, tmp_path: Path) -> None:
    home = tmp_path / folder
    home.mkdir()
    given = {"HOME": str(home)}
    for _ in range(2):
        add = ["endpoint", "add", "x", "--url", "https://x.example", "--api-token", "y"]
        assert run(*add, environment=given).code == 0
        assert run("install", "--client", "codex", "--url", URL, "--yes", environment=given).code == 0
    assert "https://x.example" in run("endpoint", "list", environment=given).out
    assert run("service", "install", environment=given).code == 0
