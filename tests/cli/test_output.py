"""What is drawn on a terminal, what is plain text elsewhere, and what a start loads."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from functions.cli import main
from functions.cli.tables import Details, Table
from functions.cli.terminal import Terminal
from tests.cli.conftest import Local, run

ROOT = Path(__file__).parents[2]
ESCAPE = "\x1b["


class Screen(io.StringIO):
    """A terminal that keeps what it is shown."""

    def isatty(self) -> bool:
        return True


def shown(out: io.StringIO, *parts: object, as_json: bool = False, is_plain: bool = False) -> str:
    Terminal(io.StringIO(), out, out, as_json, is_plain).result({"id": "srv_1"}, *parts)
    return out.getvalue()


PARTS = (Table(("id", "name"), [["srv_1", "[red]agent\x1b[2J"]]), Details([("id", "srv_1")]), "1 server")


def test_a_result_is_drawn_on_a_terminal_alone() -> None:
    plain = shown(io.StringIO(), *PARTS)
    assert plain == "ID     NAME\nsrv_1  [red]agent\\x1b[2J\nid  srv_1\n1 server\n"
    drawn = shown(Screen(), *PARTS)
    assert ESCAPE in drawn
    assert "[red]agent\\x1b[2J" in drawn, "a name from elsewhere is neither markup nor a command to the terminal"
    assert shown(Screen(), *PARTS, is_plain=True) == plain
    assert json.loads(shown(Screen(), *PARTS, as_json=True)) == {"id": "srv_1"}


@pytest.mark.parametrize("words", [["--help"], ["server", "create", "--help"]])
@pytest.mark.parametrize(
    ("screen", "environment", "coloured"),
    [
        (Screen, {}, True),
        (Screen, {"NO_COLOR": "1"}, False),
        (Screen, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
)
def test_help_has_colours_on_a_terminal_alone(
    words: list[str],
    screen: type[io.StringIO],
    environment: Mapping[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = screen()
    assert main(words, environment=environment, stdout=out) == 0
    assert (ESCAPE in out.getvalue()) == coloured


@pytest.mark.parametrize("columns", [20, 60, 104, 105, 106, 110, 200])
def test_an_id_and_a_url_are_never_broken(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    server, url = "srv_" + "a" * 16, "https://postern.example.com/mcp/" + "T" * 43
    rows = [[server, "a name of several words", url], [server, "another", "-"]]
    drawn = shown(Screen(), Table(("id", "name", "url"), rows), Details([("id", server), ("url", url)]))
    text = re.sub(r"\x1b\[[0-9;]*m", "", drawn)
    assert (text.count(server), text.count(url)) == (3, 2)
    assert f"id   {server}\nurl  {url}\n" in text


def test_progress_is_a_bar_on_a_terminal_and_nothing_elsewhere() -> None:
    for err, is_drawn in ((Screen(), True), (io.StringIO(), False)):
        with Terminal(io.StringIO(), io.StringIO(), err).progress("importing", 2) as advance:
            advance()
            advance()
        assert ("100%" in err.getvalue()) == is_drawn


LOADED = """
import sys
from functions.cli import main
code = main(sys.argv[1:])
own = "functions.cli.commands."
print(*sorted(name for name in sys.modules if name in HEAVY or name.startswith(own)), file=sys.stderr)
"""
HEAVY = ("httpx", "mcp", "yaml", "asyncio", "starlette", "pydantic", "uvicorn", "functions.local")


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (["--help"], []),
        (["completion", "--help"], ["functions.cli.commands.completion"]),
        (
            ["endpoint", "list", "--json"],
            ["functions.cli.commands.account", "functions.cli.commands.endpoint", "httpx"],
        ),
    ],
)
def test_a_start_loads_its_command_and_nothing_heavy(words: list[str], loaded: list[str], tmp_path: Path) -> None:
    program = LOADED.replace("HEAVY", repr(HEAVY))
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stderr.split() == loaded


def test_a_usage_error_is_json_when_asked(local: Local) -> None:
    ran = local("server", "create", "--lable", "x", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert json.loads(ran.err) == {"message": "unrecognized arguments: --lable (did you mean --label?)"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["server", "get"], "SERVER is missing"),
        (["endpoint", "add", "x", "--url", "https://x.example"], "--api-token is missing"),
        (["server", "create", "--name"], "--name is missing"),
        (["server", "create", "--name", "a", "--name", "b"], "--name is given twice"),
        (["log", "--limit", "101"], "--limit: '101' is not a whole number from 0 to 100"),
        (["server", "get", "a", "b"], "unrecognized arguments: b"),
        (["completion", "cmd"], '"cmd" is unknown; valid: bash, zsh, fish'),
        (["tools", "--url", "u", "--account", "a"], "--url and --account exclude each other; give one of them"),
        (
            ["server"],
            "a command is missing; valid: create, list, get, update, rotate, extend, revoke, consents, end-consent, "
            "preview",
        ),
        (["install"], "--client or --capture is missing"),
        (["capture", "codex"], "--state is missing"),
    ],
)
def test_a_usage_error_names_the_word(words: list[str], message: str, empty: dict[str, str]) -> None:
    ran = run(*words, environment=empty)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1] == f"postern: {message}"


def test_a_word_that_looks_like_json_or_an_option_stays_a_text(local: Local) -> None:
    made = local("server", "create", "--name", '["a", "b"]', "--json")
    assert made.code == 0, made.err
    assert made.json["name"] == '["a", "b"]'
    assert local("server", "revoke", "--", '["a", "b"]').code == 0


def test_a_command_that_waits_long_says_for_what() -> None:
    said = threading.Event()

    class Screen(io.StringIO):
        def flush(self) -> None:
            said.set()

    err = Screen()
    with Terminal(io.StringIO(), io.StringIO(), err, patience=0.0).waiting("waiting for the MCP server"):
        assert said.wait(60), "it never came"
    assert err.getvalue() == "waiting for the MCP server ...\n"
    patient = io.StringIO()
    with Terminal(io.StringIO(), io.StringIO(), patient, patience=3_600.0).waiting("waiting for the MCP server"):
        pass
    assert patient.getvalue() == ""
