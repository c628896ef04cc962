"""The container's image, built by infra/container/image.sh and run as compose.yaml says: `make image-test`.

bubblewrap stands for the container's runtime: the image is the root and cannot be written, the user has no rights, and
the network has a loopback alone, so the port is that of the image.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.patience import STUCK_SECONDS

pytestmark = pytest.mark.image

FOLDER = Path(__file__).parents[2] / ".cache" / "image"
PROBE = Path(__file__).with_name("image_probe.py").read_text(encoding="utf-8")

OWN_BYTES = 120_000_000
"""Most bytes that the image may add to its base."""


@pytest.fixture(scope="module")
def image() -> dict[str, Any]:
    """The configuration of the image."""
    assert (FOLDER / "root").exists(), "the image is not built; run `make image-test`"
    described: dict[str, Any] = json.loads((FOLDER / "image.json").read_text())
    config: dict[str, Any] = described["Docker"]["config"]
    return config


def run(image: dict[str, Any], data: Path) -> dict[str, Any]:
    """What the probe finds in a container whose volume is `data`."""
    environment = [part for text in image["Env"] for part in ("--setenv", *text.split("=", 1))]
    sandbox = [
        *("bwrap", "--die-with-parent", "--unshare-all", "--uid", image["User"], "--gid", image["User"]),
        *("--ro-bind", str((FOLDER / "root").resolve()), "/", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"),
        *("--bind", str(data), image["WorkingDir"], "--cap-drop", "ALL"),
        *("--clearenv", *environment, "--chdir", image["WorkingDir"]),
    ]
    started, checked = [*image["Entrypoint"], *image["Cmd"]], image["Healthcheck"]["Test"][1:]
    probe = ["python", "-c", PROBE, json.dumps(started), json.dumps(checked)]
    done = subprocess.run([*sandbox, *probe], capture_output=True, text=True, timeout=STUCK_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_it_serves_without_rights_on_a_read_only_root_and_its_volume_keeps_the_memory(
    image: dict[str, Any], tmp_path: Path
) -> None:
    first, *later = [run(image, tmp_path) for _ in range(3)]
    for found in (first, *later):
        assert (found["uid"], found["home"]) == (10001, None)
        assert found["url"] == first["url"], "the volume has the URL"
        assert (found["healthy_before"] != 0, found["healthy"]) == (True, 0)
        assert found["errors"] == [False] * 3
        assert "window seats" in found["found"]
        assert found["writable"] == []
        assert found["exit"] == 0, found["last"]
    assert "Anna prefers" not in first["kept"]
    assert all("Anna prefers" in found["kept"] for found in later)


def test_it_holds_what_it_runs_and_no_tool_that_built_it(image: dict[str, Any]) -> None:
    own = FOLDER / "root" / "opt" / "postern"
    sizes = [entry.stat(follow_symlinks=False).st_size for entry in own.rglob("*") if not entry.is_symlink()]
    print(f"the image adds {sum(sizes) / 1e6:.0f} MB to its base")
    assert sum(sizes) < OWN_BYTES
    packages = {path.name for path in own.glob("lib/python*/site-packages/*")}
    assert {"postern", "starlette"} <= packages
    assert not {"pip", "setuptools", "boto3", "pytest"} & packages
    assert not (FOLDER / "root" / "src").exists()


def test_what_the_recipe_declares_is_in_the_image(image: dict[str, Any]) -> None:
    assert image["User"] == "10001"
    assert image["Entrypoint"] == ["postern"]
    assert image["Cmd"] == ["serve"]
    assert image["StopSignal"] == "SIGTERM"
    assert set(image["Volumes"]) == {"/data"}
    assert set(image["ExposedPorts"]) == {"8765/tcp"}
    assert os.access(FOLDER / "root" / "opt" / "postern" / "bin" / "postern", os.X_OK)
