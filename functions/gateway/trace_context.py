"""The trace that a request belongs to: what its caller says of it, by the grammar of W3C Trace Context (level 1), and
which traces are recorded.

A value that breaks the grammar counts as absent and never fails a request: the request then begins a trace of its own.
A tracestate over MAX_STATE_CHARS is left out whole, because an upstream may refuse a request for its longest header.

AWS names a trace in `X-Amzn-Trace-Id`. Its root has the same 32 digits, and its parent is taken only where its sender
sampled it: AWS writes `Sampled=0` where nobody asked for X-Ray, and such a parent would switch all traces off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from functions.gateway.value_classes import dataclass, field

MAX_STATE_CHARS = 512
"""Characters of a tracestate that is kept: what every vendor should pass on (W3C Trace Context, 3.3.1.5)."""

MAX_STATE_MEMBERS = 32
"""Members of a tracestate (W3C Trace Context, 3.3.1.1)."""

SAMPLERS = (
    *("always_on", "always_off", "traceidratio"),
    *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
)
"""Values of OTEL_TRACES_SAMPLER that are served."""

NO_TRACE, NO_SPAN = "0" * 32, "0" * 16
"""Ids that the grammar forbids."""

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(
    r"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
_XRAY_ROOT = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_XRAY_PARENT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Caller:
    """What a caller says of the trace. `span_id` is its own span, "" where it names the trace alone."""

    trace_id: str
    span_id: str = ""
    sampled: bool = False
    state: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which traces are recorded: a sampler of OpenTelemetry, and its ratio."""

    sampler: str = "parentbased_always_on"
    ratio: float = 1.0

    def takes(self, trace_id: str, caller: Caller | None) -> bool:
        """True for a trace that is recorded. The same trace gets one decision everywhere."""
        kind = self.sampler.removeprefix("parentbased_")
        if kind != self.sampler and caller is not None and caller.span_id:
            return caller.sampled
        if kind == "traceidratio":
            return int(trace_id[16:], 16) < round(self.ratio * (1 << 64))  # as the sampler of the SDKs decides
        return kind == "always_on"


def caller(parents: Sequence[str], states: Sequence[str]) -> Caller | None:
    """The caller of the values of `traceparent` and `tracestate`, one for each header line; None without a valid
    traceparent, and with several."""
    found = _PARENT.fullmatch(parents[0].strip(" \t")) if len(parents) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace_id == NO_TRACE or span_id == NO_SPAN:
        return None
    return Caller(trace_id, span_id, bool(int(flags, 16) & 1), _state(",".join(states)))


def caller_of_aws(value: str) -> Caller | None:
    """The caller of the value of `X-Amzn-Trace-Id`; None without a valid root."""
    parts = dict(part.strip().partition("=")[::2] for part in value.split(";"))
    root = _XRAY_ROOT.fullmatch(parts.get("Root", ""))
    if root is None or root[1] + root[2] == NO_TRACE:
        return None
    parent = parts.get("Parent", "")
    known = bool(_XRAY_PARENT.fullmatch(parent)) and parent != NO_SPAN and parts.get("Sampled") == "1"
    return Caller(root[1] + root[2], parent if known else "", known)


def headers(trace_id: str, span_id: str, state: str, *, sampled: bool) -> Mapping[str, str]:
    """The trace as headers of a request that this span makes."""
    parent = {"traceparent": f"00-{trace_id}-{span_id}-{sampled:02x}"}
    return {**parent, "tracestate": state} if state else parent


def _state(value: str) -> str:
    """The tracestate without empty members; "" for one that breaks the grammar."""
    members = [member for part in value.split(",") if (member := part.strip(" \t"))]
    keys = [found[1] for member in members if (found := _MEMBER.fullmatch(member))]
    written = ",".join(members)
    whole = len(keys) == len(members) == len(set(keys)) <= MAX_STATE_MEMBERS and len(written) <= MAX_STATE_CHARS
    return written if whole else ""
