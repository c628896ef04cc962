"""What the program says about itself, as golden texts. UPDATE_GOLDEN=1 rewrites them; read the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from functions.cli.help import EXAMPLES, GROUPS
from tests.cli.conftest import run

COMMAND_FILES = Path(__file__).parents[2] / "functions" / "cli" / "commands"
GOLDEN = Path(__file__).parents[1] / "golden" / "help"
COMMANDS = sorted(name for commands in GROUPS.values() for name in commands)


def golden(name: str, text: str) -> None:
    """Compare the words: where lines break depends on the width of the terminal."""
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text.split() == file.read_text(encoding="utf-8").split(), (
        "the help changed; run with UPDATE_GOLDEN=1 and read the difference"
    )


def test_the_program_alone_shows_its_help(empty: dict[str, str]) -> None:
    for words in ([], ["--help"]):
        ran = run(*words, environment=empty)
        assert (ran.code, ran.err) == (0, "")
        golden("postern", ran.out.rstrip("\n") + "\n")


def test_every_command_is_in_one_group_and_has_an_example_that_is_its_own() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))
    files = {file.stem for file in COMMAND_FILES.glob("*.py")} - {"__init__"}
    declared = [place for commands in GROUPS.values() for place, _ in commands.values()]
    assert {place.partition(":")[0] for place in declared} == files, "a command that is in no group"
    assert len(set(declared)) == len(grouped)
    assert set(EXAMPLES) <= set(COMMANDS)
    for name, text in EXAMPLES.items():
        assert any(line.startswith(f"postern {name}") for line in text.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_golden(command: str, empty: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    ran = run(command, "--help", environment=empty)
    assert ran.code == 0
    golden(command, ran.out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["servr"], '"servr" is unknown; did you mean "server"?'),
        (["server", "crete"], '"crete" is unknown; did you mean "create"?'),
        (["server", "create", "--lable", "x"], "--lable (did you mean --label?)"),
        (["log", "--kind", "decison"], '"decison" is unknown; did you mean "decision"?'),
    ],
)
def test_a_misspelt_word_gets_the_nearest_one(words: list[str], message: str, empty: dict[str, str]) -> None:
    ran = run(*words, environment=empty)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
