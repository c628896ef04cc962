"""Our signature against the official one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from functions.stores.credentials import Credentials
from functions.stores.sigv4 import Signer

NOW = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)


def official(credentials: Credentials, region: str, ours: dict[str, str], body: bytes, now: datetime) -> str:
    """What botocore writes into `Authorization` for the same request."""
    headers = {name: ours[name] for name in ("content-type", "x-amz-target")}
    request = AWSRequest("POST", f"https://{ours['host']}/", headers=headers, data=body)
    keys = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    # botocore takes its time from a clock of its own, so here, and only here, a clock is replaced.
    with patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=None)):
        SigV4Auth(keys, "dynamodb", region).add_auth(request)
    return str(request.headers["Authorization"])


@pytest.mark.parametrize("session_token", [None, "IQoJb3JpZ2luX2VjE//+=="], ids=["user", "role"])
@pytest.mark.parametrize("host", ["dynamodb.eu-central-1.amazonaws.com", "localhost:8123"])
def test_the_signature_is_the_one_botocore_writes(session_token: str | None, host: str) -> None:
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session_token)
    body = b'{"TableName":"t","Key":{"pk":{"S":"TOKEN#1"},"sk":{"S":"-"}},"ConsistentRead":true}'
    signer = Signer(lambda now: credentials, "eu-central-1", "dynamodb")
    ours = signer.headers(host, "DynamoDB_20120810.GetItem", body, NOW)
    assert ours["authorization"] == official(credentials, "eu-central-1", ours, body, NOW)


@given(
    body=st.binary(max_size=200),
    access_key=st.text("ABCXYZ0189", min_size=4, max_size=20),
    secret_key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60),
    seconds=st.integers(0, 10 * 366 * 86_400),
)
def test_any_request_is_signed_as_botocore_signs_it(
    body: bytes, access_key: str, secret_key: str, seconds: int
) -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    credentials = Credentials(access_key, secret_key, "session")
    signer = Signer(lambda now: credentials, "us-east-1", "dynamodb")
    ours = signer.headers("dynamodb.us-east-1.amazonaws.com", "DynamoDB_20120810.Query", body, now)
    expected = official(credentials, "us-east-1", ours, body, now)
    assert ours["authorization"] == expected


def test_the_day_key_changes_with_the_utc_day() -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret")
    signer = Signer(lambda now: credentials, "us-east-1", "dynamodb")
    for now in (NOW, NOW + timedelta(seconds=1), NOW):
        ours = signer.headers("host", "DynamoDB_20120810.GetItem", b"{}", now)
        assert ours["authorization"] == official(credentials, "us-east-1", ours, b"{}", now)


def test_a_new_secret_signs_at_once() -> None:
    current = [Credentials("AKIDOLD", "old", "session-1")]
    signer = Signer(lambda now: current[0], "us-east-1", "dynamodb")
    for keys in (current[0], Credentials("AKIDNEW", "new", "session-2"), current[0]):
        current[0] = keys
        ours = signer.headers("host", "DynamoDB_20120810.GetItem", b"{}", NOW)
        assert ours["authorization"] == official(keys, "us-east-1", ours, b"{}", NOW)
        assert ours["x-amz-security-token"] == keys.session_token
