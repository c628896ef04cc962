"""How well a search finds: sets of memories with questions, and the figures of what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from functions.memory_engine.engine import Engine
from functions.memory_engine.search import embeddings, filters, ranking
from functions.memory_engine.work import adding

HERE = Path(__file__).parent
DEEPEST = 10
"""Ranks that count."""
THRESHOLD = 0.1
"""The default of the v3 search."""


@dataclass(frozen=True)
class Question:
    """`wanted` are the names of the memories that answer it."""

    text: str
    wanted: tuple[str, ...]


@dataclass(frozen=True)
class Set:
    """The memories of one user by name, oldest first, and questions about them."""

    memories: dict[str, str]
    questions: list[Question]


def read(file: str) -> list[tuple[str, Set]]:
    """Sets by title: `{title: {"memories": [...], "questions": [[question, place, ...], ...]}}`."""
    stored = json.loads((HERE / file).read_text("utf-8"))
    return [
        (
            title,
            Set(
                {str(place): text for place, text in enumerate(one["memories"])},
                [Question(text, tuple(map(str, wanted))) for text, *wanted in one["questions"]],
            ),
        )
        for title, one in stored.items()
    ]


def multilingual() -> list[Set]:
    """One set per language."""
    return [one for _, one in read("multilingual.json")]


def paraphrases() -> Set:
    """Everyday facts, asked for in other words."""
    return read("paraphrases.json")[0][1]


def searched(engine: Engine, sets: Sequence[Set]) -> list[list[int]]:
    """For each question the ranks (from 1) at which its wanted memories were found."""
    found = []
    for number, one in enumerate(sets):
        scope = {"user_id": f"user-{number}"}
        for start in range(0, len(one.memories), 500):
            texts = list(one.memories.values())[start : start + 500]
            body = {"messages": [{"role": "user", "content": text} for text in texts], "infer": False, **scope}
            adding.add_verbatim(engine.core, body)
        while embeddings.embed_missing(engine.core):
            pass
        by_text = {text: name for name, text in one.memories.items()}
        tree = filters.parse(scope)
        for question in one.questions:
            hits = ranking.find(
                engine.core,
                question.text,
                filters.to_sql(tree),
                filters.required_entities(tree),
                top_k=DEEPEST,
                threshold=THRESHOLD,
            ).hits
            found.append(ranks(question, [by_text[hit.row["memory"]] for hit in hits]))
    return found


def ranks(question: Question, listed: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(listed, 1) if name in question.wanted]


def recall(found: Sequence[Sequence[int]], questions: Sequence[Question], depth: int) -> float:
    """The mean share of the wanted memories among the first `depth`."""
    shares = [
        sum(place <= depth for place in places) / len(question.wanted)
        for places, question in zip(found, questions, strict=True)
    ]
    return sum(shares) / len(shares)


def mrr(found: Sequence[Sequence[int]]) -> float:
    """The mean of 1 / rank of the first wanted memory, 0 where none was found."""
    return sum(1 / places[0] if places else 0.0 for places in found) / len(found)


def hits(found: Sequence[Sequence[int]]) -> float:
    """The share of questions for which any wanted memory was found."""
    return sum(bool(places) for places in found) / len(found)
