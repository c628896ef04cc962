"""Make a virtual environment and install locked packages into it, with progress, and one line where it cannot be done.

python infra/set_up.py VENV LOCK
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FAILURES = (
    (r"No space left on device", "the disk is full"),
    (
        r"Permission denied|Read-only file system|Not a directory",
        "{venv} cannot be written; clone into a folder that this user may write",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "a package differs from its locked hash, so nothing was installed; name an index that you trust with "
        "PIP_INDEX_URL",
    ),
    (
        r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolutionError|ProxyError|SSLError|Max retries exceeded"
        r"|No matching distribution|ConnectionError|Connection refused",
        "the package index cannot be reached; the first set-up needs a network, or an index of your own in "
        "PIP_INDEX_URL",
    ),
)
"""What pip says -> what is wrong, and what to do. The first pattern that fits wins."""


def reason(output: str, venv: Path) -> str:
    """What is wrong, from the output of a command that failed."""
    for pattern, text in FAILURES:
        if re.search(pattern, output):
            return text.format(venv=venv)
    said = [line for line in output.splitlines() if line.strip()]
    return said[-1] if said else "the command said nothing"


def failed(what: str, output: str, venv: Path) -> int:
    """Say what is wrong in one line, and keep the output."""
    log = venv / "set-up.log"
    kept = ""
    if venv.is_dir():
        log.write_text(output, encoding="utf-8")
        kept = f"; {log} has the whole output"
    print(f"{what}: {reason(output, venv)}{kept}", file=sys.stderr)
    return 1


def make(venv: Path) -> int:
    """Make the virtual environment if it is not there, or only a part of it."""
    if (venv / "bin" / "python").exists() and (venv / "bin" / "pip").exists():
        return 0
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode == 0:
        return 0
    if "ensurepip" in made.stdout:
        print(
            f"{sys.executable} cannot make virtual environments; install its venv module (on Debian: apt install "
            "python3-venv)",
            file=sys.stderr,
        )
        return 1
    return failed(f"{venv} cannot be made", made.stdout, venv)


def install(venv: Path, lock: Path) -> int:
    """Install what the lock names, and show how far it is."""
    wanted = len(re.findall(r"^\S+==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    options = ["--disable-pip-version-check", "--progress-bar", "off", "--retries", "2"]
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", *options, "--require-hashes", "--no-deps"]
    process = subprocess.Popen([*command, "-r", str(lock)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output, done = [], 0
    drawn = sys.stderr.isatty()
    assert process.stdout is not None
    for line in process.stdout:
        output.append(line)
        if line.startswith(("Collecting ", "Requirement already satisfied")):
            done += 1
        if drawn and line.startswith(("Collecting ", "Installing ")):
            step = "installing" if line.startswith("Installing ") else f"{done} of {wanted}"
            print(f"\r  packages: {step:<20}", end="", file=sys.stderr, flush=True)
    if drawn:
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)
    if process.wait() == 0:
        return 0
    return failed(f"{lock} could not be installed", "".join(output), venv)


def main(words: list[str]) -> int:
    """Run the command, and return its exit code."""
    venv, lock = map(Path, words)
    return make(venv) or install(venv, lock)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
