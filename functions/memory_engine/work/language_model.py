"""One question to an OpenAI-compatible chat endpoint, one JSON object as the answer."""

from __future__ import annotations

import json
from typing import Any

import httpx

from functions.memory_engine.settings import ModelEndpoint


class LanguageModelFailed(Exception):
    """The language model did not give a usable answer. The text says what it did."""


def ask(endpoint: ModelEndpoint, instructions: str, request: Any) -> dict[str, Any]:
    """Returns the object that the model answered. Raises LanguageModelFailed."""
    headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    body = {
        "model": endpoint.model,
        "temperature": 0,
        "response_format": {"type": "json_object"},
        "messages": [
            {"role": "system", "content": instructions},
            {"role": "user", "content": json.dumps(request, ensure_ascii=False)},
        ],
    }
    try:
        response = httpx.post(
            f"{endpoint.base_url.rstrip('/')}/chat/completions",
            json=body,
            headers=headers,
            timeout=endpoint.timeout_seconds,
        )
        response.raise_for_status()
        text = response.json()["choices"][0]["message"]["content"]
        answer = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except httpx.HTTPStatusError as problem:
        raise LanguageModelFailed(f"the language model answered {problem.response.status_code}") from None
    except httpx.HTTPError as problem:
        raise LanguageModelFailed(f"the language model did not answer: {type(problem).__name__}") from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise LanguageModelFailed("the language model's answer is not a JSON object") from None
    assert isinstance(answer, dict)
    return answer
