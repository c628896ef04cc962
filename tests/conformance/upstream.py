"""The upstream behind the fixture's tools: it repeats what it is asked for, and works on jobs that take their time.

What the suite asks of a server is done by the endpoint. This upstream only does what an API does: it answers, queues a
job, reports on it, asks for input, takes input, ends a job, and forgets one.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from functions.gateway.json_text import Json
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse

JOB_SECONDS = 1.0
"""How long a job takes that is not told otherwise."""

SURE: Json = {
    "method": "elicitation/create",
    "params": {
        "message": "Are you sure?",
        "requestedSchema": {"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]},
    },
}


@dataclass
class Job:
    """One job. `asks` are the questions that nobody has answered yet."""

    kind: str
    given: dict[str, Json]
    ends: float
    asks: dict[str, Json] = field(default_factory=dict)
    cancelled: bool = False


class FixtureUpstream(Sender):
    """`clock` gives seconds and never goes back."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(settings)
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        """The answer to one request."""
        place = request.url.partition("?")[0].split("/", 3)[-1].split("/")
        given: dict[str, Json] = json.loads(request.body) if request.body else {}
        match request.verb, place:
            case "POST", ["jobs", kind] if kind in KINDS:
                return _answer(202, self._queued(kind, given))
            case "GET", ["jobs", job_id]:
                return self._report(job_id)
            case "POST", ["jobs", job_id, "answers"]:
                job = self._jobs[job_id]
                job.asks = {key: question for key, question in job.asks.items() if key not in given["answers"]}
                job.ends = self._clock()
                return _answer(200, {})
            case "DELETE", ["jobs", job_id]:
                job = self._jobs[job_id]
                job.cancelled = job.cancelled or bool(job.asks) or self._clock() < job.ends
                return _answer(200, {})
            case _:
                return _answer(200, {"asked": request.url, "given": given})

    def _queued(self, kind: str, given: dict[str, Json]) -> dict[str, Json]:
        seconds = float(given.get("seconds", JOB_SECONDS))
        if seconds == 0:
            return {"status": "DONE", "output": given}
        job_id = f"job-{next(self._numbers)}"
        self._jobs[job_id] = Job(kind, given, self._clock() + seconds, dict(KINDS[kind]))
        return {"status": "RUNNING", "job_id": job_id}

    def _report(self, job_id: str) -> UpstreamResponse:
        job = self._jobs[job_id]
        over = not job.asks and self._clock() >= job.ends
        if over and job.kind == "forgotten":
            return _answer(404, {"detail": "There is no such job."})
        ended = "FAILED" if job.kind == "failing" else "DONE"
        status = "CANCELLED" if job.cancelled else ended if over else "RUNNING"
        return _answer(200, {"status": status, "asks": job.asks or None, "output": job.given if over else None})


KINDS: dict[str, dict[str, Json]] = {
    "slow": {},
    "failing": {},
    "forgotten": {},
    "sure": {"sure": SURE},
    "twice": {"first": SURE, "second": SURE},
}
"""Kinds of jobs, and what each asks for before it goes on."""


def _answer(status: int, body: Any) -> UpstreamResponse:
    return UpstreamResponse(status, {"content-type": "application/json"}, json.dumps(body).encode())
