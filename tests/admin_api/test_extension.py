"""The archive of the browser extension."""

from __future__ import annotations

import io
import json
import zipfile

from functions.admin_api.extension.archive import SOURCE
from tests.admin_api.conftest import Plane


def test_the_archive_holds_the_source_and_is_the_same_every_time(plane: Plane) -> None:
    answers = [plane.call("GET", "/extension.zip", token="") for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answers[0].content)) as archive:
        assert archive.testzip() is None
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held == {f"postern-memory/{path.name}": path.read_bytes() for path in SOURCE.iterdir()}


def test_the_extension_asks_for_no_site_before_a_person_switches_it_on() -> None:
    manifest = json.loads((SOURCE / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["manifest_version"] == 3
    assert sorted(manifest["permissions"]) == ["activeTab", "scripting", "storage"]
    assert "host_permissions" not in manifest
    assert "content_scripts" not in manifest


def test_no_file_of_the_extension_evaluates_text_or_loads_from_elsewhere() -> None:
    for path in SOURCE.iterdir():
        source = path.read_text(encoding="utf-8")
        for forbidden in ("eval(", "innerHTML", "new Function", "localStorage", 'src="http', "import("):
            assert forbidden not in source, (path.name, forbidden)
