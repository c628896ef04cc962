"""Completion in a real shell: what a Tab offers at each place."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from functions.cli.completion import candidates
from functions.cli.parser import build_parser
from functions.cli.snippets import CLIENTS
from tests.cli.conftest import run


def _offered(line: str, tmp_path: Path) -> list[str]:
    """What bash offers for the last word of a line."""
    bash = shutil.which("bash")
    assert bash is not None
    script = tmp_path / "completion.bash"
    script.write_text(run("completion", "bash").out, encoding="utf-8")
    words = line.split(" ")
    program = (
        f"source {shlex.quote(str(script))}\n"
        f"COMP_WORDS=({' '.join(shlex.quote(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        "_postern\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    done = subprocess.run([bash, "-uc", program], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("postern ser", ["serve", "server"]),
        ("postern server r", ["rotate", "revoke"]),
        ("postern server create --exp", ["--expires-in", "--expires-at"]),
        ("postern server create --name list --expires-in 15m --meth", ["--methods"]),
        ("postern snippet --client cl", ["claude-desktop", "claude-code", "cline"]),
        ("postern tools --format ", ["openai", "anthropic"]),
        ("postern completion ", ["-h", "--help", "--json", "bash", "zsh", "fish"]),
        ("postern call some_tool key=value --acc", ["--account"]),
        ("postern nonsense --endp", []),
    ],
)
def test_bash_offers_what_may_follow(line: str, offered: list[str], tmp_path: Path) -> None:
    assert _offered(line, tmp_path) == offered


def test_every_command_verb_and_client_is_known_to_the_script() -> None:
    words = dict(candidates(build_parser()))
    assert {"account add", "api-token revoke", "server preview", "memory import", "demo"} <= set(words)
    assert words["snippet --client"] == list(CLIENTS)


def test_each_shell_has_its_script() -> None:
    zsh, fish = run("completion", "zsh").out, run("completion", "fish").out
    assert zsh.startswith("autoload -U +X compinit")
    assert "complete -o default -F _postern postern" in zsh
    assert fish.rstrip().endswith("complete -c postern -f -a '(__postern_complete)'")
    assert "case 'server create'" in fish
