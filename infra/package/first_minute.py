"""From the wheel to the first memory on a machine where nothing is installed, by uvx and by pipx: commands and seconds.

    python infra/package/first_minute.py WHEEL

Each of the two gets a home of its own. It starts `postern run` once with a package index, stores a memory with the
command that the greeting prints, and starts again without an index: the memory must be there.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TOOLS = Path(sys.executable).parent
"""Where uv and pipx are: this file runs in their environment."""

KEPT = re.compile(r"(PIP|UV|SSL|REQUESTS)_|(HTTPS?|NO)_PROXY$", re.IGNORECASE)
"""Variables that say how to reach a package index."""

PATIENCE = 600.0
"""Seconds until a command counts as stuck: a first install on a slow network takes a minute or two."""

NO_INDEX = "http://127.0.0.1:9"
"""A proxy that refuses every connection."""


def environment(home: Path, *, offline: bool) -> dict[str, str]:
    """Of a new user, with the tools on the PATH."""
    kept = {name: value for name, value in os.environ.items() if KEPT.match(name)}
    told = {
        "PATH": f"{TOOLS}:/usr/bin:/bin",
        "HOME": str(home),
        "UV_SYSTEM_CERTS": "true",
        "PIPX_DEFAULT_PYTHON": PYTHON,
    }
    if offline:
        told |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NO_INDEX)
        told |= {"UV_OFFLINE": "true", "PIP_NO_INDEX": "1"}
    return {**kept, **told}


PYTHON = str(Path(sys.executable).resolve())
"""The interpreter that both are told to use, so that none is downloaded."""


def started(tool: str, wheel: Path) -> list[str]:
    """The command that a new user types."""
    if tool == "uvx":
        return ["uvx", "--quiet", "--python", PYTHON, "--from", str(wheel), "postern", "run", "--port", "0"]
    return ["pipx", "run", "--spec", str(wheel), "postern", "run", "--port", "0"]


@contextlib.contextmanager
def running(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[str]:
    """What `postern run` prints, while it runs."""
    process = subprocess.Popen(
        command,
        cwd=variables["HOME"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    stuck = threading.Timer(PATIENCE, os.killpg, [process.pid, signal.SIGKILL])
    stuck.start()
    try:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("Ctrl-C stops it"):
                break
        else:
            sys.exit(f"{command[0]} did not start the memory:\n{printed}")
        yield printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.communicate()
        stuck.cancel()


def call(printed: str, tool: str, home: Path) -> str:
    """Run a command of the greeting in a shell that has none of the tools on its PATH."""
    line = next(line for line in printed.splitlines() if f" call {tool} " in line)
    shell = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd="/", env=shell, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{line.strip()} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def measure(tool: str, wheel: Path, home: Path) -> tuple[float, float]:
    """Seconds to the first memory, and seconds of a second start without an index."""
    begun = time.monotonic()
    with running(started(tool, wheel), environment(home, offline=False)) as printed:
        call(printed, "mem_0_memories_remember", home)
        first = time.monotonic() - begun
    begun = time.monotonic()
    with running(started(tool, wheel), environment(home, offline=True)) as printed:
        second = time.monotonic() - begun
        found = call(printed, "mem_0_memories_search", home)
    if "I like window seats." not in found:
        sys.exit(f"{tool}: the memory of the first start is not there after the second: {found}")
    return first, second


def main(words: Sequence[str]) -> int:
    """Measure both, and print the figures."""
    [wheel] = map(Path, words)
    print(f"wheel {wheel.name}: {wheel.stat().st_size:,} bytes")
    for tool in ("uvx", "pipx"):
        with tempfile.TemporaryDirectory(prefix="a home é ") as folder:
            first, second = measure(tool, wheel.resolve(), Path(folder))
        print(f"{tool}: first memory saved after 2 commands and {first:.0f} s; second start, offline: {second:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
