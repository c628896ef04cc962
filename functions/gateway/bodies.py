"""The bytes of a request's body: JSON, a form, a multipart form with files, a text, or bytes given in Base64."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping

from functions.gateway import json_text
from functions.gateway.json_text import Json
from functions.gateway.parameter_styles import pieces, text
from functions.gateway.value_classes import replace
from tool_catalog.request_template import JSON_MEDIA_TYPE, Parameter, media_kind

Values = list[tuple[Parameter, Json]]
"""The parameters of the body, each with its value."""

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+( *; *[\w.-]+=[\w.+-]+)*", re.ASCII)
"""What a caller may give as the media type of a file: nothing that would start another line."""


def encoded(media_type: str, values: Values) -> tuple[str, bytes]:
    """The Content-Type and the body."""
    kind = media_kind(media_type)
    if kind == "form":
        return media_type, "&".join(pair for parameter, value in values for pair in _form(parameter, value)).encode()
    if kind == "multipart":
        return _multipart(media_type, values)
    body: Json = None
    for parameter, value in values:
        body = _put(body, parameter.name, value)
    if kind is None:
        return media_type, base64.b64decode(body) if values else b""
    if kind == "text":
        return media_type, text(body).encode() if values else b""
    return media_type, json_text.encode(body if values else {})


def problems(media_type: str, values: Values) -> Iterator[str]:
    """What is wrong with the files and the Base64 in a body, in words for the caller."""
    kind = media_kind(media_type)
    for parameter, value in values:
        if kind is None and not (isinstance(value, str) and _is_base64(value)):
            yield f'"{parameter.argument}" is not Base64; it holds the bytes of the body'
        elif kind == "multipart" and parameter.style == "file":
            for file in value if isinstance(value, list) else [value]:
                if problem := _file_problem(file):
                    yield f'"{parameter.argument}" {problem}'


def outermost(parameter: Parameter) -> str:
    """The name under which a parameter stands in its place; of a path of keys, the first."""
    in_body = parameter.location == "body" and parameter.name.startswith("/")
    return _key(parameter.name[1:].split("/")[0]) if in_body else parameter.name


# ---- JSON


def _key(step: str) -> str:
    """A step of a path of keys, which is a JSON Pointer (RFC 6901)."""
    return step.replace("~1", "/").replace("~0", "~")


def _put(body: Json, name: str, value: Json) -> Json:
    """The body with the value in it; "" is the whole body, "/a/b" a path of keys."""
    if name == "":
        return {**value, **(body or {})} if isinstance(value, dict) else value
    root: dict[str, Json] = body if isinstance(body, dict) else {}
    *parents, last = map(_key, name[1:].split("/")) if name.startswith("/") else [name]
    target = root
    for key in parents:
        target = target.setdefault(key, {})
    target[last] = value
    return root


# ---- forms


def _form(parameter: Parameter, value: Json) -> list[str]:
    """The pairs of one parameter of a form. The empty name is the whole form, of which each member is a parameter."""
    if value is None:
        return []
    if parameter.name == "" and isinstance(value, dict):
        return [pair for name, entry in value.items() for pair in _form(replace(parameter, name=name), entry)]
    return pieces(parameter, value)


def _multipart(media_type: str, values: Values) -> tuple[str, bytes]:
    """A form with one part for each value (RFC 7578). The boundary is made of the content, which cannot hold it."""
    parts = [part for parameter, value in values for part in _parts(parameter, value)]
    boundary = hashlib.sha256(b"\n".join(parts)).hexdigest()[:32]
    opening = f"--{boundary}\r\n".encode()
    content = b"".join(opening + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return f"{media_type.partition(';')[0].strip()}; boundary={boundary}", content


def _parts(parameter: Parameter, value: Json) -> Iterator[bytes]:
    """The parts of one parameter: one for each entry of a list, JSON for an object."""
    if value is None:
        return
    if parameter.name == "" and isinstance(value, dict):
        for name, entry in value.items():
            yield from _parts(replace(parameter, name=name), entry)
    elif isinstance(value, list) and parameter.style != "json":
        for entry in value:
            yield from _parts(parameter, entry)
    elif parameter.style == "file":
        content = value["text"].encode() if "text" in value else base64.b64decode(value["base64"])
        usual = "text/plain; charset=utf-8" if "text" in value else "application/octet-stream"
        yield _part(parameter.name, content, value.get("media_type", usual), value["name"])
    elif parameter.style == "json" or isinstance(value, dict):
        yield _part(parameter.name, json_text.encode(value), JSON_MEDIA_TYPE)
    else:
        yield _part(parameter.name, text(value).encode())


def _part(name: str, content: bytes, media_type: str = "", file_name: str | None = None) -> bytes:
    """One part with its headers."""
    headers = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if file_name is not None:
        headers += f'; filename="{_quoted(file_name)}"'
    if media_type:
        headers += f"\r\nContent-Type: {media_type}"
    return f"{headers}\r\n\r\n".encode() + content


def _quoted(name: str) -> str:
    """A name as browsers write it there."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _file_problem(file: Mapping[str, Json]) -> str:
    if ("text" in file) == ("base64" in file):
        return 'needs "text" or "base64", and not both'
    if "base64" in file and not _is_base64(file["base64"]):
        return 'has a "base64" that is not Base64'
    if "media_type" in file and not _MEDIA_TYPE.fullmatch(file["media_type"]):
        return 'has a "media_type" that is none; write it like "image/png"'
    return ""


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
