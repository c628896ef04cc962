"""Replays the jobs of workflows.yaml on the embedded memory, and counts calls and tokens."""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path
from typing import Any, NamedTuple

import jmespath
import yaml

from functions.gateway.call import run
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json, text
from functions.gateway.model_tokens import at_most
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.settings import Settings
from functions.memory_engine.app import create_app
from functions.memory_engine.settings import EngineSettings
from tests.gateway.calling import MEM0, NOON, target
from tests.properties.test_pins_on_engine import Inside, World
from tests.wrong_calls.scoring import CORRECTED, STEPS, SUGGESTED, filled

WORKFLOWS = Path(__file__).parent / "workflows.yaml"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})")
_REFERENCE = re.compile(r"\{(\d+)\.(.+)\}")


class Replayed(NamedTuple):
    """One job: its steps, the calls that were made for them, and the tokens of what the model reads and writes."""

    job: str
    steps: int
    calls: int
    settled: int
    tokens: int


def replayed() -> list[Replayed]:
    """Every job, each on a memory of its own. Raises AssertionError for a step that no answer led to."""
    return [_replayed(entry["job"], entry["steps"]) for entry in yaml.safe_load(WORKFLOWS.read_text())]


def _replayed(job: str, steps: list[dict[str, Any]]) -> Replayed:
    app = create_app(EngineSettings())
    app.state.engine.start()
    try:
        config = ServerConfig()
        world = World(random.Random(1), app, (config, config), config)
        results: list[Json] = []
        calls = settled = tokens = 0
        for step in steps:
            means = step.get("means", {})
            call, given = step["call"], _referred(step["with"], results)
            meant = _referred(means.get("with", step["with"]), results)
            for _ in range(STEPS):
                calls += 1
                tokens += _tokens(text({"name": call, "arguments": given}))
                outcome = _outcome(app, call, given)
                if isinstance(outcome, Done):
                    settled += bool(outcome.settled)
                    tokens += _tokens(text(outcome.body))
                    results.append(outcome.body)
                    break
                said = outcome.message
                tokens += _tokens(said)
                if isinstance(outcome, UnknownTool):
                    call = SUGGESTED.search(said)[1]  # type: ignore[index]
                else:
                    given = filled(json.loads(CORRECTED.search(said)[1]), meant)  # type: ignore[index]
            else:
                raise AssertionError(f"{job}: no answer led from {step}: {said}")
            assert call == means.get("call", step["call"]), f"{job}: {step} became {call}"
            world.settle()
        return Replayed(job, len(steps), calls, settled, tokens)
    finally:
        app.state.engine.close()


def _tokens(written: str) -> int:
    """The tokens of a text, with one id and one time in place of all, which are other ones on every run."""
    return at_most(_TIME.sub("2026-11-20T09:30:00.123456Z", _UUID.sub("9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10", written)))


def _outcome(app: Any, call: str, given: dict[str, Json]) -> Done | Failed | UnknownTool:
    asked = ToolCall(call, given, NOON, deadline=0.0)
    to = target("http://engine", ServerConfig(), api_key="k")
    return asyncio.run(run(asked, to, MEM0, sender=Inside(app), settings=Settings()))


def _referred(value: Any, results: list[Json]) -> Any:
    if isinstance(value, str) and (found := _REFERENCE.fullmatch(value)):
        return jmespath.search(found[2], results[int(found[1])])
    if isinstance(value, dict):
        return {name: _referred(entry, results) for name, entry in value.items()}
    return [_referred(entry, results) for entry in value] if isinstance(value, list) else value
