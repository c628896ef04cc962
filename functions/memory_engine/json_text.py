"""JSON text as the engine stores and sends it, and the strict reading of what clients send."""

from __future__ import annotations

import json
from typing import Any


class BadJson(ValueError):
    """The body is not JSON, or is JSON that cannot be stored. The text says why."""


def decode(raw: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN, no lone surrogates (they have no UTF-8 form), no nesting that exhausts the stack."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise BadJson("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise BadJson("it contains half of a surrogate pair, which is not text") from None
    except UnicodeDecodeError as problem:
        raise BadJson(f"it is not UTF-8: byte {problem.start} is {raw[problem.start]:#04x}") from None
    except ValueError as problem:
        raise BadJson(str(problem)) from None
    return value


def encode(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
