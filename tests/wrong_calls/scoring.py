"""What the answer to a wrong call is worth to a script that reads nothing but the answer.

2  The call was put right and did what was meant, or the answer holds a correction that does it.
1  The answer names the fault, and no correction in it works.
0  The answer misleads: what was sent, or what the correction sends, is not what was meant.

The script fills a placeholder, e.g. "<order_id>", with the value that was meant at its place: only the caller knows it.
It may take three steps, because a wrong name hides wrong arguments.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Failed, UnknownTool
from tests.gateway.calling import call_once
from tests.gateway.loopback import Upstream, answer
from tool_catalog import compiled_file
from tool_catalog.building import build
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_document import to_bytes
from tool_catalog.openapi import importer
from tool_catalog.openapi.progress import Progress

HERE = Path(__file__).parent

STEPS = 3
"""Calls that the script makes in all."""

NOTHING = "nothing"
"""What stands for the request where none was sent."""

CORRECTED = re.compile(r"corrected: (\{.*\})$", re.MULTILINE)
SUGGESTED = re.compile(r'(?:called|did you mean) "([^"]+)"')
_PLACEHOLDER = re.compile(r"<[^<>]+>")


@dataclass(frozen=True)
class Case:
    """One wrong call and the one that was meant."""

    on: str
    call: str
    given: Mapping[str, Json]
    meant_call: str
    meant: Mapping[str, Json]
    names: tuple[str, ...] = ()
    pins: Mapping[str, str] | None = None
    destroys: bool = False

    @property
    def label(self) -> str:
        pinned = f", pinned to {json.dumps(self.pins)}" if self.pins else ""
        return f"{self.call} {json.dumps(self.given)}{pinned}"


class Verdict(NamedTuple):
    """A score, and the answers that led to it."""

    score: int
    why: str
    answers: tuple[str, ...]


def cases(name: str) -> list[Case]:
    """The cases of a file beside this one."""
    entries = yaml.safe_load((HERE / name).read_text())
    return [
        Case(
            entry[True],  # YAML 1.1 reads the key "on" as true
            entry["call"],
            entry["with"],
            entry["means"].get("call", entry["call"]),
            entry["means"]["with"],
            tuple(map(str, entry.get("names", ()))),
            entry.get("pins"),
            entry.get("destroys", False),
        )
        for entry in entries
    ]


@cache
def loaded(integration: str) -> Catalog:
    """A catalogue: a compiled one, or the import of the excerpt of that name."""
    if integration in compiled_file.available():
        return compiled_file.load(integration)
    with tempfile.TemporaryDirectory() as folder:
        options = importer.Options(HERE / f"{integration}.yaml", integration, Path(folder))
        importer.run(options, Progress(StringIO(), lambda: 0.0))
        document, problems = build(Path(folder) / integration)
    assert document is not None, problems
    return compiled_file.read(to_bytes(document), f"{integration}.json")


def verdict(case: Case, upstream: Upstream) -> Verdict:
    """Make the call and what its answers lead to."""
    meant = _sent(case, upstream, case.meant_call, case.meant)[0]
    assert meant != NOTHING, f"what was meant is refused: {case.meant_call} {case.meant}"
    call, arguments, answers = case.call, case.given, []
    for step in range(STEPS):
        sent, said, outcome = _sent(case, upstream, call, arguments)
        answers.append(said)
        if sent != NOTHING:
            wrong = 0 if sent != meant else 0 if case.destroys and not step and case.given == {} else 2
            return Verdict(wrong, f"sent {sent}, meant {meant}", tuple(answers))
        if isinstance(outcome, UnknownTool):
            suggested = SUGGESTED.search(said)
            if suggested is None:
                break
            call = suggested[1]
            continue
        corrected = CORRECTED.search(said)
        if corrected is None:
            break
        try:
            arguments = filled(json.loads(corrected[1]), case.meant)
        except (KeyError, IndexError, TypeError) as missing:
            return Verdict(
                _named(case, answers), f"a placeholder that nothing was meant for: {missing}", tuple(answers)
            )
    return Verdict(_named(case, answers), "no correction", tuple(answers))


def _named(case: Case, answers: list[str]) -> int:
    words = (
        case.names
        or tuple(name for name in case.given if case.given[name] != case.meant.get(name))
        or tuple(case.meant)
    )
    return int(all(word in " ".join(answers) for word in words)) if words else 1


def _sent(case: Case, upstream: Upstream, call: str, arguments: Mapping[str, Json]) -> tuple[str, str, object]:
    """The request that a call makes, as text; what its answer says; the outcome."""
    upstream.script = lambda received: answer(200, {})
    upstream.requests.clear()
    context: dict[str, Any] = {"org_id": "org_1", "project_id": "proj_1"} if case.on == "mem0" else {}
    config = ServerConfig(pins=dict(case.pins)) if case.pins else ServerConfig()
    outcome = call_once(loaded(case.on), upstream.origin, call, arguments, config=config, **context)
    requests = [f"{received.verb} {received.target} {_body(received.body)}" for received in upstream.requests]
    said = outcome.message if isinstance(outcome, Failed | UnknownTool) else ""
    sent = requests[-1] if requests and not isinstance(outcome, UnknownTool) else NOTHING
    return sent, said, outcome


def _body(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except ValueError:
        return body.decode()


def filled(value: Json, meant: Any) -> Json:
    """The value with each placeholder replaced by what was meant at its place."""
    if isinstance(value, str) and _PLACEHOLDER.fullmatch(value):
        if meant is None:
            raise KeyError(value)
        return meant
    if isinstance(value, dict):
        holder = meant if isinstance(meant, dict) else {}
        return {name: filled(entry, holder.get(name)) for name, entry in value.items()}
    if isinstance(value, list):
        holders = meant if isinstance(meant, list) else []
        return [filled(entry, holders[at] if at < len(holders) else None) for at, entry in enumerate(value)]
    return value
