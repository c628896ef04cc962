"""Expiry as a whole, on one clock: what the endpoint serves, what the schedules purge, what an operator changes.

A simulated EventBridge runs each schedule once or twice, up to a minute late, and some of them although they were moved
or removed in the meantime: the worst that the real one may do.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from functions.gateway.grants import digest, write_time
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.methods import Methods
from functions.purge.purge import purge
from functions.stores import layout
from tests.admin_api.conftest import Plane
from tests.gateway.calling import AdvancingLoop
from tests.mcp_endpoint.endpoint import exchange_async, legacy, post

SCHEDULE_PRECISION = 60
"""Seconds within which EventBridge runs a one-time schedule."""


@dataclass
class Known:
    """What the test knows of one server: when it ends, and when each of its tokens does."""

    id: str
    expires_at: datetime | None
    tokens: dict[str, datetime | None] = field(default_factory=dict)
    deleted: bool = False

    def alive(self, token: str, now: datetime) -> bool:
        ends = [moment for moment in (self.expires_at, self.tokens[token]) if moment is not None]
        return not self.deleted and all(now < end for end in ends)


class World:
    """Operators, agents and EventBridge, a second at a time."""

    def __init__(self, plane: Plane, account: str, seed: int) -> None:
        self.plane = plane
        self.account = account
        self.random = random.Random(seed)
        self.servers: list[Known] = []
        self.due: list[tuple[datetime, str, datetime]] = []
        self.sticks: dict[tuple[str, datetime], bool] = {}
        self.fired: set[tuple[str, datetime]] = set()
        self.served = self.refused = 0
        self.outcomes: Counter[str] = Counter()
        settings = Settings()
        self.endpoint = Endpoint(
            settings=settings, store=plane.store, methods=Methods(settings, Sender(settings)), clock=plane.clock
        )

    def path(self, server: Known | None = None, more: str = "") -> str:
        return f"/integrated-account/{self.account}/mcp" + (f"/{server.id}{more}" if server else "")

    def moment(self) -> datetime:
        """Some time soon, on a whole second or between two."""
        soon = timedelta(seconds=self.random.randint(1, 150), milliseconds=self.random.choice([0, 0, 1, 500, 999]))
        return self.plane.clock.now + soon

    def operate(self) -> None:
        """One thing that an operator may do."""
        now = self.plane.clock.now
        living = [s for s in self.servers if not s.deleted and (s.expires_at is None or now < s.expires_at)]
        action = self.random.choice(["mint", "mint", "move", "move", "forever", "rotate", "delete"])
        if action == "mint" or not living:
            moment = self.moment()
            body = {"expires_at": write_time(moment)}
            minted = self.plane.ok("POST", self.path(), body)
            self.servers.append(Known(minted["id"], moment, {minted["token"]: None}))
            return
        server = self.random.choice(living)
        if action == "move":
            server.expires_at = self.moment()
            self.plane.ok("PATCH", self.path(server), {"expires_at": write_time(server.expires_at)})
        elif action == "forever":
            server.expires_at = None
            self.plane.ok("PATCH", self.path(server), {"expires_at": None})
        elif action == "rotate":
            grace = self.random.randint(0, 40)
            minted = self.plane.ok("POST", self.path(server, "/rotate"), {"grace_seconds": grace})
            for token, ends in server.tokens.items():
                if ends is None:
                    server.tokens[token] = now + timedelta(seconds=grace)
            server.tokens[minted["token"]] = None
        elif action == "delete":
            self.plane.ok("DELETE", self.path(server))
            server.deleted = True

    def schedule(self) -> None:
        """EventBridge takes note of what there is, and runs what is due."""
        now = self.plane.clock.now
        current = list(self.plane.schedules.at.items())
        for schedule in current:
            if schedule not in self.sticks:
                self.sticks[schedule] = self.random.random() < 0.5
        for schedule, sticks in self.sticks.items():
            server_id, at = schedule
            if now >= at and schedule not in self.fired and (sticks or schedule in current):
                self.fired.add(schedule)
                for _ in range(self.random.choice([1, 1, 2])):
                    late = timedelta(seconds=self.random.randint(0, SCHEDULE_PRECISION - 1))
                    self.due.append((at + late, server_id, at))
        for run in [run for run in self.due if run[0] <= now]:
            self.due.remove(run)
            event = {"account_id": self.account, "server_id": run[1], "expires_at": write_time(run[2])}
            self.outcomes[purge(event, self.plane.store, now)] += 1

    async def check(self) -> None:
        now = self.plane.clock.now
        for server in self.servers:
            for token in server.tokens:
                alive = server.alive(token, now)
                ping = legacy("ping")
                answer = await exchange_async(self.endpoint, "POST", f"/mcp/{token}", ping.lines, ping.body)
                assert answer.code == (None if alive else 40401), (server, now)
                self.served += alive
                self.refused += not alive
                if alive:
                    assert self.plane.behind(token) is not None
            if server.expires_at is not None and now > server.expires_at + timedelta(seconds=SCHEDULE_PRECISION):
                keys = [layout.server(self.account, server.id), *(layout.token(digest(t)) for t in server.tokens)]
                assert not any(self.plane.store.get(keys)), (server, now)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_served_from_its_last_second_on_and_nothing_alive_is_ever_purged(
    plane: Plane, account: str, seed: int
) -> None:
    world = World(plane, account, seed)
    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        for second in range(500):
            if second < 320 and world.random.random() < 0.3:
                world.operate()
            world.schedule()
            runner.run(world.check())
            plane.clock.advance(seconds=1)
    assert min(world.outcomes[outcome] for outcome in ("purged", "kept", "gone")) >= 2
    assert world.served > 100
    assert world.refused > 100


def test_the_last_moment_is_served_and_the_next_is_not(plane: Plane, account: str) -> None:
    world = World(plane, account, 0)
    body = {"name": "exact", "expires_at": write_time(plane.clock.now + timedelta(seconds=10))}
    token = plane.ok("POST", world.path(), body)["token"]
    plane.clock.advance(seconds=9, milliseconds=999)
    assert post(world.endpoint, token, legacy("ping")).status == 200
    plane.clock.advance(milliseconds=1)
    answer = post(world.endpoint, token, legacy("ping"))
    assert (answer.status, answer.code) == (200, 40401)
    assert "expired" in json.loads(answer.body)["error"]["message"]
