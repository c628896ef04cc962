"""Words: how text is cut into index terms. One analyzer serves the index, queries and every comparison of words.

Text is folded first: NFKC, case folding, no accents or vowel points where a script can do without them. Then each
script is cut in its own way. Latin words are Porter-stemmed by SQLite's own tokenizer. Chinese, Japanese, Korean and
Thai are cut into overlapping pairs, Arabic words lose their article, Hebrew words are indexed without their prefix too.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

# fmt: off
STOP_WORDS = frozenset((
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but", "by", "can", "could",
    "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "is", "it",
    "its", "me", "my", "no", "not", "of", "on", "or", "our", "please", "s", "she", "so", "t", "tell", "that", "the",
    "their", "them", "there", "they", "this", "to", "was", "we", "were", "what", "when", "where", "which", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your", "d", "ll", "m", "re", "ve", "don", "doesn",
    "didn", "isn", "aren", "wasn",
))
# fmt: on

_FOLDED = str.maketrans(
    {
        **dict.fromkeys("æǽ", "ae"), "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h",
        **dict.fromkeys("أإآٱ", "ا"), "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ـ": "", "ک": "ك", "ی": "ي",
        **dict(zip("ךםןףץ", "כמנפצ", strict=True)),
    }
)  # fmt: skip
# Marks that readers do without: accents of Latin, Greek and Cyrillic, Hebrew points, Arabic vowels. The vowel signs of
# Indic scripts and of Thai are letters, and stay.
_DROPPED_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]+")
_MARKS = "".join(chr(c) for c in range(0x0300, 0x1DFF) if unicodedata.category(chr(c)) in ("Mn", "Mc"))


def _letters(*ranges: tuple[int, int]) -> str:
    """The letters, marks and digits of some ranges, for use in a character class."""
    characters = (chr(code) for first, last in ranges for code in range(first, last + 1))
    return "".join(character for character in characters if unicodedata.category(character)[0] in "LMN")


_HAN = "\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_HIRAGANA, _KATAKANA = _letters((0x3040, 0x309F)), _letters((0x30A0, 0x30FF))
_THAI = _letters((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))
_TOKEN = re.compile(
    f"(?P<cjk>[{_HAN}{_HIRAGANA}{_KATAKANA}]+)"
    f"|(?P<thai>[{_THAI}]+)"
    "|(?P<hangul>[\uac00-\ud7a3]+)"
    "|(?P<arabic>[\u0620-\u064a\u0671-\u06d3]+)"
    "|(?P<hebrew>[\u05d0-\u05ea]+)"
    "|(?P<phone>\\+?[0-9]+(?:[ ./()-]{1,2}[0-9]+)+)"
    f"|(?P<word>(?:(?![{_HAN}{_HIRAGANA}{_KATAKANA}{_THAI}\uac00-\ud7a3])[^\\W_]|[{_MARKS}])+(?:[+#]+(?![^\\W_]))?)"
    "|(?P<symbol>[\u2190-\u2bff\U0001f000-\U0001faff])"
)
_HUMP = re.compile("(?<=[a-z0-9])(?=[A-Z])")
_CLUSTER = re.compile(f".[{_MARKS}]*", re.DOTALL)
_HIRAGANA_IN = re.compile(f"[{_HIRAGANA}]")
_JOSA = re.compile("(?<=..)(?:에서|에게|으로|까지|부터|하고|이나|은|는|이|가|을|를|에|의|도|로|와|과|만)$")
_ARABIC_PREFIX = re.compile("^(?:[وفبك]?ال|لل)(?=...)")
_ARABIC_SUFFIX = re.compile("(?<=...)(?:ها|ان|ات|ون|ين|يه|ه|ي)$")
_HEBREW_PREFIX = re.compile("^(?:[ושמכ]?ה|[ולבכמש])(?=..)")
MIN_PHONE_DIGITS = 7
"""Digits that groups of digits must have together to be one number, e.g. a telephone number."""

MAX_SIGNED_LETTERS = 2
"""Letters of a name that ends in signs, e.g. C++, C#, A+. Behind a longer word the signs say nothing."""


@dataclass(frozen=True)
class Word:
    """One word of a text. A memory is indexed by `term` and `others`; a query asks for `term`.

    `spelled` is the folded word, for beginnings and typing errors; empty where they make no sense. A `weak` word says
    little by itself: one character of a script without spaces, or a pair with a grammatical one.
    """

    term: str
    others: tuple[str, ...] = ()
    spelled: str = ""
    weak: bool = False


