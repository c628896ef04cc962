"""docs/add-an-integration.md as a reader runs it: each command in a shell, and what it prints.

In an expected output, a line `...` stands for any lines, and `...` in a line for any text. Two things differ from what
a reader does: the account points at an upstream of the test, and `postern serve` takes any free port.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway import loopback
from tests.gateway.loopback import Received, Told, Upstream, answer
from tests.patience import STUCK_SECONDS
from tests.started import Started, measured, started

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-an-integration.md").read_text(encoding="utf-8")
ACCOUNT_ID = "023e105f4ecef8ad9ca31a8372d0c353"
DONE = "<<<done>>>"

PATIENCE = re.compile(r"^(waiting for|starting) .* \.\.\.\n", re.MULTILINE)
"""What a command prints on a slow machine only."""

SHIMS = """\
tool-catalog() {{ "{python}" -m tool_catalog.cli "$@"; }}
postern() {{
  if [ "$1 $2" = "account add" ]; then set -- "$@" --base-url {upstream}; fi
  "{python}" -m functions.cli "$@"
}}
"""


class Shell:
    """One bash that runs command after command; what it prints is read until the command is done."""

    def __init__(self, folder: Path, environment: dict[str, str], shims: str) -> None:
        bash = shutil.which("bash")
        assert bash is not None
        self.process = subprocess.Popen(
            [bash],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.run(shims) == ""

    def run(self, command: str) -> str:
        """What the command prints on both streams."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\necho '{DONE}'\n")
        self.process.stdin.flush()
        printed = ""
        for line in self.process.stdout:
            if line == f"{DONE}\n":
                return printed
            printed += line
        raise AssertionError(f"the shell ended at: {command}\n{printed}")

    def close(self) -> None:
        """End the shell."""
        self.process.communicate("exit\n", timeout=STUCK_SECONDS)


def steps() -> list[tuple[str, str]]:
    """Each command of the page's console blocks, and what the page says that it prints."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append((line[2:].rstrip("\n"), ""))
            else:
                command, printed = found.pop()
                found.append((command, printed + line))
    return found


def matches(printed: str, expected: str) -> bool:
    """Whether the output is the expected one."""
    lines = (
        r"(?:.*\n)*?" if line == "...\n" else re.escape(line).replace(re.escape("..."), ".*")
        for line in expected.splitlines(keepends=True)
    )
    return re.fullmatch("".join(lines), printed) is not None


def cloudflare(received: Received) -> Told:
    """What the API answers to the calls of the page."""
    if received.headers.get("authorization") != b"Bearer t1":
        return answer(403, {"success": False})
    if received.target == "/user/tokens/verify":
        return answer(200, {"success": True, "result": {"status": "active"}})
    title = {"id": "0f2ac74b498b48028cb68387c421e279", "title": "sessions"}
    return answer(200, {"success": True, "result": [title]})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with loopback.upstream() as running:
        running.script = cloudflare
        yield running


def test_every_line_of_the_walk_through_runs_and_prints_what_the_page_says(tmp_path: Path, upstream: Upstream) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        **measured(),
        "CLOUDFLARE_API_TOKEN": "t1",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT_ID,
    }
    shell = Shell(tmp_path, environment, SHIMS.format(python=sys.executable, upstream=upstream.origin))
    serving: Started | None = None
    ran = 0
    with ExitStack() as at_the_end:
        at_the_end.callback(shell.close)
        for command, expected in steps():
            if command == "postern serve":
                words = [sys.executable, "-m", "functions.cli", "serve", "--port", "0"]
                own = {**environment, "POSTERN_CATALOGS": str(tmp_path / "catalogs")}
                serving = at_the_end.enter_context(started(words, "Ctrl-C stops the endpoint.", cwd=tmp_path, env=own))
                printed = serving.printed
            else:
                printed = shell.run(command)
            assert matches(PATIENCE.sub("", printed), expected), f"$ {command}\n{printed}"
            ran += 1
        assert serving is not None
        [reloaded] = re.findall(r"^```text\n(cloudflare: .*\n)```$", PAGE, re.MULTILINE)
        assert serving.until("cloudflare: reloaded") == reloaded
        assert serving.stop()[0] == 0
    assert ran == len(steps()) >= 16
    assert [(request.verb, request.target) for request in upstream.requests] == [
        ("GET", "/user/tokens/verify"),
        ("GET", f"/accounts/{ACCOUNT_ID}/storage/kv/namespaces?page=1&per_page=20"),
    ]


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ("a\nc\n", "a\n...\nc\n", True),
        ("a b c\n", "a ... c\n", True),
        ("a b\n", "a ...\n", True),
        ("a\nb\n", "a\n", False),
        ("a b\nc\n", "a ...\n", False),
        ("a.b\n", "a.c\n", False),
        ("", "a\n", False),
    ],
)
def test_an_expected_output_stands_for_exactly_what_it_says(printed: str, expected: str, same: bool) -> None:
    assert matches(printed, expected) is same
