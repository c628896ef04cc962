"""JSON text, read and written in one place: what may be in it, and how it looks.

`decode` is for what a caller or a person wrote: it refuses whatever could not be written again as JSON in UTF-8.
`decode_lenient` is for an upstream's answer, whose shaping mends infinite numbers and halves of surrogate pairs later,
and for what our own store kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from json import JSONDecodeError, JSONDecoder, JSONEncoder
from json.encoder import encode_basestring, encode_basestring_ascii
from math import isfinite
from typing import Any, NoReturn

from functions.gateway import json_pieces

Json = Any
"""A value that JSON has: None, bool, int, float, str, list, or dict with str keys."""

MAX_DEPTH = 100
"""Levels of objects and arrays that are read. Deeper JSON could exhaust the stack of recursive code behind us, and no
API's documents or arguments come near this depth."""

MAX_DIGITS = 4_300
"""Digits of a whole number: Python's own limit, because reading a number takes time with the square of its digits."""

Loads = Callable[[JSONDecoder, str], Json]
"""How a decoder is used: on the whole text, or on pieces of it."""

_SHOWN_CHARS = 40
"""Characters of an unreadable number that an error repeats."""


class NotJson(ValueError):
    """The text is not JSON that we accept. The message completes the sentence "The text is not valid JSON: ..."."""


class TooDeep(NotJson):
    """The text has more levels than are read."""

    def __init__(self) -> None:
        super().__init__(f"it is nested more than {MAX_DEPTH} levels deep")


def decode(body: bytes | str) -> Json:
    """The value of a strict JSON document.

    Raises NotJson for text that is not UTF-8, for NaN and numbers out of range, for more than MAX_DEPTH levels, and for
    half of a surrogate pair, which UTF-8 cannot hold.
    """
    text = _text(body)
    value = _parsed(text, _STRICT)
    if text.count("{") + text.count("[") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise TooDeep
    if "\\u" in text or (isinstance(body, str) and not text.isascii()):
        try:
            encode_strictly(value)
        except UnicodeEncodeError:
            raise NotJson("a string holds half of a surrogate pair") from None
    return value


def decode_lenient(body: bytes | str, *, any_number: bool = False) -> Json:
    """The value of a JSON document that an upstream or we wrote, with or without a byte-order mark. Raises NotJson.

    `any_number` accepts NaN and Infinity as well: for an error body, which is shown however it is written.
    """
    return _parsed(_text(body).removeprefix("\ufeff"), _ANY_NUMBER if any_number else _LENIENT)


def decode_large(body: bytes | str) -> Json:
    """`decode_lenient` in pieces between which other threads get their turn (json_pieces.py). Raises NotJson."""
    return _parsed(_text(body).removeprefix("\ufeff"), _LENIENT, json_pieces.loads)


def encode(value: Json) -> bytes:
    """Compact JSON in UTF-8. Half of a surrogate pair becomes a question mark."""
    return text(value).encode("utf-8", "replace")


def sendable(value: Json) -> str:
    """What `encode` returns, as text."""
    written = _COMPACT(value)
    return written if written.isascii() else written.encode("utf-8", "replace").decode()


def encode_strictly(value: Json) -> bytes:
    """Compact JSON in UTF-8. Raises ValueError for what no JSON document in UTF-8 can hold (UnicodeEncodeError for half
    of a surrogate pair), RecursionError for a value that is nested too deep."""
    return _FINITE(value).encode()


def text(value: Json) -> str:
    """Compact JSON."""
    return _COMPACT(value)


def canonical(value: Json) -> bytes:
    """Compact JSON in ASCII with sorted names: the same bytes for equal values, for digests and cache keys."""
    return _CANONICAL(value).encode()


