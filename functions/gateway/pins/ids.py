"""What may be pinned: the one rule for a pin's value, for the management API's contract and for its checks."""

from __future__ import annotations

from functions.gateway.json_text import Json

MAX_CHARS = 256
"""Characters of an id that a server can be pinned to; upstreams keep their ids in columns of at most 255."""

WILDCARD = "*"
"""Upstreams read it as "every entity", which is the opposite of a pin."""

RULE = f'a pin is the id of one entity: 1 to {MAX_CHARS} printable characters, not the wildcard "{WILDCARD}"'


def problem(value: Json) -> str | None:
    """Why `value` cannot be a pin, and what can; None when it can."""
    if not isinstance(value, str):
        return f"it must be a string; {RULE}"
    if len(value) > MAX_CHARS:
        return f"it has {len(value)} characters; {RULE}"
    if not value.strip():
        return f"it is empty; {RULE}"
    if value == WILDCARD:
        return RULE
    if not value.isprintable():
        return f"it holds a character that cannot be printed; {RULE}"
    return None
