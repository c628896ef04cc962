"""Random calls through two pinned servers, against the memory engine: neither reads or writes what is the other's.

The judge is the engine's own database, read before and after each call. Every memory that is new, changed or gone must
carry every pinned id of the server that was called, and no answer may hold the text of one that does not. A new memory
carries no other id than the config of that server allows, so that the other server does not find it. Two memories in
three are foreign, and more calls write than read.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from functions.gateway import selection
from functions.gateway.call import run
from functions.gateway.errors import OutsidePins
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.pins import holds
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from functions.memory_engine.app import create_app
from functions.memory_engine.settings import EngineSettings
from tests.gateway.calling import MEM0, NOON, target
from tests.patience import until
from tool_catalog.catalog import PinArguments, PinEntity, Tool

WORLDS = int(os.environ.get("POSTERN_TEST_WORLDS", "24"))
"""Engines, pins and sequences of calls tried."""

CALLS = 40
"""Calls in each."""

MOST_WORLDS = WORLDS * 20
"""Worlds tried before a tool counts as one that never succeeds; ids are random, so a rare success may take its time."""

WRITES = 0.75
"""Share of calls that write; more of them than of the reads are refused."""

TYPES = ("user", "agent", "app", "run")
COLUMNS = ("id", "memory", "user_id", "agent_id", "app_id", "run_id", "metadata", "feedback", "expiration_date")
MARK = re.compile(r"mark(\d+)z")
"""Each text holds a number of its own."""


class Inside(Sender):
    """Sends into the engine of this process."""

    def __init__(self, app: Any) -> None:
        super().__init__(Settings())
        self._app = app

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app)) as client:
            answer = await client.request(
                request.verb, request.url, headers=list(request.headers), content=request.body
            )
        return UpstreamResponse(answer.status_code, dict(answer.headers), answer.content)


@dataclass
class World:
    """An engine full of memories, and two servers, each pinned to some of its entities; `config` is called now."""

    dice: random.Random
    app: Any
    sides: tuple[ServerConfig, ServerConfig]
    config: ServerConfig
    texts: int = 0
    events: list[str] = field(default_factory=list)

    @property
    def pins(self) -> Mapping[str, str]:
        return self.config.pins

    @property
    def other(self) -> ServerConfig:
        return self.sides[self.config is self.sides[0]]

    def text(self) -> str:
        self.texts += 1
        return f"I like the place mark{self.texts}z."

    def entity(self, kind: str) -> str:
        return f"{kind}_{self.dice.randint(1, 2)}"

    def seed(self) -> None:
        for _ in range(24):
            owners = {f"{kind}_id": self.entity(kind) for kind in TYPES if self.dice.random() < 0.6}
            if self.dice.random() < 0.5:
                owners.update(self.dice.choice(self.sides).pins)
            owners = owners or {"user_id": "user_1"}
            body = {"messages": [{"role": "user", "content": self.text()}], "infer": False, **owners}
            self.request("POST", "/v3/memories/add/", body)
            self.request("POST", "/v3/memories/search/", {"query": "place", "filters": owners})

    def request(self, verb: str, path: str, body: Json) -> Json:
        request = UpstreamRequest(
            verb,
            "http://engine",
            path,
            headers=(("Authorization", "Token k"), ("Content-Type", "application/json")),
            body=json.dumps(body).encode(),
        )
        answer = asyncio.run(Inside(self.app).send(request, 0.0))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def memories(self) -> dict[str, dict[str, Json]]:
        with self.app.state.engine.core.database.read() as connection:
            rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM memories").fetchall()
        return {row["id"]: dict(row) for row in rows}

    def known(self) -> list[str]:
        """Ids to choose from; every second time only those inside the pins, so that writes succeed."""
        rows = self.memories()
        inside = [memory_id for memory_id, row in rows.items() if holds(self.pins, row)]
        nothing = ["9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"]
        return (inside if self.dice.random() < 0.7 else list(rows)) or nothing

    def settle(self) -> None:
        """Wait until all that was queued is done."""
        queued = "SELECT count(*) FROM events WHERE status IN ('PENDING', 'RUNNING')"

        def done() -> bool:
            with self.app.state.engine.core.database.read() as connection:
                if connection.execute(queued).fetchone()[0]:
                    return False
                self.events = [row["id"] for row in connection.execute("SELECT id FROM events")]
                return True

        until(done, "the queue is empty")

    def arguments(self, tool: Tool, known: list[str]) -> dict[str, Json]:
        """Arguments that mostly fit, about entities and records of everybody."""
        dice = self.dice
        properties = tool.definition["inputSchema"]["properties"]
        required = tool.definition["inputSchema"].get("required", ())
        given: dict[str, Json] = {}
        if isinstance(tool.pin, PinEntity) and dice.random() < 0.5:  # a pinned entity need not be named
            return {"all": True} if tool.destructive else {}
        tidy = dice.random() < 0.6  # a caller that names no id where the server fills the pins in
        for name in properties:
            if tidy and tool.access == "write" and isinstance(tool.pin, PinArguments) and name in tool.pin.ids:
                continue
            if name in required or dice.random() < 0.35:
                value = self.value(tool, name, known)
                if value is not None:
                    given[name] = value
        return given

    def value(self, tool: Tool, name: str, known: list[str]) -> Json:
        dice = self.dice
        kind = name.removesuffix("_id")
        if name in ("id", "memory_id") and tool.resource == "events":
            return dice.choice(self.events)
        if kind in TYPES:
            return self.entity(kind)
        if name in ("entity_id", "id") and isinstance(tool.pin, PinEntity):
            return self.entity(dice.choice(TYPES))
        match name:
            case "filters" if tool.request.verb == "DELETE":
                return {f"{kind}_id": self.entity(kind) for kind in dice.sample(TYPES, dice.randint(0, 2))}
            case "filters":
                return self.filter(3)
            case "id" | "memory_id":
                return dice.choice(known)
            case "memories":
                chosen = [dice.choice(known) for _ in range(dice.randint(1, 3))]
                written = tool.request.verb == "PUT"
                return [{"memory_id": one, **({"text": self.text()} if written else {})} for one in chosen]
            case "messages":
                roles = [dice.choice(["user", "assistant"]) for _ in range(dice.randint(1, 3))]
                return [{"role": role, "content": self.text()} for role in roles]
            case "facts":
                return [self.text() for _ in range(dice.randint(1, 3))]
            case "text":
                return self.text()
            case "metadata":
                return {"source": dice.choice(["a", "b"])}
            case "query":
                return dice.choice(["place", "like the place", f"mark{dice.randint(1, 24)}z"])
            case "entity_type":
                return dice.choice(TYPES)
            case "infer" | "delete_linked" | "show_expired":
                return dice.random() < 0.5
            case "threshold":
                return 0
            case "limit":
                return dice.randint(1, 200)
            case "top_k":
                return 100
            case "feedback":
                return "POSITIVE"
        return None

    def filter(self, depth: int) -> dict[str, Json]:
        dice = self.dice
        node: dict[str, Json] = {}
        for kind in dice.sample(TYPES, dice.randint(0, 2)):
            one = self.entity(kind)
            node[f"{kind}_id"] = dice.choice(
                [one, one, one, "*", {"in": [one]}, {"in": [one, self.entity(kind)]}, {"ne": one}]
            )
        if dice.random() < 0.2:
            node["metadata"] = {"source": "a"}
        if depth and dice.random() < 0.6:
            operator = dice.choice(["AND", "OR", "NOT"])
            node[operator] = [self.filter(depth - 1) or {"run_id": "*"} for _ in range(dice.randint(1, 2))]
        return node


@contextmanager
def world(seed: int) -> Iterator[World]:
    dice = random.Random(seed)

    def side(number: int) -> ServerConfig:
        pins = {f"{kind}_id": f"{kind}_{number}" for kind in dice.sample(TYPES, dice.choice([1, 1, 1, 2, 2, 3]))}
        free = [f"{kind}_id" for kind in TYPES if f"{kind}_id" not in pins]
        listed = dice.sample(free, dice.choice([0, 0, 0, 1]))
        return ServerConfig(pins=pins, write_ids={name: dice.choice([(f"{name[:-3]}_1",), ("*",)]) for name in listed})

    sides = (side(1), side(2))
    app = create_app(EngineSettings())
    app.state.engine.start()
    try:
        made = World(dice, app, sides, sides[0])
        made.seed()
        yield made
    finally:
        app.state.engine.close()


def check_call(made: World, tool: Tool, arguments: Mapping[str, Json], outcomes: Counter[tuple[str, str]]) -> None:
    before = made.memories()
    foreign = {mark for row in before.values() if not holds(made.pins, row) for mark in MARK.findall(row["memory"])}
    asked = ToolCall(tool.name, arguments, NOON, deadline=0.0)
    to = target("http://engine", made.config, api_key="k")
    outcome = asyncio.run(run(asked, to, MEM0, sender=Inside(made.app), settings=Settings()))
    answer: Json
    match outcome:
        case Done():
            answer = outcome.body
            outcomes[tool.name, "answered"] += 1
        case Failed(failure=OutsidePins()):
            answer = outcome.message
            outcomes[tool.name, "refused"] += 1
        case Failed():
            answer = [outcome.message, outcome.failure.raw_response]
            outcomes[tool.name, "failed"] += 1
        case UnknownTool():
            raise AssertionError(outcome.message)
    made.settle()
    after = made.memories()
    story = f"{made.config}; {tool.name} {json.dumps(arguments)}"
    told = set(MARK.findall(json.dumps(answer))) - set(MARK.findall(json.dumps(arguments)))
    assert not told & foreign, f"{story} told {told & foreign}"
    for memory_id in before.keys() | after.keys():
        was, now = before.get(memory_id), after.get(memory_id)
        if was != now:
            assert was is None or holds(made.pins, was), f"{story} touched {was}"
            assert now is None or holds(made.pins, now), f"{story} left {now}"
        if was is None and now is not None:
            names = {f"{kind}_id" for kind in TYPES if now[f"{kind}_id"] is not None}
            given = {name: now[name] for name in names - made.pins.keys()}
            allowed = made.config.write_ids
            unlisted = {name for name, value in given.items() if not {value, "*"} & set(allowed.get(name, ()))}
            assert not unlisted, f"{story} wrote {unlisted} of {now}"
            if not allowed and not made.other.pins.items() <= made.pins.items():
                assert not holds(made.other.pins, now), f"{story} wrote what {made.other} finds: {now}"


def succeeded(outcomes: Counter[tuple[str, str]]) -> set[str]:
    return {name for name, outcome in outcomes if outcome == "answered"}


def test_no_call_through_a_pinned_server_reads_or_writes_what_is_foreign() -> None:
    outcomes: Counter[tuple[str, str]] = Counter()
    offered: set[str] = set()
    worlds = 0
    while worlds < WORLDS or (worlds < MOST_WORLDS and offered - succeeded(outcomes)):
        worlds += 1
        with world(worlds) as made:
            for _ in range(CALLS):
                made.config = made.dice.choice(made.sides)
                tools = selection.visible(MEM0, made.config)
                offered |= {tool.name for tool in tools}
                access = "write" if made.dice.random() < WRITES else "read"
                tool = made.dice.choice([tool for tool in tools if tool.access == access])
                made.settle()
                check_call(made, tool, made.arguments(tool, made.known()), outcomes)
    assert succeeded(outcomes) == offered, outcomes
    refused = sum(count for (_, outcome), count in outcomes.items() if outcome == "refused")
    assert refused > worlds * CALLS * 0.1, outcomes
    done = Counter[str]()
    for (name, outcome), count in outcomes.items():
        done[MEM0.tools[name].access] += count if outcome == "answered" else 0
    print(f"{done['write']} writes and {done['read']} reads succeeded, {refused} calls were refused")
    assert done["write"] >= done["read"], outcomes


@pytest.mark.parametrize(
    "pins", [{"user_id": "user_1"}, {"agent_id": "agent_1"}, {"user_id": "user_1", "agent_id": "agent_1"}]
)
def test_without_the_pins_the_same_judge_finds_foreign_memories(pins: dict[str, str]) -> None:
    """The proof above can fail: the judge sees what an unpinned server does."""
    with world(1) as made:
        answer = made.request(
            "POST", "/v3/memories/", {"filters": {"OR": [{"user_id": "user_2"}, {"agent_id": "agent_2"}]}}
        )
        foreign = [row for row in made.memories().values() if not holds(pins, row)]
        seen = {mark for row in foreign for mark in MARK.findall(row["memory"])}
        assert set(MARK.findall(json.dumps(answer))) & seen
