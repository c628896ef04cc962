"""How a value is written into a request: one row for each style, as the OpenAPI specification's table has them.

RFC 6570 defines simple, label, matrix and form. OpenAPI adds spaceDelimited, pipeDelimited, deepObject, cookie and the
location `querystring`; tabDelimited is `collectionFormat: tsv` of Swagger 2.0. Two rows are ours: `json` is OpenAPI's
`content: application/json`, and `brackets` is the list that PHP and Rails read (`a[]=1&a[]=2`). A file stands in a
multipart form alone (`bodies.py`). The specification leaves three cases open, and each is written in one way:

- A list or an object inside a list or an object becomes JSON text, except in deepObject.
- deepObject writes nested objects with more brackets. A list of plain values inside it repeats its name in a query and
  has indexes in a form. A list that holds objects always has indexes.
- null, an empty list and an empty object are "undefined" as in RFC 6570: nothing is written for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

from functions.gateway import json_text
from functions.gateway.json_text import Json
from functions.gateway.value_classes import dataclass, replace
from tool_catalog.request_template import STYLES, Parameter

EXPLODED_BY_DEFAULT = ("form", "cookie")
"""Styles whose parameters are exploded unless they state otherwise, as in OpenAPI."""

RESERVED = ":/?@!$'()*,="
"""Reserved characters that `allow_reserved` leaves as they are. RFC 3986 has more: "#" would end the URL, "&", ";" and
"+" would change what other parameters say, and brackets are not valid there. In a path, "?" would start the query."""

_TRIPLE = re.compile(r"(%[0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a row writes its value.

    `encode`    makes a value safe for the place, and `encode_name` a name, which never keeps reserved characters.
    `exploded`  the parameter's own `explode`.
    `named`     the place holds pairs of name and value, as a query does; `form` is a body of such pairs.
    """

    encode: Callable[[str], str]
    encode_name: Callable[[str], str]
    exploded: bool
    named: bool
    form: bool


Row = Callable[[str, Json, Manner], list[str]]
"""Name, value and manner -> the encoded texts that stand in the request; those of one parameter are joined there."""


def pieces(parameter: Parameter, value: Json) -> list[str]:
    """`value` as the encoded texts of its place: pairs of a query, a form or the Cookie header; or one text, which is a
    part of the path or the value of a header."""
    location, style = parameter.location, _style(parameter, is_object=isinstance(value, dict))
    manner = Manner(
        _encoding(location, style, allow_reserved=parameter.allow_reserved),
        _encoding(location, style, allow_reserved=False),
        _is_exploded(parameter, style),
        named=location not in ("path", "header"),
        form=location == "body",
    )
    return ROWS[style](parameter.name, value, manner)


def spreads(parameter: Parameter) -> bool:
    """Whether the members of an object become parameters of their own, under names that the caller chooses."""
    if parameter.location == "body" and parameter.name == "":
        return True
    style = _style(parameter, is_object=True)
    if style == "querystring":
        return True
    named = parameter.location in ("query", "cookie", "body")
    delimited = style in ("form", "cookie", "spaceDelimited", "pipeDelimited", "tabDelimited")
    return named and delimited and _is_exploded(parameter, style)


