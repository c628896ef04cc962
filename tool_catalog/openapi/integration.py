"""The specification as a whole becomes integration.yaml: base URL, auth, credentials, rate limits, instructions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tool_catalog.catalog import Json
from tool_catalog.compiler import INSTRUCTIONS_LENGTH
from tool_catalog.openapi.document import Document, Node, Operation, Unresolvable
from tool_catalog.openapi.texts import ended, fitted, plain
from tool_catalog.yaml_source import KeyPath

CREDENTIAL_DESCRIPTION = 200
"""Characters of a credential's description: one or two lines next to an input field."""

LABEL = 60
"""Characters of the integration's label."""

COVERED = 20
"""Resources that the instructions name."""

_PREFIX = re.compile(
    r"(?:Authorization\s*[:=]\s*|prefix(?:ed)?(?:\s+\S+){0,6}?\s+(?:with\s+)?['\"`“])(Token|Bearer|Basic|SSWS|Key|ApiKey|Api-Key|GenieKey)\b",
    re.IGNORECASE,
)
"""How a description says that a word stands before the key in the header Authorization."""

_LIMIT_HEADERS = {
    "limit": re.compile(r"x-?rate-?limit-limit|ratelimit-limit", re.IGNORECASE),
    "remaining": re.compile(r"x-?rate-?limit-remaining|ratelimit-remaining", re.IGNORECASE),
    "reset": re.compile(r"x-?rate-?limit-reset|ratelimit-reset", re.IGNORECASE),
    "retry_after": re.compile(r"retry-after", re.IGNORECASE),
}


@dataclass(slots=True)
class IntegrationDraft:
    """integration.yaml, its comments by path, and the names of the parameters that carry a credential."""

    data: dict[str, Json]
    comments: dict[KeyPath, str] = field(default_factory=dict)
    credential_names: frozenset[str] = frozenset()


def draft(document: Document, integration: str, operations: list[Operation], base_url: str | None) -> IntegrationDraft:
    """integration.yaml without its instructions. `base_url` replaces the server of the specification."""
    made = IntegrationDraft({})
    made.data["integration"] = integration
    made.data["label"] = fitted(plain(_info(document).get("title")) or integration, LABEL)
    made.data["base_url"] = base_url or _base_url(document, made)
    _auth(document, operations, made)
    if limits := _rate_limits(document, operations):
        made.data["rate_limits"] = limits
    made.comments["instructions",] = (
        "# from the source; clients show this text to their model, so say what the API is for"
    )
    return made


def instructions(document: Document, resources: list[str]) -> str:
    """What the specification says about its purpose, and the resources that have records."""
    title, text = plain(_info(document).get("title")), plain(_info(document).get("description"))
    said = ended(text) if text.lower().startswith(title.lower()) else f"{ended(title)} {ended(text)}".strip()
    covered = f"Covers {', '.join(name.replace('_', ' ') for name in resources[:COVERED])}"
    covered += "." if len(resources) <= COVERED else f" and {len(resources) - COVERED} more."
    return f"{fitted(said, INSTRUCTIONS_LENGTH[1] - len(covered) - 1)} {covered}".strip()


def _info(document: Document) -> Node:
    info = document.data.get("info")
    return info if isinstance(info, dict) else {}


def _base_url(document: Document, made: IntegrationDraft) -> str:
    servers = document.data.get("servers")
    urls = [server for server in servers if isinstance(server, dict)] if isinstance(servers, list) else []
    server = next((one for one in urls if str(one.get("url", "")).startswith("https://")), urls[0] if urls else {})
    url = str(server.get("url", ""))
    variables = server.get("variables")
    variables = variables if isinstance(variables, dict) else {}
    for name, variable in variables.items():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")) if isinstance(variable, dict) else "")
        made.comments["base_url",] = f"# guessed: the defaults of {', '.join(variables)}; an account may have its own"
    if not is_https(url):
        made.comments["base_url",] = (
            "# the source names no https:// server; write the API's URL, or import with --base-url"
        )
        return url if "://" not in url else ""
    return url.rstrip("/")


