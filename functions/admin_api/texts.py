"""An answer that is not JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Text:
    """A text of this media type, with headers of its own."""

    content: str
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
