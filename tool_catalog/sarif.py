"""The problems of a check as a SARIF 2.1.0 log, which code-scanning services show beside the line they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from tool_catalog.catalog import Json
from tool_catalog.yaml_source import Problem

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

ROOT = "%SRCROOT%"
"""What stands for the folder that the check ran in; a service puts the root of its checkout there."""

RULES = {
    "record": "A documentation record does not pass the gate, so no tool is made of it.",
    "stale": "A compiled catalogue differs from its records; `tool-catalog compile` writes it.",
}
"""Id of each rule -> what a result of it means."""


def log(problems: Iterable[tuple[Path, Problem]], stale: Mapping[Path, Iterable[str]], base: Path) -> Json:
    """The log of one check. A problem comes with the folder that its file is named from; `stale` maps a compiled file
    to how it differs. Files in `base` are named from there."""
    results = [
        _result("record", problem.message, folder / problem.file, base, problem.line) for folder, problem in problems
    ]
    results += [
        _result("stale", f"stale; run `tool-catalog compile`: {'; '.join(lines)}", path, base, 0)
        for path, lines in stale.items()
    ]
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in RULES.items()]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "tool-catalog", "rules": rules}},
                "originalUriBaseIds": {ROOT: {"uri": f"{base.resolve().as_uri().rstrip('/')}/"}},
                "results": results,
            }
        ],
    }


def _result(rule: str, message: str, path: Path, base: Path, line: int) -> Json:
    """One result; line 0 stands for the whole file."""
    try:
        place: Json = {"uri": quote(path.resolve().relative_to(base.resolve()).as_posix()), "uriBaseId": ROOT}
    except ValueError:
        place = {"uri": path.resolve().as_uri()}
    physical: Json = {"artifactLocation": place}
    if line:
        physical["region"] = {"startLine": line}
    return {
        "ruleId": rule,
        "ruleIndex": list(RULES).index(rule),
        "level": "error",
        "message": {"text": message},
        "locations": [{"physicalLocation": physical}],
    }
