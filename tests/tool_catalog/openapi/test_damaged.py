"""A specification with anything wrong in it, anywhere, gives records and reasons, or one line that says why not."""

from __future__ import annotations

import copy
import json
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway.json_text import Json
from tests.tool_catalog.openapi.conftest import PARCELS
from tool_catalog.openapi import importer
from tool_catalog.openapi.document import CannotImport, read
from tool_catalog.openapi.progress import Progress

WHOLE = read(PARCELS).data
JUNK: list[Json] = [
    None,
    1,
    True,
    "x",
    [],
    {},
    [1],
    [{}],
    {"a": {}},
    {"$ref": "#/nowhere"},
    {"$ref": 7},
    {"$ref": "#/components"},
]


def places(value: Json, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value in the specification."""
    steps: list[tuple[str | int, Json]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    return [path, *(found for step, part in steps for found in places(part, (*path, step)))]


PLACES = [path for path in places(WHOLE) if path]


def damaged(data: Json, path: tuple[str | int, ...], junk: Json) -> None:
    """Put `junk` at `path`, as far as the path still exists."""
    for step in path[:-1]:
        data = data[step] if has(data, step) else None
    if has(data, path[-1]):
        data[path[-1]] = copy.deepcopy(junk)


def has(data: Json, step: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(step, int) and step < len(data)
    return isinstance(data, dict) and step in data


@settings(max_examples=60, deadline=None)
@given(damage=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(JUNK)), min_size=1, max_size=3))
def test_whatever_is_wrong_in_a_specification_the_import_ends_with_records_or_a_reason(damage: Any) -> None:
    data = copy.deepcopy(WHOLE)
    for path, junk in damage:
        damaged(data, path, junk)
    with TemporaryDirectory() as folder:
        source, into = Path(folder) / "openapi.json", Path(folder) / "records"
        source.write_text(json.dumps(data))
        reason = ""
        try:
            importer.run(importer.Options(source, "parcels", into), Progress(StringIO(), lambda: 0.0))
        except CannotImport as error:
            reason = str(error)
        assert (into / "parcels" / "integration.yaml").is_file() != bool(reason)
