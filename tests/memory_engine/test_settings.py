"""What the engine can be told, by value and by environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from functions.memory_engine.settings import EngineSettings, ModelEndpoint, PackagedModel, SettingsError


def test_an_empty_environment_is_an_engine_in_memory_that_accepts_any_key() -> None:
    settings = EngineSettings.from_environment({})
    assert (settings.path, settings.api_keys, settings.rate_limit_per_minute) == (":memory:", (), None)
    assert (settings.latency_ms, settings.failure_rate, settings.llm, settings.embedder) == (0, 0.0, None, None)


def test_every_name_of_the_environment_is_read() -> None:
    names = {
        "PATH": "/data/memory.db",
        "API_KEYS": "m0-a, m0-b,",
        "ORG_ID": "o",
        "PROJECT_ID": "p",
        "USER_EMAIL": "me@example.com",
        "RATE_LIMIT_PER_MINUTE": "60",
        "LATENCY_MS": "20",
        "FAILURE_RATE": "0.25",
        "LLM_BASE_URL": "http://127.0.0.1:1/v1/",
        "LLM_MODEL": "small",
        "LLM_API_KEY": "secret-a",
        "EMBEDDER_BASE_URL": "http://127.0.0.1:2/v1",
        "EMBEDDER_MODEL": "tiny",
        "EMBEDDER_DIMENSIONS": "384",
        "EMBEDDER_TIMEOUT_SECONDS": "3",
    }
    settings = EngineSettings.from_environment({f"POSTERN_MEMORY_{name}": value for name, value in names.items()})
    assert settings.path == Path("/data/memory.db")
    assert settings.api_keys == ("m0-a", "m0-b")
    assert (settings.org_id, settings.project_id, settings.user_email) == ("o", "p", "me@example.com")
    assert (settings.rate_limit_per_minute, settings.latency_ms, settings.failure_rate) == (60, 20, 0.25)
    assert settings.llm == ModelEndpoint("http://127.0.0.1:1/v1", "small", "secret-a")
    assert settings.embedder == ModelEndpoint("http://127.0.0.1:2/v1", "tiny", "", 384, 3.0)


def test_the_packaged_model_needs_no_url_and_every_other_model_does() -> None:
    name = {"POSTERN_MEMORY_EMBEDDER_MODEL": "all-MiniLM-L6-v2"}
    assert EngineSettings.from_environment(name).embedder == PackagedModel()
    served = EngineSettings.from_environment({**name, "POSTERN_MEMORY_EMBEDDER_BASE_URL": "http://127.0.0.1:2/v1"})
    assert served.embedder == ModelEndpoint("http://127.0.0.1:2/v1", "all-MiniLM-L6-v2")
    with pytest.raises(SettingsError, match="only one is set; only all-MiniLM-L6-v2 needs no URL"):
        EngineSettings.from_environment({"POSTERN_MEMORY_EMBEDDER_MODEL": "tiny"})


def test_no_secret_is_in_the_repr() -> None:
    settings = EngineSettings(api_keys=("m0-secret",), llm=ModelEndpoint("http://127.0.0.1/", "m", "llm-secret"))
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("RATE_LIMIT_PER_MINUTE", "many", "POSTERN_MEMORY_RATE_LIMIT_PER_MINUTE is 'many'; give a number"),
        (
            "RATE_LIMIT_PER_MINUTE",
            "-1",
            "rate_limit_per_minute is -1; give a whole number from 1, or leave it unset",
        ),
        ("FAILURE_RATE", "2", "failure_rate is 2.0; give a share from 0 to 1"),
        ("LATENCY_MS", "-5", "latency_ms is -5; give milliseconds from 0"),
        (
            "LLM_MODEL",
            "small",
            "POSTERN_MEMORY_LLM_BASE_URL and POSTERN_MEMORY_LLM_MODEL go together; only one is set",
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: Any, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        EngineSettings.from_environment({f"POSTERN_MEMORY_{name}": value})
    assert str(refused.value) == text


def test_a_blank_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="blank key"):
        EngineSettings(api_keys=("a", " "))
