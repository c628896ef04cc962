"""No secret in a report: what a failed test shows of a URL or an API token has stars in its place.

A test that fails with the URL in an assertion, in an exception of an HTTP client, in a local variable or in its output
would show it to everybody who may read the log of a pipeline.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

STARS = "***"

PART = 12
"""Characters of a secret in a row that are redacted. pytest cuts long values, and 11 of 43 characters open nothing."""


def parts(secret: str) -> set[str]:
    """Every part of the secret that no report may show."""
    return {secret[at : at + PART] for at in range(len(secret) - PART + 1)}


def redacted(text: str, hidden: AbstractSet[str]) -> str:
    """The text with stars in place of the hidden parts."""
    shown, end = "", 0
    for at in range(len(text) - PART + 1):
        if text[at : at + PART] in hidden:
            if at > end or end == 0:
                shown += text[end:at] + STARS
            end = at + PART
    return shown + text[end:]


def clean(report: Any, hidden: AbstractSet[str]) -> None:
    """Redact what a report of pytest shows: the failure with its lines and variables, and the captured output."""
    report.longrepr = _clean(report.longrepr, hidden, set())
    report.sections = _clean(report.sections, hidden, set())


def _clean(value: Any, hidden: AbstractSet[str], seen: set[int]) -> Any:
    if isinstance(value, str):
        return redacted(value, hidden)
    if isinstance(value, list | tuple):
        return type(value)(_clean(entry, hidden, seen) for entry in value)
    if type(value).__module__.startswith("_pytest.") and hasattr(value, "__dict__") and id(value) not in seen:
        seen.add(id(value))
        for name, entry in vars(value).items():
            setattr(value, name, _clean(entry, hidden, seen))
    return value
