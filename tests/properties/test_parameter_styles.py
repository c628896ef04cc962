"""What the gateway sends agrees, byte for byte, with a serialiser written from the texts of the specifications.

The serialiser here follows RFC 6570, expression by expression, as section 3.2 defines them. The "Style Values" table of
OpenAPI says which expression each style is. The serialiser shares no line with the gateway.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from functions.gateway import requests
from tests.gateway.calling import tool
from tool_catalog.request_template import FORM_MEDIA_TYPE, STYLES, Parameter

Json = Any

UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
RESERVED_KEPT = frozenset(b":/?@!$'()*,=")
BASE = "https://api.example.com"

# RFC 6570, appendix A: operator -> first, separator, named, and what stands behind the name of an empty value.
OPERATORS = {
    "": ("", ",", False, ""),
    ".": (".", ".", False, ""),
    ";": (";", ";", True, ""),
    "&": ("", "&", True, "="),
}


def percent(text: str, kept: frozenset[int] = frozenset(), space: str = "%20") -> str:
    found = []
    data = text.encode()
    at = 0
    while at < len(data):
        byte = data[at]
        triple = data[at : at + 3]
        if kept and b"?"[0] in kept and len(triple) == 3 and byte == ord("%") and is_hex(triple[1:]):
            found.append(triple.decode())
            at += 3
            continue
        if byte in UNRESERVED or byte in kept:
            found.append(chr(byte))
        elif byte == 0x20:
            found.append(space)
        else:
            found.append(f"%{byte:02X}")
        at += 1
    return "".join(found)


def is_hex(pair: bytes) -> bool:
    return all(byte in b"0123456789abcdefABCDEF" for byte in pair)


def word(value: Json) -> str:
    """A value as text: strings as they are, everything else as JSON, whole numbers without a point."""
    if isinstance(value, str):
        return value
    if type(value) is float and value == int(value):
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def template(  # noqa: PLR0917 -- the parts of one expression
    operator: str, name: str, value: Json, exploded: bool, encode: Any, encode_name: Any
) -> str:
    """One RFC 6570 expression with one variable; section 3.2.1 has the steps."""
    first, separator, named, if_empty = OPERATORS[operator]
    if value is None or (isinstance(value, (list, dict)) and not [v for v in of(value) if v is not None]):
        return ""  # undefined

    def pair(key: str, text: str) -> str:
        return f"{encode_name(key)}={encode(text)}" if text else f"{encode_name(key)}{if_empty}"

    if not isinstance(value, (list, dict)):
        return first + (pair(name, word(value)) if named else encode(word(value)))
    if not exploded:
        if isinstance(value, dict):
            joined = ",".join(f"{encode_name(k)},{encode(word(v))}" for k, v in value.items() if v is not None)
        else:
            joined = ",".join(encode(word(v)) for v in value if v is not None)
        if not named:
            return first + joined
        return first + (f"{encode_name(name)}={joined}" if joined else f"{encode_name(name)}{if_empty}")
    if isinstance(value, dict):
        parts = [
            pair(k, word(v)) if named else f"{encode_name(k)}={encode(word(v))}"
            for k, v in value.items()
            if v is not None
        ]
    else:
        parts = [pair(name, word(v)) if named else encode(word(v)) for v in value if v is not None]
    return first + separator.join(parts)


def of(value: Json) -> list[Json]:
    return list(value.values()) if isinstance(value, dict) else value


def deep(name: str, value: Json, encode: Any, form: bool) -> list[str]:
    """deepObject; the specification leaves everything below the first level open, and docs/records.md says how."""
    if isinstance(value, dict):
        return [part for k, v in value.items() if v is not None for part in deep(f"{name}[{k}]", v, encode, form)]
    if isinstance(value, list):
        plain = not any(isinstance(v, (list, dict)) for v in value)
        names = [name if plain and not form else f"{name}[{index}]" for index in range(len(value))]
        return [
            part for key, v in zip(names, value, strict=True) if v is not None for part in deep(key, v, encode, form)
        ]
    return [f"{encode(name)}={encode(word(value))}"]


def expected(location: str, style: str, exploded: bool, reserved: bool, value: Json) -> str:
    """The text that the specifications want for the parameter "p"."""
    space = "+" if location == "body" and not reserved else "%20"

    def encode_name(text: str) -> str:
        if location == "header" or style == "cookie":
            return text
        return percent(text, space="+" if location == "body" else "%20")

    def encode(text: str) -> str:
        if location == "header" or style == "cookie":
            return text
        if reserved:
            return percent(text, RESERVED_KEPT - {ord("?")} if location == "path" else RESERVED_KEPT)
        return percent(text, space=space)

    if value is None:
        return ""
    match style:
        case "simple" | "label" | "matrix":
            operator = {"simple": "", "label": ".", "matrix": ";"}[style]
            return template(operator, "p", value, exploded, encode, encode_name)
        case "form":
            found = template("&", "p", value, exploded, encode, encode_name)
            return found.replace("&", "; ") if location == "cookie" else found
        case "cookie":
            if exploded and isinstance(value, (list, dict)):
                members = value.items() if isinstance(value, dict) else [("p", entry) for entry in value]
                return "; ".join(f"{k}={word(v)}" for k, v in members if v is not None)
            return template("&", "p", value, exploded, encode, encode_name)
        case "spaceDelimited" | "pipeDelimited" | "tabDelimited":
            bare = location in ("path", "header")
            if (exploded and not bare) or not isinstance(value, (list, dict)):
                return template("" if bare else "&", "p", value, exploded, encode, encode_name)
            delimiter = encode({"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}[style])
            if isinstance(value, dict):
                items = [part for k, v in value.items() if v is not None for part in (encode_name(k), encode(word(v)))]
            else:
                items = [encode(word(v)) for v in value if v is not None]
            return (delimiter.join(items) if bare else f"p={delimiter.join(items)}") if items else ""
        case "querystring":
            given = list(value.items()) if isinstance(value, dict) else []
            return "&".join(template("&", k, v, True, encode, encode_name) for k, v in given if v is not None)
        case "deepObject" if reserved:
            return ""
        case "deepObject":
            return "&".join(deep("p", value, encode, form=location == "body"))
        case "json":
            text = encode(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
            return text if location in ("path", "header") else f"p={text}"
        case _:  # brackets: p[]=1&p[]=2, which the specification knows as form with the name "p[]"
            if isinstance(value, list):
                return template("&", "p[]", value, True, encode, encode_name)
            return template("&", "p", word(value), True, encode, encode_name)


# Texts are such as every place can hold, so that a difference is one of serialisation.
SAFE = st.text(alphabet=st.characters(codec="ascii", exclude_categories=("C", "Z")), min_size=1, max_size=6).filter(
    lambda text: not set('",;\\') & set(text) and {".", ".."}.isdisjoint(text.split("/"))
)
ANY = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6).filter(
    lambda text: {".", ".."}.isdisjoint(text.replace("\\", "/").split("/"))
)


def values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Json]:
    scalars = texts | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6)
    flat = st.lists(scalars, min_size=1, max_size=4) | st.dictionaries(texts, scalars, min_size=1, max_size=4)
    return scalars | flat


NESTED = st.recursive(
    ANY | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=8,
)


UNRESERVED_STYLES = ("deepObject", "cookie", "json", "brackets")
"""Styles that the specification gives no reserved characters."""


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str, bool | None, bool, Json]:
    location = draw(st.sampled_from(sorted({*STYLES} - {"multipart"})))
    style = draw(st.sampled_from(STYLES[location]))
    reserved = draw(st.booleans()) if style not in UNRESERVED_STYLES else False
    texts = SAFE if location in ("header", "cookie") else ANY
    value = draw(NESTED if style == "deepObject" and location != "path" else values(texts))
    return location, style, draw(st.booleans()), reserved, value


@settings(max_examples=600, deadline=None)
@given(cases())
@example(("query", "spaceDelimited", False, False, ["x", "y"]))
@example(("query", "pipeDelimited", False, False, ["a", "b"]))
@example(("query", "form", True, True, "100%25 & 3%"))
@example(("form", "deepObject", True, False, {"lines": [{"sku": "x"}], "events": ["in", "out"]}))
@example(("cookie", "form", False, False, ["a", "b"]))
@example(("query", "form", True, False, {"p": "a", "q": "b"}))
def test_every_style_is_written_as_the_specifications_say(case: tuple[str, str, bool, bool, Json]) -> None:
    place, style, exploded, reserved, value = case
    location = "body" if place == "form" else place
    parameter = Parameter(location, "p", "p", style=style, explode=exploded, allow_reserved=reserved)  # type: ignore[arg-type]
    path = "/x/{p}/z" if location == "path" else "/x/"
    entry = tool("POST", path, parameter, media_type=FORM_MEDIA_TYPE if location == "body" else "application/json")
    request = requests.build(entry, {"p": value}, BASE, {})
    headers = dict(request.headers)
    found = {
        "path": request.path.removeprefix("/x/").removesuffix("/z"),
        "query": request.query,
        "header": headers.get("p", ""),
        "cookie": headers.get("Cookie", ""),
        "body": (request.body or b"").decode(),
    }[location]
    assert found == expected(location, style, exploded, reserved, value)
