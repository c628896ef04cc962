"""The specification as a whole becomes integration.yaml: base URL, auth, credentials, rate limits, instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tool_catalog.catalog import Json
from tool_catalog.integration import INSTRUCTIONS_LENGTH
from tool_catalog.openapi import security, servers
from tool_catalog.openapi.document import Document, Node, Operation, Unresolvable
from tool_catalog.openapi.texts import ended, fitted, plain, unmarked
from tool_catalog.yaml_source import KeyPath

LABEL = 60
"""Characters of the integration's label."""

COVERED = 20
"""Resources that the instructions name."""

_LIMIT_HEADERS = {
    "limit": re.compile(r"x-?rate-?limit-limit|ratelimit-limit", re.IGNORECASE),
    "remaining": re.compile(r"x-?rate-?limit-remaining|ratelimit-remaining", re.IGNORECASE),
    "reset": re.compile(r"x-?rate-?limit-reset|ratelimit-reset", re.IGNORECASE),
    "retry_after": re.compile(r"retry-after", re.IGNORECASE),
}


@dataclass(slots=True)
class IntegrationDraft:
    """integration.yaml, its comments by path, and what an operation has instead of it, by the operation's key.

    `own_auth`   the auth of operations that need another credential than the rest.
    `prefixes`   what stands between the base URL and the path of an operation.
    `not_callable`  why no tool can be made of an operation: another host, or a credential that cannot be sent.
    `credential_names`  names of the parameters that carry a credential, in lower case.
    """

    data: dict[str, Json]
    comments: dict[KeyPath, str] = field(default_factory=dict)
    own_auth: dict[str, dict[str, Json]] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    not_callable: dict[str, str] = field(default_factory=dict)
    credential_names: frozenset[str] = frozenset()


def draft(document: Document, integration: str, operations: list[Operation], base_url: str | None) -> IntegrationDraft:
    """integration.yaml without its instructions. `base_url` replaces the server of the specification."""
    made = IntegrationDraft({})
    made.data["integration"] = integration
    made.data["label"] = fitted(unmarked(_info(document).get("title")) or integration, LABEL)
    where = servers.chosen(document, operations, base_url)
    made.data["base_url"] = where.base_url
    if where.comment:
        made.comments["base_url",] = where.comment
    made.prefixes, made.not_callable = where.prefixes, where.elsewhere
    how = security.chosen(document, operations)
    made.data["auth"], made.data["credentials"] = how.auth, how.credentials
    if not how.credentials:
        del made.data["credentials"]
    if how.comment:
        made.comments["auth",] = how.comment
    made.own_auth, made.credential_names = how.own, how.parameter_names
    made.not_callable = {**how.not_callable, **made.not_callable}
    if limits := _rate_limits(document, operations):
        made.data["rate_limits"] = limits
    made.comments["instructions",] = (
        "# from the source; clients show this text to their model, so say what the API is for"
    )
    return made


def instructions(document: Document, resources: list[str]) -> str:
    """What the specification says about its purpose, and the resources that have records."""
    title, text = unmarked(_info(document).get("title")), plain(_info(document).get("description"))
    said = ended(text) if text.lower().startswith(title.lower()) else f"{ended(title)} {ended(text)}".strip()
    covered = f"Covers {', '.join(name.replace('_', ' ') for name in resources[:COVERED])}"
    covered += "." if len(resources) <= COVERED else f" and {len(resources) - COVERED} more."
    return f"{fitted(said, INSTRUCTIONS_LENGTH[1] - len(covered) - 1)} {covered}".strip()


def _info(document: Document) -> Node:
    info = document.data.get("info")
    return info if isinstance(info, dict) else {}


def _rate_limits(document: Document, operations: list[Operation]) -> dict[str, str]:
    """The documented headers that state a rate limit."""
    found: dict[str, str] = {}
    for operation in operations:
        responses = operation.data.get("responses")
        for response in responses.values() if isinstance(responses, dict) else ():
            try:
                headers = document.resolve(response).get("headers")
            except Unresolvable:
                continue
            for name in headers if isinstance(headers, dict) else ():
                for key, pattern in _LIMIT_HEADERS.items():
                    if pattern.fullmatch(name):
                        found.setdefault(key, name)
    return {key: found[key] for key in _LIMIT_HEADERS if key in found}
