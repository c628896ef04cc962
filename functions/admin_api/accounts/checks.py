"""What an operator may give for an account: credential fields and context. gateway/addresses.py judges the base URL."""

from __future__ import annotations

from collections.abc import Mapping

from functions.admin_api.accounts.contract import MAX_CONTEXT_CHARS, MAX_CREDENTIAL_CHARS
from functions.gateway.credentials import Credential
from functions.gateway.errors import invalid
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown
from tool_catalog.catalog import Catalog


def check_credential(catalog: Catalog, fields: Mapping[str, Json]) -> Credential:
    """The credential. Raises Invalid, without a value in it, when the fields are not those of the integration."""
    known = list(catalog.credentials)
    problems = [f"credentials.{name}: unknown key{did_you_mean(name, known)}" for name in fields if name not in known]
    for name, described in catalog.credentials.items():
        where = f"credentials.{name}"
        if name not in fields:
            if described.get("required", True):
                problems.append(f"{where} is missing; it is required: {described['description']}")
            continue
        value = fields[name]
        if not isinstance(value, str) or not value:
            problems.append(f"{where} must be a non-empty string")
        elif value != value.strip():
            problems.append(f"{where} starts or ends with a space or a line break; remove it")
        elif len(value) > MAX_CREDENTIAL_CHARS:
            problems.append(f"{where} has {len(value):,} characters; at most {MAX_CREDENTIAL_CHARS:,} are allowed")
        elif catalog.auth.scheme in ("header", "bearer") and not (value.isascii() and value.isprintable()):
            problems.append(f"{where} holds characters that a header cannot carry; it must be printable ASCII")
    if problems:
        raise invalid(problems)
    return Credential(dict(fields))


def check_context(catalog: Catalog, values: Mapping[str, Json], *, removable: bool = False) -> dict[str, Json]:
    """The context. Raises Invalid for a key that the integration does not have. `removable` allows null."""
    known = list(catalog.context)
    problems = []
    for name, value in values.items():
        if name not in known:
            problems.append(f"context.{name}: unknown key{did_you_mean(name, known)}")
        elif not (removable and value is None) and not (isinstance(value, str) and 0 < len(value) <= MAX_CONTEXT_CHARS):
            problems.append(
                f"context.{name} is {shown(value)}; it must be a string of 1 to {MAX_CONTEXT_CHARS} characters"
            )
    if problems:
        raise invalid(problems)
    return dict(values)
