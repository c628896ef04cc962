"""The thread that works off the acknowledged events, then exports and missing vectors."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from functions.memory_engine.core import Core
from functions.memory_engine.search import embeddings
from functions.memory_engine.work import adding, deleting, deliveries, events, exports, profiles
from functions.memory_engine.work.background import Background
from functions.memory_engine.work.language_model import LanguageModelFailed

logger = logging.getLogger(__name__)

ADDS_TOGETHER = 32
"""Adds without a model that share one write, and therefore one flush of the disk."""
MAX_ATTEMPTS = 3
"""Attempts at one event before it is FAILED, those that a crash interrupted included."""
PAUSE_SECONDS = 1.0
"""The pause after a problem of the engine itself, e.g. a locked file or a full disk."""
IDLE_SECONDS = 30.0
"""Seconds without a signal after which the queue is looked at again."""
MAX_SCANNED = 10_000
"""Unfinished events that are looked through for an owner whose turn it is."""

_ALONE, _EXPORTS, _VECTORS = "alone", "exports", "vectors"
# Owners of adds begin with the name of a field, so they differ from the three above.
_UNFINISHED = """
SELECT id, event_type, coalesce(
  'user_id ' || json_extract(payload, '$.user_id'), 'agent_id ' || json_extract(payload, '$.agent_id'),
  'app_id ' || json_extract(payload, '$.app_id'), 'run_id ' || json_extract(payload, '$.run_id')
) AS owner FROM events WHERE status IN ('PENDING', 'RUNNING') ORDER BY seq LIMIT ?
"""


class Worker(Background):
    """The thread of the work queue. With a language model it hands the events to several threads."""

    def __init__(self, core: Core) -> None:
        super().__init__("memory-engine-pipeline", core.work)
        self._core = core
        self._troubled = False
        self._running: set[str] = set()
        self._changing = threading.Lock()

    def _run(self) -> None:
        threads = self._core.settings.llm_workers + 2  # exports and vectors have a thread of their own
        with ThreadPoolExecutor(threads, "memory-engine-model") as self._pool:
            super()._run()

    def _turn(self) -> float:
        core = self._core
        try:
            if core.settings.llm is not None:
                self._dispatch()
                return IDLE_SECONDS
            worked = self.work_next() or exports.work_next(core) or bool(embeddings.embed_missing(core))
            return 0.0 if worked else IDLE_SECONDS
        except embeddings.EmbeddingFailed as problem:
            logger.warning("vectors wait: %s", problem)
            return IDLE_SECONDS
        except Exception:
            logger.exception("the memory pipeline stopped; it continues in %g s", PAUSE_SECONDS)
            return PAUSE_SECONDS

    # With a language model: several events at one time

    def _dispatch(self) -> None:
        """Start what may run now. One owner's adds run one after the other, so that nobody's queue holds up another's.

        Every other event waits until all earlier ones have ended, and later ones wait for it.
        """
        for event_id, owner in self._runnable():
            self._start(owner, partial(self._run_event, event_id))
        self._start(_EXPORTS, lambda: exports.work_next(self._core))
        self._start(_VECTORS, lambda: bool(embeddings.embed_missing(self._core)))

    def _runnable(self) -> list[tuple[str, str]]:
        """Event ids with their owners, oldest first: one per owner that is not running, and one per free thread."""
        with self._changing:
            busy = set(self._running) - {_EXPORTS, _VECTORS}
        free = self._core.settings.llm_workers - len(busy)
        if _ALONE in busy:
            return []
        chosen: list[tuple[str, str]] = []
        with self._core.database.read() as connection:
            for row in connection.execute(_UNFINISHED, (MAX_SCANNED,)):
                if row["event_type"] != "ADD":
                    return chosen if busy else [(row["id"], _ALONE)]
                if row["owner"] not in busy and len(chosen) < free:
                    busy.add(row["owner"])
                    chosen.append((row["id"], row["owner"]))
        return chosen

    def _start(self, owner: str, job: Callable[[], bool]) -> None:
        with self._changing:
            if owner in self._running:
                return
            self._running.add(owner)
        self._pool.submit(self._do, owner, job)

    def _do(self, owner: str, job: Callable[[], bool]) -> None:
        """Run one job on a thread of its own. If it did something, more may be waiting, so the dispatcher is woken."""
        worked = True
        try:
            worked = job()
        except embeddings.EmbeddingFailed as problem:
            worked = False
            logger.warning("vectors wait: %s", problem)
        except Exception:
            logger.exception("the memory pipeline stopped; it continues in %g s", PAUSE_SECONDS)
            self._stopping.wait(PAUSE_SECONDS)
        with self._changing:
            self._running.discard(owner)
        if worked:
            self._core.work.give()

    def _run_event(self, event_id: str) -> bool:
        with self._core.database.read() as connection:
            row = connection.execute("SELECT * FROM events WHERE id = ?", (event_id,)).fetchone()
        return row is None or self._work([row])

    # Without one: adds in a row share one write

    def work_next(self) -> bool:
        """Work on the oldest unfinished event, or on adds in a row that need no model. Returns False without one."""
        queued = self._oldest()
        return bool(queued) and self._work(queued)

    def _work(self, queued: list[sqlite3.Row]) -> bool:
        core = self._core
        if queued[0]["attempts"] >= MAX_ATTEMPTS:
            self._fail(queued[0], f"interrupted {queued[0]['attempts']} times")
            return True
        try:
            core.database.write(lambda connection: _begin(core, connection, queued, counted=not self._troubled))
            if len(queued) == 1 or not self._add_together(queued):
                for event in queued:
                    self._work_on(event)
        except sqlite3.OperationalError:
            # The file is locked or the disk is full. The event is not at fault, so the attempt does not count.
            self._troubled = True
            raise
        self._troubled = False
        return True

    def _oldest(self) -> list[sqlite3.Row]:
        with self._core.database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM events WHERE status IN ('PENDING', 'RUNNING') ORDER BY seq LIMIT ?", (ADDS_TOGETHER,)
            ).fetchall()
        fresh = [row["event_type"] == "ADD" and row["attempts"] == 0 for row in rows]
        together = fresh.index(False) if False in fresh else len(fresh)
        return rows[: max(1, together)]

    def _add_together(self, queued: list[sqlite3.Row]) -> bool:
        """Store many adds in one write. Returns False when one add fails; the caller then works on each by itself."""
        try:
            adding.work(self._core, queued)
        except sqlite3.OperationalError:
            raise
        except Exception:
            logger.exception("%d adds failed together; each is tried by itself", len(queued))
            return False
        return True

    def _work_on(self, event: sqlite3.Row) -> None:
        core, attempt = self._core, event["attempts"] + 1
        try:
            match event["event_type"]:
                case "ADD":
                    adding.work(core, [event])
                case "DELETE_ALL" | "DELETE_USER":
                    deleting.work(core, event)
                case "PROFILE":
                    profiles.work(core, event)
                case other:
                    raise ValueError(f"an event of type {other} cannot be queued")
        except LanguageModelFailed as problem:
            if attempt >= MAX_ATTEMPTS:
                self._fail(event, str(problem))
            else:
                self._stopping.wait(core.settings.model_retry_seconds * attempt)
        except sqlite3.OperationalError:
            raise
        except Exception as problem:
            logger.exception("event %s failed", event["id"])
            self._fail(event, f"internal error: {type(problem).__name__}")

    def _fail(self, event: sqlite3.Row, reason: str) -> None:
        core = self._core

        def change(connection: sqlite3.Connection) -> None:
            events.finish(core, connection, event["id"], [], reason)
            deliveries.enqueue_job(core, connection, event["id"], succeeded=False)

        core.database.write(change)


def _begin(core: Core, connection: sqlite3.Connection, queued: list[sqlite3.Row], *, counted: bool) -> None:
    connection.executemany(
        "UPDATE events SET status = 'RUNNING', attempts = attempts + ?, started_at = ?, updated_at = ? WHERE id = ?",
        [(int(counted), core.now(), core.now(), event["id"]) for event in queued],
    )
