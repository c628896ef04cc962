"""Every error has an answer on every plane, and every text of it has a UTF-8 form."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.gateway import errors
from functions.gateway.json_text import well_formed
from functions.gateway.rate_limits import RateLimit


def made(kind: type[errors.PosternError]) -> errors.PosternError:
    if kind is errors.WrongArguments:
        return errors.WrongArguments(["one", "two"])
    if kind is errors.CallLimited:
        return errors.CallLimited("said", RateLimit(60, 0, 1, 1))
    if kind is errors.ConfirmationNeeded:
        ends = datetime(2026, 11, 21, 12, 10, tzinfo=UTC)
        about: dict[str, Any] = {
            "reason": "said",
            "touches": "2 things",
            "raw_response": None,
            "argument": "confirmation_code",
        }
        return errors.ConfirmationNeeded(**about, code="c", ends=ends, person=False, link="", server_id="srv_1")
    if kind is errors.Declined:
        return errors.Declined()
    if kind is errors.Unconfirmable:
        return errors.Unconfirmable("said")
    if issubclass(kind, errors.ToolFailure):
        return kind("said", upstream_status=418, raw_response={"a": 1}, detail="d")
    if issubclass(kind, errors.Refused):
        return kind("said", details={"valid": []}, retry_after=4, detail="d")
    return kind("said", detail="d")


def everyone(kind: type[errors.PosternError] = errors.PosternError) -> list[type[errors.PosternError]]:
    below = [found for found in kind.__subclasses__() if found.__module__ == errors.__name__]
    return [kind, *(deeper for found in below for deeper in everyone(found))]


@pytest.mark.parametrize("kind", everyone())
def test_every_error_is_told_on_all_three_planes_and_its_detail_on_none(kind: type[errors.PosternError]) -> None:
    error = made(kind)
    error.detail = "only for the log"
    status, body, headers = errors.http(error)
    assert 400 <= status < 600
    assert isinstance(errors.rpc_code(error), int)
    if isinstance(error, errors.ToolFailure):
        assert body == errors.envelope(error)
        assert list(body) == ["status_code", "error", "message", "is_remote_error", "raw_response", "rate_limit"]
        assert body["status_code"] == status
    assert all(isinstance(value, str) for value in headers.values())
    assert "only for the log" not in json.dumps([body, headers]) + str(error)


def test_the_tree_of_the_docstring_is_the_tree_of_the_code() -> None:
    assert errors.__doc__ is not None
    assert {kind.__name__ for kind in everyone()} == {
        word
        for line in errors.__doc__.split("`http`")[0].splitlines()
        for word in line.replace("|", " ").replace("`--", " ").replace("|--", " ").replace("--", " ").split()[:1]
        if word[:1].isupper() and word != "Every"
    }


def test_all_problems_of_wrong_arguments_stand_in_one_message() -> None:
    error = errors.WrongArguments(["one", "two"])
    assert error.message == "one\ntwo"
    assert error.lines == error.problems == ("one", "two")


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (1, "p0"),
        (2, "2 problems: p0; p1"),
        (20, "20 problems: " + "; ".join(f"p{n}" for n in range(20))),
        (23, "23 problems: " + "; ".join(f"p{n}" for n in range(20)) + "; and 3 more problems"),
    ],
)
def test_all_problems_of_an_input_stand_in_the_message_and_in_the_details(count: int, message: str) -> None:
    error = errors.invalid([f"p{n}" for n in range(count)])
    assert error.message == message
    assert "; ".join(error.details["problems"]) == message.removeprefix(f"{count} problems: ")


def test_a_refusal_carries_what_is_valid_and_when_to_come_back() -> None:
    status, body, headers = errors.http(errors.Unavailable("busy", details=["x"], retry_after=4))
    assert (status, headers) == (503, {"retry-after": "4"})
    assert body == {"statusCode": 503, "error": "Service Unavailable", "message": "busy", "details": ["x"]}


def test_an_upstreams_refusal_keeps_its_status() -> None:
    status, body, _ = errors.http(errors.UpstreamRefused("no", upstream_status=429))
    assert (status, body["error"]) == (429, "Too Many Requests")


def test_a_status_without_a_name_is_told_by_its_number() -> None:
    assert errors.envelope(errors.UpstreamRefused("no", upstream_status=599))["error"] == "Status 599"


def test_codes_of_json_rpc_errors_are_the_documented_ones() -> None:
    assert errors.rpc_code(errors.UnknownTool("x")) == -32602
    assert errors.rpc_code(errors.NotFound("x")) == 40401
    assert errors.rpc_code(errors.WrongVerb("x")) == 40501
    assert errors.rpc_code(errors.Misdirected("x")) == 42101
    assert errors.rpc_code(errors.PosternError("x")) == -32603


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain", "plain"),
        ("é😀", "é😀"),
        ("half \ud83d", "half \ufffd"),
        ("\udc00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_half_of_a_surrogate_pair_never_gets_into_a_message(text: str, told: str) -> None:
    assert well_formed(text) == told
    error = errors.NotFound(text)
    assert error.message == told
    assert str(error).encode().decode() == told
