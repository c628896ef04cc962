"""The container's recipe: what can be tested of it without a builder of images."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import httpx
import pytest
import yaml

from functions import local
from functions.gateway.settings import Settings
from functions.local import LocalError
from tests.gateway.loopback import unused_origin
from tests.patience import STUCK_SECONDS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "container"
RECIPE = re.sub(r"\\\n", "", (FOLDER / "Dockerfile").read_text())


def instructions(stage: int) -> list[tuple[str, str]]:
    """The instructions of a stage, in order."""
    text = re.split(r"^FROM ", RECIPE, flags=re.MULTILINE)[1 + stage]
    return [(found[1], found[2]) for found in re.finditer(r"^\s*([A-Z]+) (.*)$", text, re.MULTILINE)]


def test_it_runs_as_a_user_without_rights_and_writes_to_its_volume_only() -> None:
    last = instructions(1)
    assert [value for name, value in last if name == "USER"] == ["10001"]
    [environment] = [dict(word.split("=") for word in value.split()) for name, value in last if name == "ENV"]
    assert environment["POSTERN_STATE_DIR"] == dict(last)["VOLUME"] == "/data"
    assert environment["POSTERN_LISTEN"] == "0.0.0.0"
    assert Settings.from_environment({k: v for k, v in environment.items() if k.startswith("POSTERN_")})
    assert json.loads(dict(last)["ENTRYPOINT"]) == ["postern"]


READ_ONLY = """
import errno, os, sys
allowed = (*sys.argv[1:], "/dev/")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ["os." + name for name in "mkdir rename remove rmdir link symlink chmod truncate utime".split()]

def refuse(event, arguments):
    if event == "open":
        path, _, flags = arguments
        if not flags & WRITING:
            return
    elif event in CHANGES or event == "sqlite3.connect":
        path = arguments[0]
    else:
        return
    if isinstance(path, int):
        return
    name = os.fsdecode(path)
    if name == ":memory:":
        return
    name = os.path.abspath(name.removeprefix("file:").partition("?")[0])
    if not name.startswith(allowed):
        print("WROTE", event, name, file=sys.stderr)
        raise OSError(errno.EROFS, "Read-only file system", name)

sys.addaudithook(refuse)
from functions.cli import main
sys.exit(main(["serve", "--port", "0"]))
"""


def test_the_endpoint_writes_to_its_volume_and_to_nothing_else(tmp_path: Path) -> None:
    """As on a read-only root: a write elsewhere is refused, and reported."""
    data = tmp_path / "data"
    data.mkdir()
    [environment] = [
        dict(word.split("=") for word in value.split()) for name, value in instructions(1) if name == "ENV"
    ]
    environment |= {"POSTERN_STATE_DIR": str(data), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", READ_ONLY, str(data)],
        cwd=data,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = _until(process.stdout, "Ctrl-C stops")
        url = re.search(r"http://\S+/mcp/\S+", "".join(lines))
        assert url is not None, lines
        added = {"name": "mem_0_memories_remember", "arguments": {"facts": ["Anna likes tea."], "user_id": "u"}}
        for number in range(3):
            body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": added}
            answer = httpx.post(url[0], json=body, timeout=STUCK_SECONDS, trust_env=False, verify=False)
            assert answer.json()["result"].get("isError") is not True, answer.text
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=STUCK_SECONDS)
    assert (process.returncode, "WROTE" in errors) == (0, False), errors


def _until(stream: IO[str], beginning: str) -> list[str]:
    """The lines up to the one that begins like this."""
    lines = []
    for line in stream:
        lines.append(line)
        if line.startswith(beginning):
            break
    return lines


def test_the_health_check_tells_a_running_endpoint_from_none(tmp_path: Path) -> None:
    check = re.search(r"^HEALTHCHECK.*CMD (\[.*\])$", RECIPE, re.MULTILINE)
    assert check is not None
    _, *words = json.loads(check[1])

    def healthy(origin: str) -> bool:
        told = [word.replace("http://127.0.0.1:8765", origin) for word in words]
        return subprocess.run([sys.executable, *told], capture_output=True, check=False).returncode == 0

    with local.start(Settings(state_dir=str(tmp_path), listen="0.0.0.0"), {}) as ready:
        assert ready.base_url.startswith("http://127.0.0.1:")
        assert healthy(ready.base_url)
    assert not healthy(unused_origin())


def test_an_address_that_is_not_of_this_machine_is_refused(tmp_path: Path) -> None:
    told = "^POSTERN_LISTEN is '192.0.2.1', which cannot be listened on "
    with pytest.raises(LocalError, match=told), local.start(Settings(state_dir=str(tmp_path), listen="192.0.2.1"), {}):
        pass


def test_the_wheel_can_be_built_of_what_the_build_may_see(tmp_path: Path) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in allowed:
        source, target = ROOT / name, tmp_path / "context" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    copied = [value.split()[:-1] for name, value in instructions(0) if name == "COPY"]
    assert all((tmp_path / "context" / source).exists() for sources in copied for source in sources)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(tmp_path), "."],
        cwd=tmp_path / "context",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.glob("postern-*.whl"))


def test_compose_gives_it_no_more_than_it_needs() -> None:
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["postern"]
    assert service["read_only"] is True
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert service["ports"] == ["127.0.0.1:8765:8765"]
    assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == FOLDER / "Dockerfile"
