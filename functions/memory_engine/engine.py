"""One engine: its core, and the two threads that work in the background."""

from __future__ import annotations

from functions.memory_engine.core import Core
from functions.memory_engine.search import embeddings
from functions.memory_engine.settings import EngineSettings
from functions.memory_engine.storage.database import Database
from functions.memory_engine.work import project
from functions.memory_engine.work.deliveries import Deliverer
from functions.memory_engine.work.worker import Worker


class Engine:
    """Opens the file at once (DatabaseUnavailable). Works in the background between `start` and `stop`.

    Without `start`, adds are acknowledged and wait. `close` stops the background work and closes the file for good.
    """

    def __init__(self, settings: EngineSettings) -> None:
        if settings.embedder is not None:
            embeddings.require(settings.embedder)
        self.core = Core(settings, Database(settings.path, settings.busy_timeout_seconds))
        self.worker = Worker(self.core)
        self.deliverer = Deliverer(self.core)
        project.ensure_defaults(self.core)

    def start(self) -> None:
        """Begin or continue the acknowledged work. A second start changes nothing."""
        self.worker.start()
        self.deliverer.start()

    def stop(self) -> None:
        """Stop the background work after the current piece."""
        self.worker.stop()
        self.deliverer.stop()

    def close(self) -> None:
        self.stop()
        self.core.database.close()
