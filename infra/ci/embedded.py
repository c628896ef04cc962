"""An endpoint with an embedded memory, for a run that names none: the command `postern`, where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .ephemeral_server import CiError, Endpoint

NOTHING = (
    "no endpoint: set POSTERN_ENDPOINT, POSTERN_API_TOKEN and POSTERN_ACCOUNT; or install the distribution postern, "
    "and an endpoint with an embedded memory is started for the run"
)

_WHILE_THE_RUN_LIVES = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
os.close(1)
sys.stdin.read()
process.terminate()
sys.exit(process.wait())
"""
"""Runs a command until standard input ends, which it does however the run ends."""


@contextmanager
def endpoint(folder: Path) -> Iterator[Endpoint]:
    """Start an endpoint, and stop it afterwards. Its state is in `folder`. Raises CiError."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("postern", path=places)
    if program is None:
        raise CiError(NOTHING)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POSTERN_", "MEM0_"))}
    with (folder / "postern.log").open("w+b") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _WHILE_THE_RUN_LIVES, program, "serve", "--json", "--port", "0"],
            env={**kept, "POSTERN_STATE_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        with process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line == b"}\n":
                    break
            else:
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines()
                raise CiError(f"{program} serve did not start: {said[-1] if said else 'it said nothing'}")
            ready = json.loads(b"".join(lines))
            yield Endpoint(ready["base_url"], ready["api_token"], ready["account_id"])
