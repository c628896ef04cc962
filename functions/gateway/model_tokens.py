"""How many tokens a text costs a language model: an estimate by classes of characters, without a vocabulary.

The measure is o200k_base, the encoding of OpenAI's models since GPT-4o. It parts a text into words, groups of at most
three digits, runs of signs and runs of spaces, and no token reaches over two of these parts. Only the tokens inside a
word are estimated, by its pairs of letters. A vocabulary of 200,000 entries would be exact, but reading it takes longer
than a call.

The tests compare both estimates with true counts of JSON, prose in many languages, code, ids and random letters. A few
characters of a rare script can cost more than `at_most` says of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from math import ceil

from functions.gateway.json_text import Json, text

_FREQUENT = (
    *("abcdfgklmnprstvwyz", "bely", "cehklort", "de", "edlmnrstx", "ffo", "ge", "haeo", "ibcdefgjklmnoprstvxz", "je"),
    *("ldey", "mbe", "ndegst", "obcdfgklmnoprstuvw", "pelorst", "qu", "reosy", "sehst", "thr", "ubdelmnprst", "ve"),
    *("weh", "xt"),
)
"""A letter, then the letters that follow it inside one token at least 19 times of 20."""

_RARE = (
    *("aeoq", "bcdfgkmnpqtvwxz", "cbdfgjnqsvwx", "dcfgjkmnqtvwxz", "ejou", "fbcghjkmpqvwyz", "gcdfjkmpqtvwxz"),
    *("hbcdfghjkmnpqsvwxz", "iiquw", "jbcdfghijklmnpqrtvwxyz", "kbcdfgjlmpqvxz", "lbcfghjkmnqrvwxz", "mcfghjknqrtvwxz"),
    *("njmqrwxz", "oeqz", "pbcfgjkmnqvwxz", "qabcdefghijkmnoprstvwxyz", "rbfhjlpqwxz", "sbdfjnqrvxz", "tbfgjklmnqvwxz"),
    *("uhoquw", "vbcdfghjklmnpqrtuvwxyz", "wbcdfgjklmpqtuvxz", "xbcdfghjklmnoqrsuvwz", "ybcfghijkqruvwxyz"),
    "zbcdfghijklmopqrstvwx",
)
"""A letter, then the letters that belong to another token at least 7 times of 20."""

_INSIDE = {
    **{(row[0], follower): "frequent" for row in _FREQUENT for follower in row[1:]},
    **{(row[0], follower): "rare" for row in _RARE for follower in row[1:]},
}
"""The class of the second letter of a pair; "common" for any other pair."""

_AT_MOST = {"first": 1.0, "frequent": 0.1, "common": 0.4, "rare": 0.95, "capital": 0.7, "blanks": 0.05, "counted": 1.0}
"""Tokens that begin with a letter of a class: more than in any of the sample texts."""

_ABOUT = {"first": 1.05, "frequent": 0.0, "common": 0.0, "rare": 0.48, "capital": 0.0, "blanks": 0.05, "counted": 0.66}
"""The same, fitted to JSON schemas and English descriptions: their words are mostly one token."""

_COUNTED = re.compile(r'[0-9]{1,3}|":[\[{]?"?|"?\},\{"|","|\\"|\\n|://|[!-/:-@\[-`{-~]')
"""Groups of digits, and signs: those that stand together in JSON are one token."""

_SCRIPTS = {
    **{0x400: 0.95, 0x530: 0.6, 0x590: 1.3, 0x700: 0.75, 0x900: 1.3, 0xE80: 0.9, 0x1E00: 3.0, 0x1F00: 0.95},
    **{0x2000: 3.0, 0x3040: 1.5, 0xD7B0: 1.3},
}
"""Tokens of a letter or sign that is not ASCII, below a code point: e.g. 0.6 of a Cyrillic letter and 1.3 of a Chinese
one; 3.0 of any other, e.g. of an emoji."""


def at_most(source: str) -> int:
    """An upper bound of the tokens of a text: 1.2 times the true number for ids, and 1.7 times for English prose."""
    return _estimate(source, _AT_MOST)


def about(source: str) -> int:
    """The tokens of JSON with English texts, e.g. of a tool's definition, to within a tenth; other texts have more."""
    return _estimate(source, _ABOUT)


def of_tool(definition: Mapping[str, Json]) -> int:
    """About what a tool costs a model: its name, its description and its input schema, which model APIs pass on."""
    return about(text({key: definition[key] for key in ("name", "description", "inputSchema")}))


def _estimate(source: str, tokens: dict[str, float]) -> int:
    found = len(_COUNTED.findall(source)) * tokens["counted"]
    for (before, letter), times in Counter(zip(" " + source, source, strict=False)).items():
        if letter > "\x7f":
            code = ord(letter)
            found += times * next((each for below, each in _SCRIPTS.items() if code < below), 3.0)
        elif (kind := _kind(before, letter)) is not None:
            found += times * tokens[kind]
    return ceil(found)


def _kind(before: str, letter: str) -> str | None:
    """The class of an ASCII letter or space after another character; None for what begins no token or is counted."""
    if "a" <= letter <= "z":
        return _INSIDE.get((before.lower(), letter), "common") if before.isalpha() else "first"
    if "A" <= letter <= "Z":
        return "capital" if "A" <= before <= "Z" else "first"
    if letter.isspace():
        return "blanks" if before == letter else "first" if letter != " " or before.isspace() else None
    return "first" if before.isspace() and letter.isdigit() else None