def is_https(url: str) -> bool:
    """Whether `url` can be a base URL."""
    try:
        return urlsplit(url).scheme == "https" and bool(urlsplit(url).hostname)
    except ValueError:  # "https://[x]"
        return False


def _auth(document: Document, operations: list[Operation], made: IntegrationDraft) -> None:
    """Choose the scheme that most operations accept alone, among the schemes that can be served."""
    components = document.data.get("components")
    raw = components.get("securitySchemes") if isinstance(components, dict) else None
    schemes: dict[str, Node] = {}
    for name, scheme in raw.items() if isinstance(raw, dict) else ():
        try:
            schemes[name] = document.resolve(scheme)
        except Unresolvable:
            continue
    alone: Counter[str] = Counter()
    together: Counter[tuple[str, ...]] = Counter()
    for operation in operations:
        requirements = operation.data.get("security", document.data.get("security"))
        for requirement in requirements if isinstance(requirements, list) else ():
            names = tuple(requirement) if isinstance(requirement, dict) else ()
            together[names] += len(names) > 1
            alone.update(name for name in names if name in schemes)
    # The most used scheme comes first. If the file does not say, a key or token comes before an OAuth flow.
    order = list(schemes)
    ranked = sorted(schemes, key=lambda name: (-alone[name], schemes[name].get("type") == "oauth2", order.index(name)))
    for name in ranked:
        if (found := _served(schemes[name])) is not None:
            made.data["auth"], made.data["credentials"], comment = found
            pair = next((names for names, count in together.most_common() if count and name in names), ())
            if pair:
                comment = f"# guessed: only {name} is sent, and the API asks for {' and '.join(pair)} together"
            if comment:
                made.comments["auth",] = comment
            made.credential_names = frozenset(
                str(scheme["name"]).lower()
                for scheme in schemes.values()
                if scheme.get("type") == "apiKey" and "name" in scheme
            )
            return
    made.data["auth"] = {"scheme": "none"}
    kinds = ", ".join(str(scheme.get("type")) for scheme in schemes.values())
    made.comments["auth",] = (
        f"# the source asks for {kinds}, which cannot be sent" if schemes else "# the source names no credential"
    )


def _served(scheme: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json], str] | None:
    """Auth, credential fields and comment for one security scheme, or None if it cannot be served."""
    kind, name = scheme.get("type"), str(scheme.get("name", ""))
    text = fitted(plain(scheme.get("description")), CREDENTIAL_DESCRIPTION)
    if kind == "apiKey" and scheme.get("in") in ("header", "query") and name:
        credentials = {"api_key": {"description": text or f"Key of the API, sent as {name}.", "secret": True}}
        prefix = _PREFIX.search(str(scheme.get("description", ""))) if name.lower() == "authorization" else None
        value = f"{prefix[1]} {{api_key}}" if prefix else "{api_key}"
        comment = ""
        if name.lower() == "authorization":
            comment = (
                "# guessed: the word before the key"
                if prefix
                else "# guessed: the bare key; some APIs want a word before it"
            )
        return {"scheme": scheme["in"], "name": name, "value": value}, credentials, comment
    if kind == "http" and str(scheme.get("scheme")).lower() == "basic":
        credentials = {
            "username": {"description": text or "User name of the account."},
            "password": {"description": "Password or token of the account.", "secret": True},
        }
        return {"scheme": "basic", "username": "{username}", "password": "{password}"}, credentials, ""
    if kind == "http" and str(scheme.get("scheme")).lower() == "bearer":
        return _bearer(text or "Token of the account, sent as a bearer token.", "")
    if kind in ("oauth2", "openIdConnect"):
        return _bearer(text or "Access token.", "# guessed: an access token from elsewhere; no sign-in flow is run")
    return None


def _bearer(text: str, comment: str) -> tuple[dict[str, Json], dict[str, Json], str]:
    return {"scheme": "bearer", "value": "{token}"}, {"token": {"description": text, "secret": True}}, comment


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