def text(value: Json) -> str:
    """A scalar as an upstream reads it in a URL or a header, whole numbers without a point; anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json_text.text(value)


def parts(value: Json) -> list[str]:
    """The texts that `value` consists of: itself, its entries, or its names and members."""
    if isinstance(value, list):
        return _entries(value)
    if isinstance(value, dict):
        return [part for member in _members(value) for part in member]
    return [text(value)]


# ---- the rows


def _simple(name: str, value: Json, manner: Manner) -> list[str]:  # noqa: ARG001 -- only the value is written
    return [",".join(_flat(value, manner, "=" if manner.exploded else ","))]


def _label(name: str, value: Json, manner: Manner) -> list[str]:  # noqa: ARG001 -- only the value is written
    found = _flat(value, manner, "=" if manner.exploded else ",")
    return ["." + ("." if manner.exploded else ",").join(found) if found else ""]


def _matrix(name: str, value: Json, manner: Manner) -> list[str]:
    if manner.exploded and isinstance(value, dict):
        pairs = [(manner.encode_name(member), manner.encode(entry)) for member, entry in _members(value)]
    elif manner.exploded and isinstance(value, list):
        pairs = [(manner.encode_name(name), manner.encode(entry)) for entry in _entries(value)]
    else:
        found = _flat(value, manner, ",")
        pairs = [(manner.encode_name(name), ",".join(found))] if found else []
    return ["".join(f";{name}={entry}" if entry else f";{name}" for name, entry in pairs)]


def _delimited(delimiter: str) -> Row:
    """The form style; what is not exploded has `delimiter` between its parts."""

    def row(name: str, value: Json, manner: Manner) -> list[str]:
        if manner.exploded and manner.named and isinstance(value, dict):
            return [_pair(member, entry, manner) for member, entry in _members(value)]
        if manner.exploded and manner.named and isinstance(value, list):
            return [_pair(name, entry, manner) for entry in _entries(value)]
        between = delimiter if delimiter == "," else manner.encode(delimiter)
        found = _flat(value, manner, between)
        if not manner.named:
            return [between.join(found)]
        return [f"{manner.encode_name(name)}={between.join(found)}"] if found else []

    return row


def _deep_object(name: str, value: Json, manner: Manner) -> list[str]:
    if isinstance(value, dict):
        return [
            piece
            for member, entry in value.items()
            if entry is not None
            for piece in _deep_object(f"{name}[{member}]", entry, manner)
        ]
    if isinstance(value, list):
        indexed = manner.form or any(isinstance(entry, Mapping | list) for entry in value)
        return [
            piece
            for index, entry in enumerate(value)
            if entry is not None
            for piece in _deep_object(f"{name}[{index}]" if indexed else name, entry, manner)
        ]
    return [_pair(name, text(value), manner)]


def _brackets(name: str, value: Json, manner: Manner) -> list[str]:
    if isinstance(value, list):
        return [_pair(f"{name}[]", entry, manner) for entry in _entries(value)]
    return [_pair(name, text(value), manner)]


def _json(name: str, value: Json, manner: Manner) -> list[str]:
    encoded = manner.encode(json_text.text(value))
    return [f"{manner.encode_name(name)}={encoded}" if manner.named and name else encoded]


def _querystring(name: str, value: Json, manner: Manner) -> list[str]:  # noqa: ARG001 -- only the members are written
    row = ROWS["form"]
    members = value.items() if isinstance(value, dict) else ()
    return [
        piece
        for member, entry in members
        for piece in (_json if isinstance(entry, dict) else row)(member, entry, replace(manner, exploded=True))
        if entry is not None
    ]


ROWS: Mapping[str, Row] = {
    "simple": _simple,
    "label": _label,
    "matrix": _matrix,
    "form": _delimited(","),
    "cookie": _delimited(","),
    "spaceDelimited": _delimited(" "),
    "pipeDelimited": _delimited("|"),
    "deepObject": _deep_object,
    "json": _json,
    "brackets": _brackets,
    "tabDelimited": _delimited("\t"),
    "querystring": _querystring,
}
"""Style -> its row. The names are those of `request_template.Style`, less `file`, which `bodies.py` writes."""


# ---- what the rows share


def _style(parameter: Parameter, *, is_object: bool) -> str:
    """The style of a parameter. One of a form that names none is JSON text for an object, and repeats its name for a
    list."""
    if parameter.style:
        return parameter.style
    if parameter.location == "body":
        return "json" if is_object else "form"
    return STYLES[parameter.location][0]


def _is_exploded(parameter: Parameter, style: str) -> bool:
    return style in EXPLODED_BY_DEFAULT if parameter.explode is None else parameter.explode


def _flat(value: Json, manner: Manner, between: str) -> list[str]:
    """The encoded value, its entries, or its members as one text each, with `between` after each name."""
    if isinstance(value, list):
        return [manner.encode(entry) for entry in _entries(value)]
    if isinstance(value, dict):
        return [f"{manner.encode_name(name)}{between}{manner.encode(entry)}" for name, entry in _members(value)]
    return [manner.encode(text(value))]


def _pair(name: str, value: str, manner: Manner) -> str:
    return f"{manner.encode_name(name)}={manner.encode(value)}"


def _entries(value: list[Json]) -> list[str]:
    return [text(entry) for entry in value if entry is not None]


def _members(value: Mapping[str, Json]) -> list[tuple[str, str]]:
    return [(name, text(entry)) for name, entry in value.items() if entry is not None]


def _encoding(location: str, style: str, *, allow_reserved: bool) -> Callable[[str], str]:
    """How a text is encoded: percent-encoding in URLs and cookies, that of forms in a form, none in a header."""
    if location == "header" or style == "cookie":
        return str
    if allow_reserved and location == "path":  # an encoded dot or slash could move the path, so no triple is kept
        return lambda raw: quote(raw, safe=RESERVED.replace("?", ""))
    if allow_reserved:
        return lambda raw: "".join(
            part if _TRIPLE.fullmatch(part) else quote(part, safe=RESERVED) for part in _TRIPLE.split(raw)
        )
    if location == "body":
        return quote_plus
    return lambda raw: quote(raw, safe="")
