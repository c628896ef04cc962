"""Completion in a real shell: what a Tab offers at each place."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from functions.cli.commands.completion import SHELLS
from functions.client_formats import CLIENTS
from tests.cli.conftest import Local, run
from tests.patience import STUCK_SECONDS
from tests.started import measured

ROOT = Path(__file__).parents[2]


def _script(shell: str, folder: Path) -> Path:
    """The completion script of a shell, under the name that zsh looks for."""
    path = folder / "_postern"
    path.write_text(run("completion", shell).out, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("postern ser", ["serve", "server", "service"]),
        ("postern server r", ["revoke", "rotate"]),
        ("postern server create --exp", ["--expires-at", "--expires-in"]),
        ("postern server create --name list --expires-in 15m --meth", ["--methods"]),
        ("postern snippet --client cl", ["claude-code", "claude-desktop", "cline"]),
        ("postern tools --format ", ["anthropic", "openai"]),
        ("postern completion ", sorted(SHELLS)),
        ("postern call some_tool key=value --acc", ["--account"]),
    ],
)
def test_bash_offers_what_may_follow(line: str, offered: list[str], tmp_path: Path) -> None:
    assert _bash(line, tmp_path, {}) == offered


def _bash(line: str, tmp_path: Path, variables: Mapping[str, str]) -> list[str]:
    """What bash offers at the end of a line, sorted. `postern` is the program under test."""
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "postern").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m functions.cli "$@"\n')
    (tmp_path / "postern").chmod(0o755)
    words = line.split(" ")
    program = (
        f"source {shlex.quote(str(_script('bash', tmp_path)))}\n"
        f"COMP_WORDS=({' '.join(shlex.quote(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        'found=$(complete -p postern); found=${found##*-F }; "${found%% *}" postern\n'
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **measured(), **variables}
    done = subprocess.run(
        [bash, "-c", program], capture_output=True, text=True, timeout=STUCK_SECONDS, check=True, env=environment
    )
    assert done.stderr == ""
    return sorted(shlex.split(done.stdout))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("postern server get tab-", ["tab-one", "tab-two"]),
        ("postern server revoke tab-one tab-", ["tab-one", "tab-two"]),
        ("postern server list --label tab=", ["tab=t"]),
        ("postern server create --tags memories,ent", ["memories,entities"]),
        ("postern call search_", []),
        ("postern call get_single_mem_0_mem", ["get_single_mem_0_memory_by_id"]),
        ("postern integrations mem0_", ["mem0_oss"]),
    ],
)
def test_bash_offers_what_the_endpoint_holds(line: str, offered: list[str], tmp_path: Path, tabbed: Local) -> None:
    assert _bash(line, tmp_path, tabbed.environment) == offered


def test_bash_offers_the_ids_of_accounts(tmp_path: Path, tabbed: Local) -> None:
    account = tabbed.ready.account_id
    assert account in _bash(f"postern account get {account[:6]}", tmp_path, tabbed.environment)


@pytest.fixture(name="tabbed", scope="module")
def _tabbed(local: Local) -> Local:
    """The endpoint with two servers."""
    for name in ("tab-one", "tab-two"):
        assert local("server", "create", "--name", name, "--label", "tab=t").code == 0
    return local


def test_without_an_endpoint_nothing_is_offered_and_nothing_is_said(tmp_path: Path, empty: dict[str, str]) -> None:
    assert _bash("postern server get ", tmp_path, empty) == []


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("postern server r", ["revoke", "rotate"]),
        ("postern snippet --client cl", ["claude-code", "claude-desktop", "cline"]),
        ("postern server create --exp", ["--expires-at", "--expires-in"]),
    ],
)
def test_zsh_offers_what_may_follow(line: str, offered: list[str], tmp_path: Path) -> None:
    folder = shlex.quote(str(_script("zsh", tmp_path).parent))
    setup = f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; setopt nolistambiguous; PS1=G'O> '\n"
    shown = _typed(["zsh", "-f", "-i"], [(setup, ["GO> "]), (f"{line}\t", offered)])
    for word in offered:
        assert word in shown, shown


def _typed(command: list[str], steps: list[tuple[str, list[str]]]) -> str:
    """What a shell on a terminal shows after the last step: each types a text and waits until it has seen the words."""
    master, slave = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "COLUMNS": "200", "LINES": "50", "HOME": "/nonexistent"}
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    ) as process:
        os.close(slave)
        stuck = threading.Timer(STUCK_SECONDS, process.kill)
        stuck.start()
        shown = ""
        try:
            for text, words in steps:
                os.write(master, text.encode())
                shown = ""
                while not all(word in shown for word in words):
                    shown += os.read(master, 65_536).decode(errors="replace")
        except OSError:  # how Linux reports that nobody is at the other end of a terminal
            pass
        finally:
            stuck.cancel()
            process.kill()
            os.close(master)
    return shown


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_knows_every_command_and_client(shell: str) -> None:
    script = run("completion", shell).out
    words = {"account", "api-token", "revoke", "preview", "import", "demo", *CLIENTS}
    assert not {word for word in words if word not in script}


def test_an_unknown_shell_is_a_usage_error() -> None:
    assert run("completion", "cmd").code == 2
