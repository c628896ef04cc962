"""The report of an import, as data and as lines for a person."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tool_catalog.yaml_source import Problem

SHOWN = 20
"""Entries listed of each kind. The rest is counted; the files and the compiler show all of them. Methods that were left
out stand nowhere else, so all of them are listed."""


MORE_SHOWN = 40
"""Problems listed. There are more of them than of other entries, because a person has to work on them."""


@dataclass(slots=True)
class Report:
    """Counts and findings of one import. Each finding starts with the name of its file.

    `operations`  operations that were asked for; `skipped` holds those that no tool can be made of, with the reason.
    `methods`     methods in the records that come from the source; `passed` of them pass the gate.
    `left_out`    methods that were not written because they do not pass the gate.
    `guesses`     how often each key was guessed; `cuts` holds what was cut short, and why.
    `changed`, `kept`, `removed`, `absent`  see `merge.Merged`.
    """

    integration: str
    first: bool
    operations: int = 0
    resources: int = 0
    methods: int = 0
    passed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    guesses: Counter[str] = field(default_factory=Counter)
    cuts: list[tuple[str, str]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The report for a terminal."""
        yield (
            f"{self.integration}: {_count(self.operations, 'operation')} read; {_count(self.methods, 'method')} of "
            f"{_count(self.resources, 'resource')}, {self.passed} pass the gate; "
            f"{_count(len(self.written), 'file')} written"
        )
        reasons: dict[str, list[str]] = defaultdict(list)
        for key, reason in self.skipped:
            reasons[reason].append(key)
        for reason, keys in reasons.items():
            yield f"no tool for {_few(keys)}: {reason}"
        if self.guesses:
            told = ", ".join(f"{key} {count}" for key, count in sorted(self.guesses.items()))
            yield f'guessed, look for "# guessed" in the files: {told}'
        yield from _section("cut", [f"{where}: {why}" for where, why in dict.fromkeys(self.cuts)])
        yield from _section("left out, because they do not pass the gate", self.left_out, shown=len(self.left_out))
        if not self.first:
            yield from _section("follows the source", self.changed)
            yield from _section("changed by hand and in the source; your version stays", self.kept)
            yield from _section(
                "gone from the source or deprecated, but still in your file; delete what you do not want", self.removed
            )
            yield from _section("in the source, but removed by hand; it is not added again", self.absent)
        yield from self._to_write()

    def _to_write(self) -> Iterator[str]:
        """At most MORE_SHOWN problems of the gate. If there are more, also a count of each kind."""
        if not self.problems:
            return
        yield "write these before the records compile:"
        yield from (f"  {problem}" for problem in self.problems[:MORE_SHOWN])
        if len(self.problems) <= MORE_SHOWN:
            return
        kinds = Counter(_kind(problem) for problem in self.problems)
        yield f"  ... and {len(self.problems) - MORE_SHOWN} more; `tool-catalog compile` lists all of them. By kind:"
        yield from (f"  {count:7,}  {kind}" for kind, count in kinds.most_common())


def _kind(problem: Problem) -> str:
    """A problem without its place and its figures."""
    message = re.sub(r"^[\w.$/\[\]<>-]+: ", "", problem.message)
    return re.sub(r'\d+|"[^"]*"', "...", message) if not message.startswith("missing") else message


def _section(title: str, entries: list[str], shown: int = SHOWN) -> Iterator[str]:
    if entries:
        yield f"{title}:"
        yield from (f"  {entry}" for entry in entries[:shown])
        if len(entries) > shown:
            yield f"  ... and {len(entries) - shown} more"


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
