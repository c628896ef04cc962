"""Headers that mirror arguments (`x-mcp-header`, SEP-2243): does what an intermediary routed on match the call?

A tool may mark a property of its input schema with `x-mcp-header: Region`; a modern client then sends the argument as
`Mcp-Param-Region` too, and a server that reads the body must refuse a call on which the two differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from functions.gateway.json_text import Json
from functions.mcp_endpoint.protocol import PARAMETER_HEADER, Headers, decode_header

MARK = "x-mcp-header"

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""RFC 9110, 5.6.2: what a header name may consist of."""

DECIMAL = re.compile(r"(-?[0-9]+)(?:\.0+)?")
"""An integer as a header may write it: 42 and 42.0 are the same, 4.2e1 is not an integer's spelling."""

BEYOND = frozenset(
    {
        *("items", "prefixItems", "contains", "unevaluatedItems", "additionalProperties", "unevaluatedProperties"),
        *("propertyNames", "contentSchema", "not", "if", "then", "else", "allOf", "anyOf", "oneOf"),
    }
)
"""JSON Schema 2020-12 keywords that hold one schema or a list of them; a mark below one is invalid."""


def problem(schema: Mapping[str, Json], arguments: Mapping[str, Json], headers: Headers) -> str:
    """What differs between the arguments and the `Mcp-Param-*` headers; "" where nothing does.

    A schema with an invalid mark asks for nothing: conforming clients drop such a tool. `headers` are the lines whose
    names start with `mcp-param-`; those the schema does not mark are none of our business.
    """
    marks = list(_marks(schema))
    names = [name.lower() for _, name, _ in marks if isinstance(name, str)]
    if len(set(names)) != len(marks) or not all(_is_valid(*mark) for mark in marks):
        return ""
    for path, name, type_ in marks:
        assert path is not None
        where = ".".join(path)
        values = [value for header, value in headers if header == PARAMETER_HEADER + name.lower()]
        argument = _value_at(arguments, path)
        expected = _written(argument)
        if len(values) > 1:
            return f"Mcp-Param-{name} appears more than once"
        if not values:
            if expected is None:
                continue
            return f'Mcp-Param-{name} is missing; it must mirror the argument "{where}"'
        if expected is None:
            return f'Mcp-Param-{name} is there, but the argument "{where}" is not'
        decoded = decode_header(values[0])
        if decoded is None:
            return f"Mcp-Param-{name} is not valid base64 of UTF-8"
        if not _matches(type_, argument, expected, decoded):
            return f'Mcp-Param-{name} differs from the argument "{where}"'
    return ""


def _marks(schema: Json) -> Iterator[tuple[tuple[str, ...] | None, Json, Json]]:
    """(path of properties, mark, type) of every marked schema; the path is None where it is not made of properties
    alone."""
    stack: list[tuple[tuple[str, ...] | None, Json]] = [((), schema)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, list):
            stack += [(None, entry) for entry in node]
        if not isinstance(node, Mapping):
            continue
        if MARK in node:
            yield path, node[MARK], node.get("type")
        for keyword, value in node.items():
            if keyword == "properties" and isinstance(value, Mapping):
                stack += [((*path, name) if path is not None else None, entry) for name, entry in value.items()]
            elif keyword in ("patternProperties", "dependentSchemas", "$defs", "definitions"):
                stack += [(None, entry) for entry in value.values()] if isinstance(value, Mapping) else []
            elif keyword in BEYOND:
                stack.append((None, value))


def _is_valid(path: tuple[str, ...] | None, name: Json, type_: Json) -> bool:
    return (
        bool(path)
        and isinstance(name, str)
        and TOKEN.fullmatch(name) is not None
        and type_ in ("string", "integer", "boolean")
    )


def _value_at(arguments: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        if not isinstance(arguments, Mapping):
            return None
        arguments = arguments.get(name)
    return arguments


def _written(value: Json) -> str | None:
    """The value as a client writes it into a header; None where there is nothing to mirror."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _matches(type_: Json, argument: Json, expected: str, decoded: str) -> bool:
    if type_ == "integer" and isinstance(argument, int | float) and not isinstance(argument, bool):
        decimal = DECIMAL.fullmatch(decoded)
        if decimal is not None and float(argument).is_integer():
            return int(decimal[1]) == int(argument)
    return decoded == expected