def fold(text: str) -> str:
    """The text without differences of case, width, accents, vowel points and variants of a letter."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_FOLDED)
    return unicodedata.normalize("NFC", _DROPPED_MARKS.sub("", unicodedata.normalize("NFD", plain)))


def cut(text: str) -> list[Word]:
    """The words of a text, in order."""
    if not _HUMP.search(text):
        return _cut_folded(fold(text))
    whole = " ".join(word for word in re.findall(r"[^\W_]+[+#]*", text) if _HUMP.search(word))
    return [*_cut_folded(fold(_HUMP.sub(" ", text))), *_cut_folded(fold(whole))]


def _cut_folded(text: str) -> list[Word]:
    return [word for match in _TOKEN.finditer(text) for word in _CUT[match.lastgroup or ""](match[0])]


def index_terms(text: str) -> list[str]:
    """The terms a memory is found by, in order, with repeats."""
    return [term for word in cut(text) for term in (word.term, *word.others)]


def content_words(text: str) -> list[Word]:
    """The distinct words of a query without stop words. Returns all words when every one is a stop word."""
    found = list({word.term: word for word in cut(text)}.values())
    return [word for word in found if word.spelled not in STOP_WORDS] or found


def _plain(text: str) -> list[Word]:
    letters = text.rstrip("+#")
    if letters != text and len(letters) <= MAX_SIGNED_LETTERS:
        return [Word(text.replace("+", "plus").replace("#", "sharp"), spelled=text)]
    return [Word(stem(letters), spelled=letters)]


def _phone(text: str) -> list[Word]:
    groups = re.findall("[0-9]+", text)
    words = [Word(group, spelled=group) for group in groups]
    whole = "".join(groups)
    return [*words, Word(whole, spelled=whole)] if len(whole) >= MIN_PHONE_DIGITS else words


def _cjk(text: str) -> list[Word]:
    pairs = [text[place : place + 2] for place in range(len(text) - 1)]
    return [
        *(Word(pair, weak=bool(_HIRAGANA_IN.search(pair))) for pair in pairs),
        *(Word(character, weak=True) for character in text),
    ]


def _thai(text: str) -> list[Word]:
    clusters = _CLUSTER.findall(text)
    if len(clusters) < 2:
        return [Word(text)]
    return [Word(clusters[place] + clusters[place + 1]) for place in range(len(clusters) - 1)]


def _hangul(text: str) -> list[Word]:
    noun = _JOSA.sub("", text)
    if len(noun) <= 2:
        return [Word(noun, () if noun == text else (text,), spelled=noun)]
    pairs = [Word(noun[place : place + 2]) for place in range(len(noun) - 1)]
    return [Word(noun, () if noun == text else (text,), spelled=noun), *pairs]


def _arabic(text: str) -> list[Word]:
    bare = _ARABIC_SUFFIX.sub("", _ARABIC_PREFIX.sub("", text))
    return [Word(bare, spelled=bare)]


def _hebrew(text: str) -> list[Word]:
    bare = _HEBREW_PREFIX.sub("", text)
    return [Word(text, () if bare == text else (bare,), spelled=text)]


def _symbol(text: str) -> list[Word]:
    return [Word(f"u{ord(text):x}")]


_CUT = {
    "cjk": _cjk,
    "thai": _thai,
    "hangul": _hangul,
    "arabic": _arabic,
    "hebrew": _hebrew,
    "phone": _phone,
    "word": _plain,
    "symbol": _symbol,
}

# Comparing


def stems_of(text: str) -> frozenset[str]:
    """The terms of a text's words, without stop words."""
    return frozenset(word.term for word in content_words(text))


def variants(word: str) -> Iterator[str]:
    """The word, and the word without each one of its letters. Two words one edit apart share at least one of these."""
    yield word
    for position in range(len(word)):
        yield word[:position] + word[position + 1 :]


def undoubled(word: str) -> str:
    """The word with each run of one letter as a single letter."""
    return re.sub(r"(.)\1+", r"\1", word)


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


# Stemming


class _Stemmer:
    """SQLite's Porter stemmer, for one word at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.execute("CREATE VIRTUAL TABLE w USING fts5(word, tokenize='porter ascii')")
        self._connection.execute("CREATE VIRTUAL TABLE t USING fts5vocab(w, 'row')")

    def stem(self, word: str) -> str:
        with self._lock:
            self._connection.execute("INSERT INTO w (rowid, word) VALUES (1, ?)", (word,))
            found = self._connection.execute("SELECT term FROM t LIMIT 1").fetchone()
            self._connection.execute("DELETE FROM w WHERE rowid = 1")
        return str(found[0])


@lru_cache(maxsize=1)
def _stemmer() -> _Stemmer:
    return _Stemmer()


@lru_cache(maxsize=1)
def _irregular() -> dict[str, str]:
    lines = resources.files(__package__).joinpath("irregular.txt").read_text("utf-8").splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {form: base for base, *forms in rows for form in forms}


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of one folded word: "running", "runs" and "ran" become "run". Only Latin words change."""
    return _stemmer().stem(_irregular().get(word, word)) if word.isascii() and word.isalpha() else word
