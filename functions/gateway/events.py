"""The events in which AWS brings an HTTP request to a function, and the form in which each takes the response.

============================  ========================================================================================
payload 2.0                   Function URLs and HTTP APIs
payload 1.0                   REST APIs, and HTTP APIs that are set to it
load balancer                 an Application Load Balancer, with and without multi-value headers
============================  ========================================================================================

An API may stand below a stage, below the base path of a custom domain, or below any path of a load balancer. What the
event says of it is taken off the path, and so is the base path of the settings. Whatever is not an HTTP request (a
warm-up, a schedule, the console's test) is None.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote, unquote, urlencode

from functions.gateway.value_classes import dataclass, field

Event = Mapping[str, Any]
Lines = Sequence[tuple[str, str]]
"""Header lines in their order; names in lower case, one character for each byte of a value, as ASGI has them."""

Form = Literal["2.0", "1.0", "balancer", "balancer-multi"]

DEFAULT_STAGE = "$default"
"""The stage of an API that stands at the root of its domain, and of every Function URL."""

OWN_DOMAIN = ".execute-api."
"""Part of the domain that API Gateway gives an API; its stage is then part of the public path."""

NO_REQUEST: Mapping[str, Any] = {
    "statusCode": 200,
    "headers": {"content-type": "application/json"},
    "body": '{"status":"ok"}',
    "isBase64Encoded": False,
}
"""The response to an event that is not an HTTP request: what GET /health of the endpoint says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One HTTP request of an event.

    `path`    percent-decoded, without the stage and the base path.
    `below`   the public path that the application stands below, "" for none: stage, base path, or both.
    `query`   as in a URL. `host`: the name under which the platform took the request, "" where it says none.
    """

    form: Form
    method: str
    path: str
    below: str
    query: str
    lines: list[tuple[str, str]] = field(repr=False)
    host: str
    source_ip: str
    content: str = field(repr=False)
    is_base64: bool

    def body(self) -> bytes:
        """The bytes of the body. What is not base64, although the event says so, is no body that can be read."""
        if not self.is_base64:
            return self.content.encode("utf-8", "replace")
        try:
            return base64.b64decode(self.content)
        except (binascii.Error, ValueError):
            return b""


def read(event: Any, base_path: str = "") -> Arrived | None:
    """The request of an event; None for an event that holds none. Never raises.

    `base_path`  what the application is mounted at, e.g. "/tools"; a path without it is served, too.
    """
    context = event.get("requestContext") if isinstance(event, dict) else None
    if not isinstance(context, dict):
        return None
    http = context.get("http")
    if isinstance(http, dict) and isinstance(http.get("method"), str) and isinstance(http.get("path"), str):
        return _payload_2(event, context, http, base_path)
    if not isinstance(event.get("httpMethod"), str) or not isinstance(event.get("path"), str):
        return None
    if "elb" in context:
        return _balancer(event, base_path)
    return _payload_1(event, context, base_path)


def response(form: Form, status: int, phrase: str, lines: Lines, body: str | bytes) -> dict[str, Any]:
    """A response in the form that the platform of the request takes. Bytes that are not text go as base64."""
    content, is_base64 = (body, False) if isinstance(body, str) else _content(body)
    answer: dict[str, Any] = {"statusCode": status, "body": content, "isBase64Encoded": is_base64}
    cookies = [value for name, value in lines if name == "set-cookie"]
    if form == "2.0":
        answer["headers"] = {name: value for name, value in lines if name != "set-cookie"}
        if cookies:
            answer["cookies"] = cookies
        return answer
    if form in ("1.0", "balancer-multi"):
        several: dict[str, list[str]] = {}
        for name, value in lines:
            several.setdefault(name, []).append(value)
        answer["multiValueHeaders"] = several
    if form != "balancer-multi":
        answer["headers"] = dict(lines)
    if form != "1.0":
        answer["statusDescription"] = f"{status} {phrase}"
    return answer


def within(path: str, base: str) -> str | None:
    """The rest of a path below `base`, None where it is not below it. "" is below everything."""
    if path == base:
        return "/"
    return path[len(base) :] if path.startswith(f"{base}/") or not base else None


def _payload_2(event: Event, context: Event, http: Event, base_path: str) -> Arrived:
    path, host = unquote(http["path"]), _text(context.get("domainName"))
    stage = _text(context.get("stage"))
    below = ""
    if stage not in ("", DEFAULT_STAGE) and (rest := within(path, f"/{stage}")) is not None:
        # Below a custom domain the stage is part of this path, and not of the public one.
        path, below = rest, f"/{stage}" if OWN_DOMAIN in host else ""
    lines = _lines(event.get("headers"), None)
    if cookies := event.get("cookies"):
        lines.append(("cookie", _as_latin("; ".join(map(str, cookies)))))
    return _arrived(
        event,
        form="2.0",
        method=http["method"],
        path=path,
        below=below,
        base_path=base_path,
        query=_text(event.get("rawQueryString")),
        lines=lines,
        host=host,
        source_ip=_text(http.get("sourceIp")),
    )


def _payload_1(event: Event, context: Event, base_path: str) -> Arrived:
    path = unquote(event["path"])
    public = unquote(_text(context.get("path"))) or path
    route, stage = _route(event), _text(context.get("stage"))
    if route and f"{path.rstrip('/')}/".endswith(f"{route.rstrip('/')}/"):
        path = route
    elif route == DEFAULT_STAGE and (rest := within(path, f"/{stage}")) is not None:
        path = rest
    end = path.rstrip("/")
    below = public.rstrip("/").removesuffix(end) if public.rstrip("/").endswith(end) else ""
    identity = context.get("identity")
    return _arrived(
        event,
        form="1.0",
        method=event["httpMethod"],
        path=path,
        below=below.rstrip("/"),
        base_path=base_path,
        query=_query(event, decoded=True),
        lines=_lines(event.get("headers"), event.get("multiValueHeaders")),
        host=_text(context.get("domainName")),
        source_ip=_text(identity.get("sourceIp")) if isinstance(identity, dict) else "",
    )


def _balancer(event: Event, base_path: str) -> Arrived:
    lines = _lines(event.get("headers"), event.get("multiValueHeaders"))
    return _arrived(
        event,
        form="balancer-multi" if isinstance(event.get("multiValueHeaders"), dict) else "balancer",
        method=event["httpMethod"],
        path=unquote(event["path"]),
        below="",
        base_path=base_path,
        query=_query(event, decoded=False),
        lines=lines,
        host="",
        source_ip=next((value.rpartition(",")[2].strip() for name, value in lines if name == "x-forwarded-for"), ""),
    )


def _arrived(event: Event, *, path: str, below: str, base_path: str, **parts: Any) -> Arrived:
    rest = within(path, base_path) if base_path else None
    if rest is not None:
        path, below = rest, below + base_path
    return Arrived(
        path=path or "/",
        below=below,
        content=_text(event.get("body")),
        is_base64=event.get("isBase64Encoded") is True,
        **parts,
    )


def _route(event: Event) -> str:
    """The path within the API: its route with the values of the path parameters, "" where the event has none."""
    route, values = _text(event.get("resource")), event.get("pathParameters")
    for name, value in values.items() if isinstance(values, dict) else ():
        for written in (f"{{{name}+}}", f"{{{name}}}"):
            route = route.replace(written, str(value))
    return "" if "{" in route else unquote(route)


def _lines(single: Any, several: Any) -> list[tuple[str, str]]:
    if isinstance(several, dict):
        return [
            (str(name).lower(), _as_latin(str(value)))
            for name, values in several.items()
            for value in (values if isinstance(values, list) else [values])
        ]
    if isinstance(single, dict):
        return [(str(name).lower(), _as_latin(str(value))) for name, value in single.items()]
    return []


def _query(event: Event, *, decoded: bool) -> str:
    """The query of a payload that brings it in parts. A load balancer leaves the parts encoded."""
    parts = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    if not isinstance(parts, dict):
        return ""
    pairs = [
        (str(name), str(value))
        for name, values in parts.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return urlencode(pairs) if decoded else "&".join(f"{_kept(name)}={_kept(value)}" for name, value in pairs)


def _kept(part: str) -> str:
    return quote(part, safe="%+-._~!$'()*,;:@/?")


def _content(body: bytes) -> tuple[str, bool]:
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _as_latin(value: str) -> str:
    """A header's value as ASGI has it: one character for each byte."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("latin-1")
