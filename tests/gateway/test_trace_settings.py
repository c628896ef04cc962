"""The variables of OpenTelemetry that are read, what is wrong with them, and what docs/settings.md says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.util.re import parse_env_headers

from functions.gateway import settings
from functions.gateway.settings import SettingsError
from functions.gateway.trace_context import Sampling
from functions.gateway.trace_settings import TraceSettings, headers
from tests.test_settings_documented import Noted

OTLP = "OTEL_EXPORTER_OTLP_"
COLLECTOR = "https://collector.example:4318"
PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def read(**variables: str) -> TraceSettings:
    return TraceSettings.from_environment(variables)


def refused(variables: Mapping[str, str]) -> str:
    with pytest.raises(SettingsError) as problem:
        TraceSettings.from_environment(variables)
    return str(problem.value)


def test_without_a_variable_nothing_is_recorded_and_nothing_passed_on() -> None:
    found = read()
    assert (found.endpoint, found.upstreams, found.sampling) == ("", (), Sampling("parentbased_always_on", 1.0))
    assert dict(found.resource) == {"service.name": "postern"}
    assert not settings.is_traced({})
    assert not settings.is_traced({f"{OTLP}ENDPOINT": "", "OTEL_TRACES_SAMPLER": "always_on"})


@pytest.mark.parametrize("variable", settings.TRACING)
def test_each_of_three_variables_asks_for_traces(variable: str) -> None:
    assert settings.is_traced({variable: "x"})


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({"ENDPOINT": COLLECTOR}, f"{COLLECTOR}/v1/traces"),
        ({"ENDPOINT": f"{COLLECTOR}/"}, f"{COLLECTOR}/v1/traces"),
        ({"ENDPOINT": f"{COLLECTOR}/otlp/"}, f"{COLLECTOR}/otlp/v1/traces"),
        ({"TRACES_ENDPOINT": f"{COLLECTOR}/own"}, f"{COLLECTOR}/own"),
        ({"TRACES_ENDPOINT": COLLECTOR}, COLLECTOR),
        ({"ENDPOINT": "http://127.0.0.1:4318", "TRACES_ENDPOINT": f"{COLLECTOR}/own"}, f"{COLLECTOR}/own"),
        ({"ENDPOINT": "http://[::1]:4318", "TRACES_ENDPOINT": ""}, "http://[::1]:4318/v1/traces"),
    ],
)
def test_the_endpoint_for_everything_gets_the_path_and_the_one_for_traces_is_taken_as_it_is(
    variables: dict[str, str], endpoint: str
) -> None:
    assert read(**{f"{OTLP}{name}": value for name, value in variables.items()}).endpoint == endpoint


@pytest.mark.parametrize("off", [{"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "TRUE"}])
def test_traces_can_be_turned_off_where_the_endpoint_is_everybody_s(off: dict[str, str]) -> None:
    """The environment of a laptop may be made for other programs: then nothing of it is wrong either."""
    assert read(**{f"{OTLP}ENDPOINT": COLLECTOR, f"{OTLP}PROTOCOL": "grpc", **off}).endpoint == ""


def test_every_variable_is_taken_and_the_one_for_traces_wins() -> None:
    found = read(
        **{
            f"{OTLP}ENDPOINT": COLLECTOR,
            f"{OTLP}HEADERS": "api-key=everybody",
            f"{OTLP}TRACES_HEADERS": "Api-Key=sécret%20one, x-team = memory%2Ctwo".replace("é", "%7E"),
            f"{OTLP}TIMEOUT": "1000",
            f"{OTLP}TRACES_TIMEOUT": "2500",
            f"{OTLP}COMPRESSION": "none",
            f"{OTLP}TRACES_COMPRESSION": "gzip",
            f"{OTLP}PROTOCOL": "grpc",
            f"{OTLP}TRACES_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.25",
            "OTEL_SERVICE_NAME": "gate",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,team=memory%20one,",
            "OTEL_TRACES_EXPORTER": "otlp",
            "POSTERN_TRACE_UPSTREAMS": "API.example.com, [::1]",
            "POSTERN_TRACE_HEADERS_SECRET_ID": "arn:of:a:secret",
        }
    )
    assert dict(found.headers) == {"api-key": "s~cret one", "x-team": "memory,two"}
    assert (found.timeout_seconds, found.gzip, found.sampling) == (
        2.5,
        True,
        Sampling("parentbased_traceidratio", 0.25),
    )
    assert dict(found.resource) == {"service.name": "gate", "team": "memory one"}
    assert found.upstreams == ("api.example.com", "::1")
    assert found.headers_secret_id == "arn:of:a:secret"
    assert [found.passes_to(host) for host in ("api.example.com", "Api.Example.com", "::1", "example.com", "")] == [
        *(True, True, True, False, False)
    ]
    assert read(POSTERN_TRACE_UPSTREAMS="*").passes_to("any.example")
    assert "cret one" not in repr(found)


WRONG = {
    f"{OTLP}ENDPOINT": [
        "collector:4318",
        "ftp://collector",
        "https://",
        "https://key:se-cret@collector",
        "https://collector:se-cret",
        "https://collector:65536",
        "https://[se-cret",
    ],
    f"{OTLP}TRACES_ENDPOINT": [
        "https://collector?key=se-cret",
        "https://collector/#se-cret",
        "https://a b",
        "https://é",
    ],
    f"{OTLP}HEADERS": [
        "se-cret",
        "=se-cret",
        "a b=se-cret",
        "key=se-cret%0d%0ax: 1",
        "key=se-cret%C3%A9",
        "a=1,se-cret",
    ],
    f"{OTLP}TRACES_TIMEOUT": ["0", "99", "50001", "soon", "-1", "1e3", "²"],
    f"{OTLP}COMPRESSION": ["zstd", "GZIP"],
    f"{OTLP}PROTOCOL": ["grpc", "http/xml"],
    "OTEL_TRACES_SAMPLER": ["jaeger_remote", "xray", "0.1"],
    "OTEL_TRACES_SAMPLER_ARG": ["1.1", "-0.1", "nan", "inf", "half", "10%"],
    "OTEL_TRACES_EXPORTER": ["zipkin", "console", "otlp,none"],
    "OTEL_RESOURCE_ATTRIBUTES": ["team", "=memory"],
    "POSTERN_TRACE_UPSTREAMS": ["https://api.example.com", "api.example.com:443", "api.example.com/v1", "é.example"],
}


@pytest.mark.parametrize(("variable", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_in_one_line_that_names_the_variable_and_no_secret(variable: str, value: str) -> None:
    said = refused({f"{OTLP}ENDPOINT": COLLECTOR, variable: value})
    assert said.startswith(f"{variable} ")
    assert "\n" not in said
    assert "se-cret" not in said


def test_every_problem_is_told_at_once() -> None:
    said = refused({name: values[0] for name, values in WRONG.items() if name != f"{OTLP}ENDPOINT"})
    # Without an endpoint nobody asks for the protocol.
    assert [part.split(" ")[0] for part in said.split("; ") if part.startswith(("OTEL_", "POSTERN_"))] == [
        "OTEL_TRACES_EXPORTER",
        f"{OTLP}TRACES_ENDPOINT",
        f"{OTLP}TRACES_TIMEOUT",
        "OTEL_TRACES_SAMPLER_ARG",
        f"{OTLP}HEADERS",
        f"{OTLP}COMPRESSION",
        "OTEL_TRACES_SAMPLER",
        "POSTERN_TRACE_UPSTREAMS",
        "OTEL_RESOURCE_ATTRIBUTES",
    ]


names = st.text("abcXYZ-_09", min_size=1, max_size=6)
contents = st.text("abc XYZ09-=/+.%", max_size=12).map(lambda text: text.replace("%", "%25").replace(" ", "%20"))


@given(st.lists(st.tuples(names, contents), max_size=4))
def test_headers_are_read_as_by_the_sdk(pairs: list[tuple[str, str]]) -> None:
    text = ",".join(f"{name}={value}" for name, value in pairs)
    assert headers(text) == parse_env_headers(text)


def test_every_variable_that_is_read_is_documented_and_no_other() -> None:
    noted = Noted({f"{OTLP}ENDPOINT": COLLECTOR})
    TraceSettings.from_environment(noted)
    documented = set(re.findall(r"\b(?:OTEL_[A-Z_]+|POSTERN_TRACE_[A-Z_]+)\b", PAGE.read_text("utf-8")))
    assert documented == noted.asked