def readable(value: Json) -> str:
    """JSON with two spaces of indentation, for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def spaced(value: Json) -> str:
    """JSON in one line with spaces after commas and colons, for messages."""
    return json.dumps(value, ensure_ascii=False, default=str)


def size(value: Json) -> int:
    """Bytes of the value as compact JSON in UTF-8."""
    return len(encode(value))


def string_size(text: str) -> int:
    """Bytes of a string as JSON in UTF-8, with its quotes."""
    written = encode_basestring(text)
    return len(written) if written.isascii() else len(written.encode("utf-8", "replace"))


def well_formed(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which JSON can escape but UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def is_deeper(value: Json, levels: int) -> bool:
    """True for a value with more levels of objects and arrays."""
    level: Iterable[Json] = [value]
    for _ in range(levels):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


def _text(body: bytes | str) -> str:
    if isinstance(body, str):
        return body
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start} is not UTF-8") from None


def _loads(decoder: JSONDecoder, text: str) -> Json:
    """`decoder.decode(text)` without its two searches for spaces."""
    try:
        value, end = decoder.scan_once(text, 0)  # type: ignore[attr-defined]
    except StopIteration:  # spaces in front, or no value at all
        return decoder.decode(text)
    if end < len(text) and (rest := text[end:].lstrip(" \t\n\r")):
        raise JSONDecodeError("Extra data", text, len(text) - len(rest))
    return value


def _parsed(text: str, decoder: JSONDecoder, loads: Loads = _loads) -> Json:
    if text.startswith("\ufeff"):
        raise NotJson("it begins with a byte-order mark (BOM)")
    try:
        return loads(decoder, text)
    except NotJson:
        raise
    except JSONDecodeError as error:
        raise NotJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise TooDeep from None
    except ValueError:  # a number of too many digits, which Python's own message does not count and `_whole` does
        slower = JSONDecoder(parse_constant=decoder.parse_constant, parse_float=decoder.parse_float, parse_int=_whole)
        return loads(slower, text)


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON number")


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise NotJson(f"a number of {len(digits):,} digits is too long; at most {MAX_DIGITS:,} are taken") from None


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise NotJson(f"the number {digits[:_SHOWN_CHARS]} is out of range")
    return number


_STRICT = JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_LENIENT = JSONDecoder(parse_constant=_no_constant)
_ANY_NUMBER = JSONDecoder(parse_constant=float)


_IN_C: Callable[..., Any] | None = getattr(json.encoder, "c_make_encoder", None)
"""The part of Python's encoder that is written in C; None in a Python without it."""


def _writer(
    *, escaped: bool = False, by_name: bool = False, finite: bool = False, make: Callable[..., Any] | None = _IN_C
) -> Callable[[Json], str]:
    """Writes compact JSON: in ASCII (`escaped`), with sorted names (`by_name`), without infinite numbers (`finite`).

    `json.dumps` makes an encoder in Python and one in C for each value, and `JSONEncoder.encode` still makes the one in
    C. It is made once here: 0.25 million instructions less of a warm call, and 0.1 million less again.
    """
    kept = JSONEncoder(ensure_ascii=escaped, separators=(",", ":"), sort_keys=by_name, allow_nan=not finite)
    if make is None:
        return kept.encode
    strings = encode_basestring_ascii if escaped else encode_basestring
    pieces = make(None, kept.default, strings, None, ":", ",", by_name, False, not finite)
    return lambda value: "".join(pieces(value, 0))


_COMPACT = _writer()
_FINITE = _writer(finite=True)
_CANONICAL = _writer(escaped=True, by_name=True)


def kinds(schema: Json) -> set[str]:
    """The JSON types that a schema names, its branches and its constants included; empty when it names none."""
    if not isinstance(schema, dict):
        return set()
    stated = schema.get("type", ())
    found = {stated} if isinstance(stated, str) else set(stated)
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found |= kinds(branch)
    if not found and "enum" in schema:
        found = {kind(option) for option in schema["enum"]}
    return found


def kind(value: Json) -> str:
    """The JSON type of a value."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
