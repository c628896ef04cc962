"""Whether a JSON Schema that a client sends is valid, checked before it is stored."""

from __future__ import annotations

from typing import Any

MAX_REASON = 200
"""Characters shown of a validator's message, which may quote the whole schema."""

_DRAFTS = (
    *("https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema"),
    *("http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-06/schema"),
    "http://json-schema.org/draft-04/schema",
)


def schema_problem(schema: dict[str, Any]) -> str | None:
    """Why the object is not a JSON Schema (draft 2020-12, or the draft that its `$schema` names), or None."""
    from jsonschema_rs import ValidationError, meta

    named = schema.get("$schema", _DRAFTS[0])
    # The validator would fetch any other address.
    if not isinstance(named, str) or named.rstrip("#") not in _DRAFTS:
        return f"$schema must be one of {', '.join(_DRAFTS)}"
    try:
        meta.validate(schema)
    except ValidationError as problem:
        place = "/".join(str(part) for part in problem.instance_path)
        return f'not a valid JSON Schema at "{place or "/"}": {problem.message}'[:MAX_REASON]
    except (ValueError, RecursionError) as problem:
        return f"not a valid JSON Schema: {problem}"[:MAX_REASON]
    return None
