"""Every variable is read once, with all that is wrong told at once."""

from __future__ import annotations

from dataclasses import fields

import pytest

from functions.gateway.settings import Settings, SettingsError


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
        "POSTERN_PRIVATE_UPSTREAMS is 'yes'; valid: true, false; "
        "POSTERN_CALL_TIMEOUT_SECONDS is 'soon'; valid: a whole number from 1 to 840; "
        "POSTERN_MAX_RESULT_BYTES is '9'; valid: a whole number from 1000 to 1000000; "
        "POSTERN_STORE is 'redis'; valid: dynamodb, sqlite; "
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


def test_the_largest_result_fits_a_lambda_answer_however_it_is_escaped() -> None:
    """Text and structuredContent hold the result twice, the text escaped; the platform's JSON escapes both again."""
    [most] = [setting.metadata["most"] for setting in fields(Settings) if setting.name == "max_result_bytes"]
    in_structure, in_text, platform = 1, 2, 2
    assert most * (in_structure + in_text) * platform <= 6 * 1024 * 1024
