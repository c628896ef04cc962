"""Whether a text shows anything, and whether two texts are the same but for their form."""

from __future__ import annotations

import hashlib
import unicodedata

_INVISIBLE = ("Cc", "Cf", "Cs", "Mn", "Zl", "Zp", "Zs")
# Letters and symbols that are drawn as nothing: the Hangul fillers, two Khmer vowels, the empty Braille cell.
_DRAWN_AS_NOTHING = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_PLAIN = str.maketrans(
    {**dict.fromkeys("‘’‚‛ʼ`´", "'"), **dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("‐‑‒–—―−", "-")}
)
_CLOSING = " .!。"


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: spaces, control and zero-width characters, or marks without a letter."""
    return all(unicodedata.category(c) in _INVISIBLE or c in _DRAWN_AS_NOTHING for c in text)


def sameness(text: str) -> bytes:
    """Equal for texts that differ only in case, spaces, invisible characters, quotes, dashes or the closing full stop.

    The order of the words counts, and so does every word and every number.
    """
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold()).translate(_PLAIN)
    shown = "".join(c for c in plain if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf"))
    return hashlib.blake2b(" ".join(shown.split()).rstrip(_CLOSING).encode(), digest_size=16).digest()
