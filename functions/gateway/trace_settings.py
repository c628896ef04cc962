"""The settings of traces: the variables that OpenTelemetry defines, and two of ours. Read where traces are wanted.

Traces are wanted where an endpoint is set. OTLP is sent as JSON over HTTP, which a receiver takes at the address where
it takes Protobuf, so the protocol `http/protobuf` is no mistake. gRPC is another address and another protocol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from functions.gateway.settings import SettingsError
from functions.gateway.trace_context import SAMPLERS, Sampling
from functions.gateway.value_classes import dataclass, field

OTLP = "OTEL_EXPORTER_OTLP_"

PATH = "v1/traces"
"""What is added to the path of OTEL_EXPORTER_OTLP_ENDPOINT, and not to that of the endpoint for traces alone."""

SERVICE = "postern"
"""`service.name` without OTEL_SERVICE_NAME and without one in OTEL_RESOURCE_ATTRIBUTES."""

TIMEOUT_MS = (100, 50_000)
"""Least and most of the time for one batch, in ms. A function that exports has a minute."""

_HOST = re.compile(r"(?:\*|[a-z0-9._-]+|\[[0-9a-f:.]+\])", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """`endpoint`     whole address that spans are sent to; "" = none are recorded.
    `headers`         of each request there. `headers_secret_id`: Secrets Manager id of more, in the same form.
    `timeout_seconds` longest time for one batch, its repetitions included. `gzip`: its body is compressed.
    `sampling`        which traces are recorded.
    `upstreams`       hosts of upstreams that get the trace headers; "*" = every one.
    `resource`        attributes of the resource that all spans are of.
    """

    endpoint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers_secret_id: str = ""
    timeout_seconds: float = 10.0
    gzip: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    upstreams: tuple[str, ...] = ()
    resource: Mapping[str, str] = field(default_factory=dict)

    def passes_to(self, host: str) -> bool:
        """True for a host of an upstream that gets the trace headers."""
        return "*" in self.upstreams or host.lower() in self.upstreams

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> TraceSettings:
        """Read every variable. Raises SettingsError with all problems at once, and without any value that is secret."""
        reader = _Reader(environment)
        wanted = reader.read("OTEL_TRACES_EXPORTER", _exporter) != "none"
        wanted &= reader.read("OTEL_SDK_DISABLED", lambda text: text.lower() == "true") is not True
        endpoint = _endpoint(reader) if wanted else ""
        if endpoint:
            reader.of_traces("PROTOCOL", _protocol)
        timeout = reader.of_traces("TIMEOUT", _timeout)
        ratio = reader.read("OTEL_TRACES_SAMPLER_ARG", _ratio)
        found = cls(
            endpoint=endpoint,
            headers=reader.of_traces("HEADERS", headers) or {},
            headers_secret_id=environment.get("POSTERN_TRACE_HEADERS_SECRET_ID", ""),
            timeout_seconds=timeout if timeout is not None else 10.0,
            gzip=reader.of_traces("COMPRESSION", _compression) or False,
            sampling=Sampling(
                reader.read("OTEL_TRACES_SAMPLER", _sampler) or "parentbased_always_on", 1.0 if ratio is None else ratio
            ),
            upstreams=reader.read("POSTERN_TRACE_UPSTREAMS", _hosts) or (),
            resource={
                "service.name": SERVICE,
                **(reader.read("OTEL_RESOURCE_ATTRIBUTES", _attributes) or {}),
                **({"service.name": name} if (name := environment.get("OTEL_SERVICE_NAME")) else {}),
            },
        )
        if reader.problems:
            raise SettingsError("; ".join(reader.problems))
        return found


class _Reader:
    """Reads variables and collects what is wrong with them. An empty variable counts as one that is not set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def is_set(self, variable: str) -> bool:
        return bool(self._environment.get(variable))

    def read(self, variable: str, parse: Callable[[str], Found]) -> Found | None:
        """The value of a variable, None where it is not set or wrong. `parse` raises ValueError, with the rest of a
        sentence that the name of the variable begins."""
        text = self._environment.get(variable)
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as problem:
            self.problems.append(f"{variable} {problem}")
            return None

    def of_traces(self, name: str, parse: Callable[[str], Found]) -> Found | None:
        """The value of a variable that may be set for traces alone, which then wins."""
        own = f"{OTLP}TRACES_{name}"
        return self.read(own if self.is_set(own) else f"{OTLP}{name}", parse)


def headers(text: str) -> dict[str, str]:
    """The headers in a text such as `api-key=secret,x-team=memory`, values percent-decoded. Raises ValueError, without
    any of them in it."""
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        name, value = unquote(name).strip(), unquote(value).strip()
        if not (equals and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise ValueError("is not a list of headers; valid: name=value,name=value with values percent-encoded")
        found[name.lower()] = value
    return found


def _endpoint(reader: _Reader) -> str:
    own = f"{OTLP}TRACES_ENDPOINT"
    if reader.is_set(own):
        return reader.read(own, _url) or ""
    base = reader.read(f"{OTLP}ENDPOINT", _url)
    return f"{base.rstrip('/')}/{PATH}" if base else ""


def _url(text: str) -> str:
    problem = "is not valid; valid: an http or https address without credentials, query or fragment"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(problem) from None
    sendable = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme not in ("http", "https") or not parts.hostname or not sendable or set("@?#") & set(text):
        raise ValueError(problem)
    return text


def _exporter(text: str) -> str:
    return _one_of(text, ("otlp", "none"))


def _protocol(text: str) -> str:
    if text in ("http/json", "http/protobuf"):
        return text
    raise ValueError(
        f"is {text!r}; valid: http/json, http/protobuf (JSON is sent for both). OTEL_TRACES_EXPORTER=none turns "
        "traces off"
    )


def _sampler(text: str) -> str:
    return _one_of(text, SAMPLERS)


def _compression(text: str) -> bool:
    return _one_of(text, ("gzip", "none")) == "gzip"


def _one_of(text: str, valid: tuple[str, ...]) -> str:
    if text not in valid:
        raise ValueError(f"is {text!r}; valid: {', '.join(valid)}")
    return text


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ValueError(f"is {text!r}; valid: a number from 0 to 1")
    return ratio


def _timeout(text: str) -> float:
    least, most = TIMEOUT_MS
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise ValueError(f"is {text!r}; valid: milliseconds, a whole number from {least} to {most}")
    return int(text) / 1000


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(host.lower() for part in text.split(",") if (host := part.strip()))
    if wrong := next((host for host in hosts if not _HOST.fullmatch(host)), None):
        raise ValueError(f"has {wrong!r}; valid: host names separated by commas, without scheme and port; or *")
    return tuple(host.strip("[]") for host in hosts)


def _attributes(text: str) -> dict[str, Any]:
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError("is not a list of attributes; valid: name=value,name=value with values percent-encoded")
        found[unquote(name.strip())] = unquote(value.strip())
    return found
