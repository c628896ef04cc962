"""Ids of accounts, servers and API tokens: what an id may look like, and how a new one is made."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Ids of accounts, servers and API tokens."""

ID_RULE = "an id has 1 to 64 letters, digits, - and _, and starts with a letter or a digit"
"""ID in words."""


def new_id(prefix: str, random: Callable[[int], bytes]) -> str:
    """A short id: `prefix_` and 16 lower-case base32 characters, 80 random bits."""
    return f"{prefix}_{base64.b32encode(random(10)).decode().lower()}"
