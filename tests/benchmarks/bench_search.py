"""Retrieval, measured: which share of the wanted memories a search returns, and how high the first one ranks.

    python -m tests.benchmarks.bench_search [--locomo locomo10.zip]

Runs the sets in `tests/memory_engine/search/`, and LoCoMo (snap-research/locomo, CC BY-NC 4.0, not part of this
repository) from the path given. Each turn of LoCoMo is one memory, with one user per conversation. Of each
conversation every third question with evidence counts, category 5 left out. The baselines are plain SQLite FTS5 with
porter stemming, and rank_bm25 (BM25Okapi), both without 60 stop words and with one index per conversation. With the
packaged model (`make embedder`) the engine is measured with it too.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from functions.memory_engine.engine import Engine
from functions.memory_engine.search import embeddings, minilm
from functions.memory_engine.settings import EngineSettings, PackagedModel
from tests.memory_engine.search import measure
from tests.memory_engine.search.measure import Question, Set

DEEPEST = 10
"""Ranks that count."""

# fmt: off
BASELINE_STOP_WORDS = frozenset((
    "a", "an", "the", "is", "are", "was", "were", "be", "been", "do", "does", "did", "has", "have", "had", "of", "to",
    "in", "on", "at", "for", "with", "by", "from", "as", "and", "or", "not", "no", "it", "its", "this", "that", "he",
    "she", "they", "his", "her", "their", "i", "you", "we", "my", "your", "what", "which", "who", "whom", "when",
    "where", "why", "how", "s", "t", "will", "would", "can", "could", "so", "if", "about",
))
# fmt: on


def locomo(path: Path) -> list[Set]:
    """One set per conversation."""
    sets = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".json")):
            talk = json.loads(archive.read(name))
            memories: dict[str, str] = {}
            for key in sorted((k for k in talk if re.fullmatch(r"session_\d+", k)), key=lambda k: int(k[8:])):
                for turn in talk[key]:
                    shared = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
                    memories[turn["dia_id"]] = f"{turn['speaker']}: {turn['text']}{shared}"
            questions, taken = [], 0
            for asked in talk["qa"]:
                evidence = [one for text in asked.get("evidence", []) for one in re.findall(r"D\d+:\d+", text)]
                evidence = [one for one in dict.fromkeys(evidence) if one in memories]
                if asked["category"] == 5 or not evidence:
                    continue
                if taken % 3 == 0:
                    questions.append(Question(asked["question"], tuple(evidence)))
                taken += 1
            sets.append(Set(memories, questions))
    return sets


def content_words(text: str) -> list[str]:
    """The words of a text without stop words; all of them where each is one."""
    words: list[str] = re.findall(r"\w+", text.lower())
    return [word for word in words if word not in BASELINE_STOP_WORDS] or words


def rank_bm25(texts: Sequence[str]) -> Callable[[str], list[int]]:
    """Search by the package rank_bm25, with its own constants."""
    from rank_bm25 import BM25Okapi

    ranking = BM25Okapi([content_words(text) for text in texts])

    def search(query: str) -> list[int]:
        scores = ranking.get_scores(content_words(query)).tolist()
        best = sorted(range(len(texts)), key=lambda place: -scores[place])[:DEEPEST]
        return [place for place in best if scores[place] > 0]

    return search


def plain_fts5(texts: Sequence[str]) -> Callable[[str], list[int]]:
    """Search by FTS5's own ranking: an OR of the query's words, stop words left out."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(text, tokenize='porter unicode61')")
    connection.executemany("INSERT INTO t VALUES (?)", [(text,) for text in texts])

    def search(query: str) -> list[int]:
        expression = " OR ".join(f'"{word}"' for word in content_words(query))
        rows = connection.execute(
            "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT ?", (expression, DEEPEST)
        ).fetchall()
        return [row[0] - 1 for row in rows]

    return search


def baseline(sets: Iterable[Set], index: Callable[[Sequence[str]], Callable[[str], list[int]]]) -> list[list[int]]:
    """For each question the ranks at which its wanted memories were found."""
    found = []
    for one in sets:
        search, names = index(list(one.memories.values())), list(one.memories)
        for question in one.questions:
            listed = [names[place] for place in search(question.text)] if re.search(r"\w", question.text) else []
            found.append(measure.ranks(question, listed))
    return found


def engine(sets: list[Set], settings: EngineSettings) -> list[list[int]]:
    """The engine's search, one user per set."""
    running = Engine(settings)
    try:
        return measure.searched(running, sets)
    finally:
        running.close()


def table(title: str, rows: dict[str, tuple[list[list[int]], list[Question]]]) -> None:
    print(f"\n{title}\n  {'':<28}{'recall@5':>10}{'recall@10':>11}{'MRR@10':>9}{'hit@10':>9}")
    for name, (found, questions) in rows.items():
        at5, at10 = measure.recall(found, questions, 5), measure.recall(found, questions, 10)
        print(f"  {name:<28}{at5:>10.3f}{at10:>11.3f}{measure.mrr(found):>9.3f}{measure.hits(found):>9.3f}")


def run(path: Path | None = None) -> None:
    """Print a table per set."""
    named = {"multilingual": measure.multilingual(), "everyday paraphrases": [measure.paraphrases()]}
    if path is not None:
        named["LoCoMo"] = locomo(path)
    engines = {"the engine, no key": EngineSettings()}
    embeddings.require_numpy()  # first, because numpy reads its number of threads when it is imported
    if minilm.folder() is None:
        print("The packaged model is not installed, so it is not measured; `make embedder` installs it.")
    else:
        engines["the engine, packaged model"] = EngineSettings(embedder=PackagedModel())
    for name, sets in named.items():
        questions = [question for one in sets for question in one.questions]
        found = {"FTS5, porter": baseline(sets, plain_fts5), "rank_bm25": baseline(sets, rank_bm25)}
        spent = ""
        for title, settings in engines.items():
            begun = time.perf_counter()
            found[title] = engine(sets, settings)
            spent += f", {title} {time.perf_counter() - begun:.1f} s"
        table(
            f"{name}: {sum(len(one.memories) for one in sets)} memories, {len(questions)} questions{spent}",
            {title: (ranks, questions) for title, ranks in found.items()},
        )
    by_language(measure.read("multilingual.json"), engines)


def by_language(titled: list[tuple[str, Set]], engines: dict[str, EngineSettings]) -> None:
    """Print recall@5 of each language."""
    sets = [one for _, one in titled]
    columns = {"FTS5": baseline(sets, plain_fts5), "rank_bm25": baseline(sets, rank_bm25)}
    columns |= {title.removeprefix("the engine, "): engine(sets, settings) for title, settings in engines.items()}
    print(f"\nrecall@5 by language\n  {'':<14}{'questions':>10}" + "".join(f"{name:>16}" for name in columns))
    begin = 0
    for title, one in titled:
        part = slice(begin, begin := begin + len(one.questions))
        shares = [measure.recall(found[part], one.questions, 5) for found in columns.values()]
        print(f"  {title:<14}{len(one.questions):>10}" + "".join(f"{share:>16.2f}" for share in shares))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--locomo", type=Path)
    run(options.parse_args().locomo)
