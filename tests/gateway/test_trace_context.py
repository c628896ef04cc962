"""The trace of a caller: the W3C grammar, held against the official SDK, and which traces are recorded."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from functions.gateway.trace_context import (
    MAX_STATE_CHARS,
    MAX_STATE_MEMBERS,
    SAMPLERS,
    Caller,
    Sampling,
    caller,
    caller_of_aws,
    headers,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Lines(Getter[dict[str, list[str]]]):
    """The header lines of a request, as the SDK asks for them."""

    def get(self, carrier: dict[str, list[str]], key: str) -> list[str] | None:
        return carrier.get(key)

    def keys(self, carrier: dict[str, list[str]]) -> list[str]:
        return list(carrier)


def by_the_sdk(parent: str, states: list[str]) -> Caller | None:
    """What the official propagator reads."""
    carrier = {"traceparent": [parent], "tracestate": states}
    context = TraceContextTextMapPropagator().extract(carrier, getter=Lines())
    found = trace.get_current_span(context).get_span_context()
    if not found.is_valid:
        return None
    ids = trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)
    return Caller(*ids, bool(found.trace_flags & 1), found.trace_state.to_header())


hexadecimal = st.text("0123456789abcdef", min_size=1, max_size=40)
right = st.builds(
    "-".join,
    st.tuples(
        st.sampled_from(["00", "01", "cc", "fe", "ff"]),
        st.text("0123456789abcdef", min_size=32, max_size=32) | st.sampled_from([TRACE, "0" * 32]),
        st.text("0123456789abcdef", min_size=16, max_size=16) | st.sampled_from([SPAN, "0" * 16]),
        st.text("0123456789abcdef", min_size=2, max_size=2),
    ),
)
mangled = st.builds(
    lambda text, at, with_: text[:at] + with_ + text[at + 1 :],
    right,
    st.integers(0, 54),
    st.text("0fFgG- \t.é", max_size=2),
)
parents = (
    right
    | mangled
    | st.builds("{}{}".format, right, st.sampled_from(["-", "-09", "-what-is-later", " ", "\t", "x", "--"]))
    | st.builds("-".join, st.lists(hexadecimal, max_size=6))
    | st.text(max_size=60)
)
keys = st.from_regex(r"\A[a-z0-9@_*/-]{1,8}\Z") | st.sampled_from(["a", "1a@b", "1a", "A", "a@", "@a", "a" * 257, ""])
values = st.text("abz09 ~!,=\té;:", max_size=8) | st.sampled_from(["1", "v" * 256, "v" * 257, ""])
members = st.builds("{}={}".format, keys, values) | st.sampled_from(["", " ", "a", "=", "a=1", "b=2 ", "\tc=3\t"])
states = st.lists(st.lists(members, max_size=40).map(",".join), max_size=2)


@given(parents, states)
@example(PARENT, ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"])
@example(f"01-{TRACE}-{SPAN}-01-what-is-later", [])
@example(f"00-{TRACE}-{SPAN}-01-more", [])
@example(f" {PARENT}\t", ["a=1", "b=2"])
@example(PARENT, [",".join(f"k{n}=v" for n in range(33))])
@example(PARENT, ["a=1,a=2"])
def test_headers_are_read_as_the_official_propagator_reads_them(parent: str, lines: list[str]) -> None:
    # Longer ones are left out here, and kept by the SDK up to 8,192 characters.
    assume(len(",".join(member.strip(" \t") for member in ",".join(lines).split(","))) <= MAX_STATE_CHARS)
    # The SDK lets anything follow a later version's flags, a line feed too, which no header line holds.
    assume("\n" not in parent)
    assert caller([parent], lines) == by_the_sdk(parent, lines)


@pytest.mark.parametrize("lines", [[], [PARENT, PARENT], [PARENT, ""], ["", PARENT]])
def test_none_and_several_traceparents_name_no_trace(lines: list[str]) -> None:
    assert caller(lines, []) is None


def test_a_state_that_is_too_long_is_left_out_whole_and_the_parent_is_kept() -> None:
    longest = f"a={'v' * 251},b={'w' * 256}"
    assert len(longest) == MAX_STATE_CHARS
    for state, kept in ((longest, True), (f"{longest},c=x", False)):
        found = caller([PARENT], [state])
        assert found is not None
        assert (found.trace_id, found.state) == (TRACE, state if kept else "")


@pytest.mark.parametrize(("count", "kept"), [(MAX_STATE_MEMBERS, True), (MAX_STATE_MEMBERS + 1, False)])
def test_a_state_has_at_most_so_many_members(count: int, kept: bool) -> None:
    found = caller([PARENT], [",".join(f"k{n}=v" for n in range(count))])
    assert found is not None
    assert bool(found.state) is kept


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Root=1-5759e988-bd862e3fe1be46a994272793", Caller("5759e988bd862e3fe1be46a994272793")),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            Caller("5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8", True),
        ),
        (
            "Sampled=1; Parent=53995c3f42cd8ad8; Root=1-5759e988-bd862e3fe1be46a994272793; Lineage=a:0",
            Caller("5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8", True),
        ),
        # AWS writes this where nobody asked for X-Ray: its decision is not one about our traces.
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
            Caller("5759e988bd862e3fe1be46a994272793"),
        ),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000;Sampled=1",
            Caller("5759e988bd862e3fe1be46a994272793"),
        ),
        ("Root=1-00000000-000000000000000000000000", None),
        ("Root=2-5759e988-bd862e3fe1be46a994272793", None),
        ("Root=1-5759E988-bd862e3fe1be46a994272793", None),
        ("Self=1-5759e988-bd862e3fe1be46a994272793", None),
        ("Root", None),
        ("", None),
    ],
)
def test_the_header_of_aws_names_a_trace_and_a_parent_only_where_it_is_sampled(
    value: str, found: Caller | None
) -> None:
    assert caller_of_aws(value) == found


@given(st.text(max_size=100))
def test_no_value_of_the_header_of_aws_raises(value: str) -> None:
    caller_of_aws(value)


trace_ids = st.integers(1, 2**128 - 1).map(lambda number: f"{number:032x}")
callers = st.none() | st.builds(Caller, trace_ids, st.sampled_from(["", SPAN]), st.booleans())


def sampler_of_the_sdk(name: str, ratio: float) -> sdk.Sampler:
    root = {
        "always_on": sdk.ALWAYS_ON,
        "always_off": sdk.ALWAYS_OFF,
        "traceidratio": sdk.TraceIdRatioBased(ratio),
    }[name.removeprefix("parentbased_")]
    return sdk.ParentBased(root) if name.startswith("parentbased_") else root


@given(st.sampled_from(SAMPLERS), st.floats(0, 1), trace_ids, callers)
@example("traceidratio", 0.5, f"{'f' * 16}{'7' * 16}", None)
@example("traceidratio", 0.0, f"{'f' * 16}{'0' * 16}", None)
@example("traceidratio", 1.0, "f" * 32, None)
@example("parentbased_traceidratio", 0.0, TRACE, Caller(TRACE, SPAN, True))
def test_traces_are_sampled_as_by_the_sdk(name: str, ratio: float, trace_id: str, known: Caller | None) -> None:
    context = None
    if known is not None and known.span_id:
        flags = TraceFlags(TraceFlags.SAMPLED if known.sampled else 0)
        remote = SpanContext(int(trace_id, 16), int(SPAN, 16), is_remote=True, trace_flags=flags)
        context = trace.set_span_in_context(NonRecordingSpan(remote))
    result = sampler_of_the_sdk(name, ratio).should_sample(context, int(trace_id, 16), "tools/call")
    assert Sampling(name, ratio).takes(trace_id, known) is (result.decision is sdk.Decision.RECORD_AND_SAMPLE)


@given(st.booleans(), st.sampled_from(["", "a=1,b=2"]))
def test_what_is_passed_on_is_read_back_by_the_sdk(sampled: bool, state: str) -> None:
    written = headers(TRACE, SPAN, state, sampled=sampled)
    assert by_the_sdk(written["traceparent"], [written[name] for name in written if name == "tracestate"]) == Caller(
        TRACE, SPAN, sampled, state
    )
