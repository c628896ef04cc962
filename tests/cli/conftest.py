"""The command line in this process, against a real local endpoint that all tests of a run share."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.cli import main
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.local import Ready, start


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        """Standard output as JSON."""
        return json.loads(self.out)


HOUR = 3_600.0
"""A patience that no machine exhausts: no test sees how busy this one is."""


def run(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Ran:
    """Run one command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(arguments, environment=environment or {}, stdin=io.StringIO(stdin), clock=clock, patience=HOUR)
    return Ran(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Local:
    """The endpoint, and commands that find it through its state folder."""

    ready: Ready
    state_dir: str

    @property
    def environment(self) -> dict[str, str]:
        """Of a shell in the folder where the endpoint was started."""
        return {"POSTERN_STATE_DIR": self.state_dir}

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> Ran:
        return run(*arguments, environment={**self.environment, **variables}, stdin=stdin)


@pytest.fixture(name="local", scope="session")
def _local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    state_dir = str(tmp_path_factory.mktemp("endpoint"))
    with start(Settings(state_dir=state_dir), {}) as ready:
        yield Local(ready, state_dir)


@pytest.fixture(name="empty")
def _empty(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine where nothing was ever started."""
    return {"POSTERN_STATE_DIR": str(tmp_path / "nothing-here")}
