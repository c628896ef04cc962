"""Every variable is read once, with all that is wrong told at once."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from functions.gateway import json_text, results
from functions.gateway.answers import Answer
from functions.gateway.grants import ServerConfig
from functions.gateway.prepared import prepare
from functions.gateway.settings import Settings, SettingsError
from tests.gateway.calling import tool

LAMBDA_ANSWER_BYTES = 6 * 1024 * 1024
"""Most that a function may answer to a synchronous invocation."""


def test_nothing_set_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_each_kind_of_value_is_read() -> None:
    settings = Settings.from_environment(
        {
            "POSTERN_STORE": "dynamodb",
            "POSTERN_TABLE": "postern",
            "POSTERN_MAX_RESULT_BYTES": "2000",
            "POSTERN_PRIVATE_UPSTREAMS": "TRUE",
            "POSTERN_ALLOWED_HOSTS": "a.example.com, b.example.com,",
            "UNRELATED": "x",
        }
    )
    assert (settings.store, settings.table) == ("dynamodb", "postern")
    assert settings.max_result_bytes == 2000
    assert settings.private_upstreams is True
    assert settings.allowed_hosts == ("a.example.com", "b.example.com")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as wrong:
        Settings.from_environment(
            {
                "POSTERN_STORE": "redis",
                "POSTERN_PRIVATE_UPSTREAMS": "yes",
                "POSTERN_MAX_RESULT_BYTES": "9",
                "POSTERN_CALL_TIMEOUT_SECONDS": "soon",
                "POSTERN_LOG_LEVEL": "LOUD",
            }
        )
    assert str(wrong.value) == (
        "POSTERN_STORE is 'redis'; valid: dynamodb, sqlite; "
        "POSTERN_PRIVATE_UPSTREAMS is 'yes'; valid: true, false; "
        "POSTERN_CALL_TIMEOUT_SECONDS is 'soon'; valid: a whole number from 1 to 840; "
        "POSTERN_MAX_RESULT_BYTES is '9'; valid: a whole number from 1000 to 1000000; "
        "POSTERN_LOG_LEVEL is 'LOUD'; valid: DEBUG, INFO, WARNING, ERROR"
    )


def test_dynamodb_without_a_table_is_told() -> None:
    with pytest.raises(SettingsError, match="POSTERN_TABLE is not set"):
        Settings.from_environment({"POSTERN_STORE": "dynamodb"})


def test_every_number_has_limits_and_a_default_within_them() -> None:
    for setting in fields(Settings):
        if isinstance(setting.default, int) and not isinstance(setting.default, bool):
            assert setting.metadata["least"] <= setting.default <= setting.metadata["most"], setting.name
        assert setting.metadata["help"]


@pytest.mark.parametrize("text", ["\\" * 999_000, '"' * 999_000, "é" * 999_000, "\u0001" * 999_000, "😀" * 999_000])
def test_the_largest_result_fits_a_lambda_answer_however_it_is_escaped(text: str) -> None:
    """A client receives a result as text and as structuredContent, and the platform's event holds both as a string."""
    [most] = [setting.metadata["most"] for setting in fields(Settings) if setting.name == "max_result_bytes"]
    settings = Settings(max_result_bytes=most, max_string_chars=most)
    body = results.shape(prepare(tool(method="get"), ServerConfig()), Answer(200, {"text": text}), {}, None, settings)
    assert most // 3 < json_text.size(body) <= most
    answer = {"content": [{"type": "text", "text": json_text.text(body)}], "structuredContent": body}
    event = json.dumps({"statusCode": 200, "body": json.dumps(answer, ensure_ascii=False)})
    assert len(event.encode()) <= LAMBDA_ANSWER_BYTES
