"""Vectors from an OpenAI-compatible endpoint: made in the background, compared exactly.

A memory is stored and found by its words at once; its vector follows later. While the endpoint is down, searches use
words only, and `score_breakdown.semantic` is null.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

import httpx

from functions.memory_engine.core import Core
from functions.memory_engine.search import filters
from functions.memory_engine.settings import ModelEndpoint, SettingsError

logger = logging.getLogger(__name__)

BATCH = 64
"""Memories per embedding request."""


class EmbeddingFailed(Exception):
    """The endpoint did not return vectors. The text says what it did."""


def require_numpy() -> Any:
    """Imports numpy, which only an engine with an embedder needs. Raises SettingsError."""
    try:
        import numpy
    except ImportError:
        raise SettingsError(
            "An embedder is configured (POSTERN_MEMORY_EMBEDDER_*), and comparing vectors needs numpy: "
            "install numpy, or unset the embedder to search by words"
        ) from None
    return numpy


def embed(endpoint: ModelEndpoint, texts: list[str]) -> list[Any]:
    """One unit vector (numpy float32) per text. Raises EmbeddingFailed."""
    numpy = require_numpy()
    headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    try:
        response = httpx.post(
            f"{endpoint.base_url.rstrip('/')}/embeddings",
            json={"model": endpoint.model, "input": texts},
            headers=headers,
            timeout=endpoint.timeout_seconds,
        )
        response.raise_for_status()
        items = sorted(response.json()["data"], key=lambda item: item["index"])
        vectors = [numpy.asarray(item["embedding"], dtype=numpy.float32) for item in items]
    except httpx.HTTPStatusError as problem:
        raise EmbeddingFailed(f"the embedder answered {problem.response.status_code}") from None
    except httpx.HTTPError as problem:
        raise EmbeddingFailed(f"the embedder did not answer: {type(problem).__name__}") from None
    except (ValueError, KeyError, TypeError) as problem:
        raise EmbeddingFailed(f"the embedder's answer is not a list of embeddings: {type(problem).__name__}") from None
    if len(vectors) != len(texts):
        raise EmbeddingFailed(f"the embedder answered {len(vectors)} vectors for {len(texts)} texts")
    for vector in vectors:
        if vector.ndim != 1 or (endpoint.dimensions and vector.shape[0] != endpoint.dimensions):
            raise EmbeddingFailed(f"the embedder answered vectors of shape {vector.shape}, not {endpoint.dimensions}")
    return [vector / (float(numpy.linalg.norm(vector)) or 1.0) for vector in vectors]


def of_query(core: Core, query: str) -> Any | None:
    """The query's vector, or None without an embedder or while it is down."""
    endpoint = core.settings.embedder
    if endpoint is None:
        return None
    try:
        return embed(endpoint, [query])[0]
    except EmbeddingFailed as problem:
        logger.warning("searching by words only: %s", problem)
        return None


def nearest(
    core: Core,
    connection: sqlite3.Connection,
    vector: Any,
    condition: filters.Sql,
    *,
    limit: int,
    always: set[int],
) -> dict[int, tuple[int, float]]:
    """Row -> (created_at, cosine similarity) of the nearest memories, and of the rows in `always`.

    The comparison is exact. A negative similarity counts as 0.
    """
    assert core.settings.embedder is not None
    numpy = require_numpy()
    where, values = condition
    found = connection.execute(
        "SELECT v.row, v.vector, m.created_at FROM vectors v JOIN memories m ON m.row = v.row"  # noqa: S608 - compiled
        f" WHERE v.model = ? AND length(v.vector) = ? AND ({where})",
        [core.settings.embedder.model, vector.shape[0] * 4, *values],
    ).fetchall()
    if not found:
        return {}
    matrix = numpy.frombuffer(b"".join(row[1] for row in found), dtype=numpy.float32).reshape(len(found), -1)
    similarities = numpy.clip(matrix @ vector, 0.0, 1.0)
    best = set(numpy.argsort(-similarities)[:limit].tolist())
    return {
        row: (created_at, float(similarities[index]))
        for index, (row, _, created_at) in enumerate(found)
        if index in best or row in always
    }


def embed_missing(core: Core) -> int:
    """Make the vectors of up to BATCH memories that lack one. Returns how many. Raises EmbeddingFailed."""
    endpoint = core.settings.embedder
    if endpoint is None:
        return 0
    with core.database.read() as connection:
        rows = connection.execute(
            "SELECT m.row, m.memory FROM memories m LEFT JOIN vectors v ON v.row = m.row AND v.model = ?"
            " WHERE v.row IS NULL ORDER BY m.row LIMIT ?",
            (endpoint.model, BATCH),
        ).fetchall()
    if not rows:
        return 0
    vectors = embed(endpoint, [row["memory"] for row in rows])

    def change(connection: sqlite3.Connection) -> None:
        for row, vector in zip(rows, vectors, strict=True):
            connection.execute(
                "INSERT OR REPLACE INTO vectors SELECT row, ?, ? FROM memories WHERE row = ? AND memory = ?",
                (endpoint.model, vector.tobytes(), row["row"], row["memory"]),
            )

    core.database.write(change)
    return len(rows)
