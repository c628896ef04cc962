"""The thread that works off the acknowledged events, one after the other, then exports and missing vectors."""

from __future__ import annotations

import logging
import sqlite3

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


class Worker(Background):
    """The thread of the work queue."""

    def __init__(self, core: Core) -> None:
        super().__init__("memory-engine-pipeline", core.work)
        self._core = core
        self._troubled = False

    def _turn(self) -> float:
        core = self._core
        try:
            worked = self.work_next() or exports.work_next(core) or bool(embeddings.embed_missing(core))
            return 0.0 if worked else IDLE_SECONDS
        except embeddings.EmbeddingFailed as problem:
            logger.warning("vectors wait: %s", problem)
            return IDLE_SECONDS
        except Exception:
            logger.exception("the memory pipeline stopped; it continues in %g s", PAUSE_SECONDS)
            return PAUSE_SECONDS

    def work_next(self) -> bool:
        """Work on the oldest unfinished event, or on adds in a row that need no model. Returns False without one."""
        core = self._core
        queued = self._oldest()
        if not queued:
            return False
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
        return rows[: max(1, together if self._core.settings.llm is None else 1)]

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
