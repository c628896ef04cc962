"""An MCP URL in the settings of a client: shown before, written once, taken out again."""

from __future__ import annotations

import json
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from functions.cli.client_install import CLIENTS
from tests.cli.conftest import Ran, run

TOKEN = "T" * 43
URL = f"https://postern.example.com/mcp/{TOKEN}"


def install(home: Path, *words: str, stdin: str = "") -> Ran:
    return run("install", *words, environment={"HOME": str(home)}, stdin=stdin)


def read(file: Path) -> Any:
    text = file.read_text(encoding="utf-8")
    return tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_is_installed_once_and_removed(client: str, tmp_path: Path) -> None:
    file = CLIENTS[client].file(tmp_path, sys.platform)
    first = install(tmp_path, "--client", client, "--url", URL, "--name", "crm", "--yes")
    assert first.code == 0, first.err
    assert str(file) in first.out
    assert TOKEN not in first.out + first.err, "the difference is shown without the secret"
    assert "/mcp/***" in first.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    entry = read(file)[CLIENTS[client].container]["crm"]
    assert URL in json.dumps(entry)
    written = file.read_text(encoding="utf-8")
    for _ in range(3):
        again = install(tmp_path, "--client", client, "--url", URL, "--name", "crm")
        assert (again.code, again.out) == (0, f"{file} is already so; nothing was changed\n")
    assert file.read_text(encoding="utf-8") == written
    assert install(tmp_path, "--client", client, "--name", "crm", "--remove", "--yes").code == 0
    assert not read(file).get(CLIENTS[client].container, {})


def test_nothing_is_written_without_a_yes(tmp_path: Path) -> None:
    ran = install(tmp_path, "--client", "cursor", "--url", URL, stdin="n\n")
    assert ran.code == 1
    assert ran.err.endswith("postern: nothing was changed; --yes goes on without asking\n")
    assert not (tmp_path / ".cursor").exists()
    assert install(tmp_path, "--client", "cursor", "--url", URL, stdin="y\n").code == 0


def test_other_entries_their_secrets_and_the_mode_of_the_file_stay(tmp_path: Path) -> None:
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{\n  "mcpServers": {\n    "other": {"env": {"KEY": "hidden"}} // mine\n  }\n}\n', encoding="utf-8")
    file.chmod(0o640)
    ran = install(tmp_path, "--client", "cursor", "--url", URL, "--yes")
    assert ran.code == 0
    text = file.read_text(encoding="utf-8")
    assert '"other": {"env": {"KEY": "hidden"}}' in text
    assert "// mine" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_the_api_token_is_a_reference_to_a_variable(tmp_path: Path) -> None:
    for client in ("cursor", "claude-code", "vscode", "gemini", "codex"):
        words = ["--client", client, "--url", URL, "--api-token-env", "MY_TOKEN", "--yes"]
        assert install(tmp_path, *words).code == 0
    assert read(tmp_path / ".cursor/mcp.json")["mcpServers"]["postern"]["headers"] == {
        "Authorization": "Bearer ${env:MY_TOKEN}"
    }
    assert read(tmp_path / ".codex/config.toml")["mcp_servers"]["postern"]["bearer_token_env_var"] == "MY_TOKEN"
    [asked] = read(CLIENTS["vscode"].file(tmp_path, sys.platform))["inputs"]
    assert asked["password"] is True


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--client", "cursor"], 2, "no MCP URL: give --url"),
        (["--client", "cursor", "--url", "ftp://x"], 2, "the URL is not an http or https address"),
        (["--client", "netscape", "--url", URL], 2, '"netscape" is unknown'),
    ],
)
def test_what_cannot_be_installed_is_said(words: list[str], code: int, message: str, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "POSTERN_STATE_DIR": str(tmp_path / "none")}
    ran = run("install", *words, environment=environment)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err


def test_a_file_in_another_form_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text("[1, 2]", encoding="utf-8")
    ran = install(tmp_path, "--client", "cursor", "--url", URL, "--yes")
    assert ran.code == 1
    assert "does not hold a JSON object" in ran.err
    assert file.read_text(encoding="utf-8") == "[1, 2]"
