"""One engine: its file, its clock and ids, its two threads."""

from __future__ import annotations

import uuid
from typing import Any

from . import embeddings, organizations, pipeline, times, webhooks
from .database import Database
from .settings import EngineSettings


class Engine:
    """Opens the file at once (DatabaseUnavailable); works in the background between `start` and `stop`.

    Without `start`, adds are acknowledged and wait. `close` stops and closes for good.
    """

    def __init__(self, settings: EngineSettings) -> None:
        if settings.embedder is not None:
            embeddings.require_numpy()
        self.settings = settings
        self.database = Database(settings.path, settings.busy_timeout_seconds)
        self.worker = pipeline.Worker(self)
        self.deliverer = webhooks.Deliverer(self)
        organizations.ensure_defaults(self)

    def start(self) -> None:
        """Begin, or go on, with what was acknowledged. Starting twice is starting once."""
        self.worker.start()
        self.deliverer.start()

    def stop(self) -> None:
        """End the background work after the piece at hand."""
        self.worker.stop()
        self.deliverer.stop()

    def close(self) -> None:
        self.stop()
        self.database.close()

    def wake(self) -> None:
        """There is new work."""
        self.worker.wake()

    def now(self) -> int:
        """The present, in stored microseconds."""
        return times.microseconds(self.settings.clock())

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(bytes=self.settings.random_bytes(16), version=4))

    def project_options(self) -> dict[str, Any]:
        """The settings of the key's project."""
        with self.database.read() as connection:
            return organizations.options(self, connection)
