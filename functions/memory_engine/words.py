"""Words: how text is cut, stemmed and compared. Pure, except that SQLite's own tokenizer does the stemming."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

TOKENIZER = "porter unicode61 remove_diacritics 2"
"""FTS5's own: Unicode words, without accents, Porter-stemmed."""

_WORD = re.compile(r"[^\W_]+")
_SPELLED = re.compile(r"[^\W\d_]{4,24}")
# Scripts without spaces: every character is a word, because otherwise a whole sentence would be one.
_UNSPACED = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")

# fmt: off
STOP_WORDS = frozenset((
    "a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "being", "both", "but", "by", "can", "could", "did", "do", "does", "doing", "done", "for",
    "from", "further", "get", "had", "has", "have", "having", "he", "her", "here", "hers", "him", "his", "how",
    "i", "if", "in", "into", "is", "it", "its", "just", "me", "might", "more", "most", "must", "my", "no", "nor",
    "not", "now", "of", "off", "on", "once", "only", "or", "other", "our", "ours", "out", "over", "own", "please",
    "same", "shall", "she", "should", "so", "some", "such", "tell", "than", "that", "the", "their", "theirs",
    "them", "then", "there", "these", "they", "this", "those", "through", "to", "too", "under", "until", "up",
    "very", "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why", "will",
    "with", "would", "you", "your", "yours", "s", "t", "ve", "ll", "d", "m", "re", "don", "isn", "doesn", "didn",
    "wasn", "aren",
))
# fmt: on


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


def segmented(text: str | None) -> str | None:
    """The text with a space on each side of the characters of scripts without spaces."""
    if text is None or text.isascii():
        return text
    return _UNSPACED.sub(r" \1 ", text)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, in order. Accents stay; the tokenizer removes them by its own rules."""
    return _WORD.findall((segmented(text) or "").lower())


def content_words(text: str) -> list[str]:
    """The distinct words without stop words, in order. Returns all words when every one is a stop word."""
    words = dict.fromkeys(words_of(text))
    return [word for word in words if word not in STOP_WORDS] or list(words)


def spelled_words(text: str) -> set[str]:
    """The words that a typing error may be corrected to: 4 to 24 letters, and nothing else."""
    return set(_SPELLED.findall(text.lower()))


def variants(word: str) -> Iterator[str]:
    """The word, and the word without each one of its letters. Two words one edit apart share at least one of these."""
    yield word
    for position in range(len(word)):
        yield word[:position] + word[position + 1 :]


def distance(first: str, second: str, limit: int) -> int:
    """Edits between two words: insert, delete, replace, or swap two neighbours. Stops counting past `limit`."""
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    before: list[int] = []
    last = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row = [i]
        for j, b in enumerate(second, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, last = last, row
    return last[-1]


class _Stemmer:
    """SQLite's tokenizer for one word at a time, so that scoring and index use equal stems."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.execute(f"CREATE VIRTUAL TABLE w USING fts5(word, tokenize='{TOKENIZER}')")
        self._connection.execute("CREATE VIRTUAL TABLE t USING fts5vocab(w, 'row')")

    def stem(self, word: str) -> str:
        with self._lock:
            self._connection.execute("INSERT INTO w (rowid, word) VALUES (1, ?)", (word,))
            found = self._connection.execute("SELECT term FROM t LIMIT 1").fetchone()
            self._connection.execute("DELETE FROM w WHERE rowid = 1")
        return str(found[0]) if found else word


@lru_cache(maxsize=1)
def _stemmer() -> _Stemmer:
    return _Stemmer()


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of one word in lower case, without accents: "running" and "runs" become "run"."""
    return _stemmer().stem(word)


def stems_of(text: str) -> frozenset[str]:
    """The stems of a text's words, without stop words."""
    return frozenset(stem(word) for word in content_words(text))
