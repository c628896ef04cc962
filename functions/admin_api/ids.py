"""Ids of accounts, servers and API tokens: what one may look like, and how one is made."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Ids of accounts, servers and API tokens."""


def new_id(prefix: str, random: Callable[[int], bytes]) -> str:
    """A short id: `prefix_` and 16 lower-case base32 characters, 80 random bits."""
    return f"{prefix}_{base64.b32encode(random(10)).decode().lower()}"
