"""Host and Origin: one check for a deployment and for a laptop."""

from __future__ import annotations

import pytest

from functions.gateway.doorway import PRESETS, Doorway, origin_problem
from functions.gateway.errors import Forbidden, Misdirected

NAMED = Doorway(("mcp.example", "localhost:8765"), ())


@pytest.mark.parametrize("host", ["mcp.example", "MCP.example:443", "localhost:8765", " mcp.example "])
def test_a_named_host_is_served_with_any_port(host: str) -> None:
    NAMED.check([host], [])
    NAMED.check([host], [], "other.example")


@pytest.mark.parametrize(
    "hosts",
    [[], [""], ["evil.example"], ["mcp.example.evil.example"], ["mcp.example:x"], ["mcp.example", "mcp.example"]],
)
def test_another_host_is_misdirected_where_hosts_are_named(hosts: list[str]) -> None:
    with pytest.raises(Misdirected):
        NAMED.check(hosts, [])


def test_without_named_hosts_the_one_that_the_platform_says_is_served() -> None:
    unnamed = Doorway((), ())
    unnamed.check(["id.lambda-url.eu-west-1.on.aws"], [], "id.lambda-url.eu-west-1.on.aws")
    unnamed.check(["id.lambda-url.eu-west-1.on.aws:443"], [], "id.lambda-url.eu-west-1.on.aws")
    unnamed.check([], [], "id.lambda-url.eu-west-1.on.aws")  # the console's own test sends no header
    with pytest.raises(Misdirected):
        unnamed.check(["evil.example"], [], "id.lambda-url.eu-west-1.on.aws")
    unnamed.check(["any.example"], [])


@pytest.mark.parametrize("origin", ["https://app.example", "https://claude.ai", "null", "", "http://localhost:3000"])
def test_no_origin_is_allowed_that_was_not_named(origin: str) -> None:
    """2026-07-28 transports: an Origin that is present and invalid gets 403."""
    with pytest.raises(Forbidden):
        Doorway((), ()).check([], [origin])
    Doorway((), ("*",)).check([], [origin])


def test_a_request_without_an_origin_passes() -> None:
    Doorway((), ()).check([], [])


def test_a_named_origin_is_allowed_and_one_that_begins_like_it_is_not() -> None:
    named = Doorway((), ("https://app.example",))
    named.check([], ["https://app.example"])
    for wrong in ("https://app.example.evil", "http://app.example", "https://app.example:444", "https://APP.example"):
        with pytest.raises(Forbidden):
            named.check([], [wrong])
    with pytest.raises(Forbidden):
        named.check([], ["https://app.example", "https://evil.example"])


@pytest.mark.parametrize("origin", PRESETS["web-hosts"])
def test_the_word_for_the_known_web_hosts_stands_for_each_of_them(origin: str) -> None:
    Doorway((), ("web-hosts",)).check([], [origin])
    assert origin_problem(origin) == ""
    with pytest.raises(Forbidden):
        Doorway((), ("this-machine",)).check([], [origin])


@pytest.mark.parametrize("origin", ["http://localhost:6274", "http://127.0.0.1", "chrome-extension://abcdefgh"])
def test_the_word_for_this_machine_stands_for_its_pages_and_extensions(origin: str) -> None:
    Doorway((), ("this-machine",)).check([], [origin])
    with pytest.raises(Forbidden):
        Doorway((), ("web-hosts",)).check([], [origin])


@pytest.mark.parametrize("origin", ["http://127.0.0.1.evil.example", "null", "http://[", "file://", "web-hosts", "*"])
def test_no_word_stands_for_another_origin(origin: str) -> None:
    with pytest.raises(Forbidden):
        Doorway((), ("this-machine", "https://app.example")).check([], [origin])


@pytest.mark.parametrize("written", ["*", "web-hosts", "this-machine", "null", "https://a.example", "http://a:81"])
def test_what_can_be_named_is_right(written: str) -> None:
    assert origin_problem(written) == ""


@pytest.mark.parametrize(
    "written", ["a.example", "https://a.example/", "https://A.example", "https://", "web", "http://["]
)
def test_what_no_browser_sends_is_refused_at_the_start(written: str) -> None:
    assert origin_problem(written).startswith("valid: origins such as https://app.example, in lower case and without")


def test_a_request_that_came_around_the_network_in_front_is_refused() -> None:
    closed = Doorway((), ("*",), "s" * 43)
    for wrong in ("", "s" * 42, "S" * 43, "é"):
        with pytest.raises(Forbidden, match="reached through its own domain"):
            closed.check(["mcp.example"], [], "", wrong)
    closed.check(["mcp.example"], [], "", "s" * 43)
    assert "sss" not in repr(closed)
