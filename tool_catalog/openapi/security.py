"""Security requirements become the auth of the integration, and that of the operations that need another.

A requirement is a set of schemes that are sent together; an operation takes any of its requirements. The one that most
operations take becomes the auth of all of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tool_catalog.catalog import Json
from tool_catalog.naming import snake_case
from tool_catalog.openapi.document import Document, Node, Operation, Unresolvable
from tool_catalog.openapi.texts import fitted, plain

CREDENTIAL_DESCRIPTION = 200
"""Characters of a credential's description: one or two lines next to an input field."""

_WORDS = r"(Token|Bearer|Basic|SSWS|Key|ApiKey|Api-Key|Api-Token|GenieKey|JWT|OAuth)"
_PREFIXED = r"(?i:\bprefix(?:ed)?\b|\bpreceded by|\bstart(?:s|ing)? with)(?:\s+\S+){0,6}?\s+"

_PREFIXES = (
    re.compile(rf"{_PREFIXED}['\"`“](?i:{_WORDS})\b"),
    re.compile(rf"{_PREFIXED}{_WORDS}\b"),
    re.compile(rf"['\"`“]?\b{_WORDS}\b['\"`”]?,? followed by"),
)
"""How a description says that a word stands before the key in the header Authorization."""

_PLACEHOLDER = (
    r"(?:[<{\[][\w .-]+[>}\]]|(?:your|my)[_ -](?:api[_ -]?|access[_ -]?)?(?:key|token)\w*"
    r"|[A-Z]+(?:_[A-Z]+)+|X{3,}|\.{3})"
)

_FORM = re.compile(
    rf"(?:[`'\"“]|\bAuthorization\s*[:=]\s*[`'\"“]?|e\.g\.,? )((?!Authorization)[A-Za-z][\w-]*) +"
    rf"([A-Za-z_]+=\"?)?(?i:{_PLACEHOLDER})"
    r"|^([A-Z][\w-]*) +([A-Za-z_]+=\"?)?[<{\[][\w .-]+[>}\]]",
)
"""How a description shows the whole value of the header: "Token token=<API_KEY>"."""

Requirement = tuple[str, ...]
"""Names of the schemes that are sent together; the empty one is a request without a credential."""


@dataclass(slots=True)
class Security:
    """The auth of all operations with the fields of its credential, a comment, and what differs by operation.

    `own`           operation key -> the auth it has instead.
    `not_callable`  operation key -> why no tool can be made of it: its credential cannot be sent.
    `parameter_names`  names of the parameters that carry a credential, in lower case.
    """

    auth: dict[str, Json]
    credentials: dict[str, Json] = field(default_factory=dict)
    comment: str = ""
    own: dict[str, dict[str, Json]] = field(default_factory=dict)
    not_callable: dict[str, str] = field(default_factory=dict)
    parameter_names: frozenset[str] = frozenset()


def chosen(document: Document, operations: Sequence[Operation]) -> Security:
    """The auth that most operations take, and the auth of the others."""
    schemes = _schemes(document)
    served = {name: found for name, scheme in schemes.items() if (found := _served(scheme)) is not None}
    if not served:
        kinds = ", ".join(str(scheme.get("type")) for scheme in schemes.values())
        told = f"# the source asks for {kinds}, which cannot be sent" if schemes else "# the source names no credential"
        proposed = "" if schemes else _proposed(document, operations)
        return Security({"scheme": "none"}, comment=told + proposed)
    wanted = {operation.key: _requirements(document, operation, schemes) for operation in operations}
    counted = Counter(
        one for requirements in wanted.values() for one in requirements if one and set(one) <= set(served)
    )
    order = list(served)
    # If the file does not say what is used, a key or token comes before an OAuth flow.
    candidates: list[Requirement] = list(counted) or [(name,) for name in served]
    usual = min(
        candidates,
        key=lambda names: (
            -counted[names],
            any(schemes[name].get("type") == "oauth2" for name in names),
            [order.index(name) for name in names],
        ),
    )
    made = _Making(served)
    security = Security(made.auth(usual))
    security.comment = next((comment for name in usual if (comment := served[name][2])), "")
    for key, requirements in wanted.items():
        if not requirements or any(_alike(one, usual, served) for one in requirements):
            continue
        own = next((one for one in requirements if set(one) <= set(served)), None)
        if own is None:
            names = ", ".join(sorted({name for one in requirements for name in one if name not in served}))
            security.not_callable[key] = f"needs the credential {names}, which cannot be sent"
        else:
            security.own[key] = made.auth(own, required=False)
    security.credentials = made.credentials
    security.parameter_names = frozenset(
        str(scheme["name"]).lower()
        for scheme in schemes.values()
        if scheme.get("type") == "apiKey" and "name" in scheme
    )
    return security


@dataclass(slots=True)
class _Making:
    """Auth entries for requirements, with one credential field for each secret of a scheme."""

    served: Mapping[str, tuple[dict[str, Json], dict[str, Json], str]]
    credentials: dict[str, Json] = field(default_factory=dict)
    _named: dict[str, dict[str, str]] = field(default_factory=dict)

    def auth(self, requirement: Requirement, *, required: bool = True) -> dict[str, Json]:
        """The auth that sends all schemes of the requirement."""
        if not requirement:
            return {"scheme": "none"}
        first, *others = [self._one(name, required=required) for name in requirement]
        return {**first, "also": others} if others else first

    def _one(self, scheme: str, *, required: bool) -> dict[str, Json]:
        auth, fields, _ = self.served[scheme]
        if scheme not in self._named:
            self._named[scheme] = {}
            for name, described in fields.items():
                free = name if name not in self.credentials else f"{snake_case(scheme)}_{name}"
                self._named[scheme][name] = free
                self.credentials[free] = described if required else {**described, "required": False}
        filled = dict(auth)
        for key in ("value", "username", "password"):
            for name, free in self._named[scheme].items() if key in filled else ():
                filled[key] = filled[key].replace(f"{{{name}}}", f"{{{free}}}")
        return filled


def _schemes(document: Document) -> dict[str, Node]:
    components = document.data.get("components")
    raw = components.get("securitySchemes") if isinstance(components, dict) else None
    schemes: dict[str, Node] = {}
    for name, scheme in raw.items() if isinstance(raw, dict) else ():
        try:
            schemes[name] = document.resolve(scheme)
        except Unresolvable:
            continue
    return schemes


def _alike(one: Requirement, other: Requirement, served: Mapping[str, tuple[dict[str, Json], Json, str]]) -> bool:
    """Whether two requirements are sent alike, e.g. a bearer token of two flows."""
    return len(one) == len(other) and all(
        first == second or (first in served and second in served and served[first][0] == served[second][0])
        for first, second in zip(one, other, strict=True)
    )


def _requirements(document: Document, operation: Operation, schemes: Mapping[str, Node]) -> list[Requirement]:
    """What the operation takes, in the order of the file; an empty list if the file does not say."""
    stated = operation.data.get("security", document.data.get("security"))
    if not isinstance(stated, list):
        return []
    if not stated:
        return [()]
    return [tuple(one) for one in stated if isinstance(one, dict) and all(name in schemes for name in one)]


def _served(scheme: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json], str] | None:
    """Auth, credential fields and comment for one security scheme, or None if it cannot be served."""
    kind, name = scheme.get("type"), str(scheme.get("name", ""))
    text = fitted(plain(scheme.get("description")), CREDENTIAL_DESCRIPTION)
    if kind == "apiKey" and scheme.get("in") in ("header", "query", "cookie") and name:
        credentials = {"api_key": {"description": text or f"Key of the API, sent as {name}.", "secret": True}}
        said = str(scheme.get("description", "")) if name.lower() == "authorization" else ""
        before = written_before(said)
        value = f"{before}{{api_key}}"
        comment = ""
        if name.lower() == "authorization":
            comment = (
                "# guessed: the word before the key"
                if before
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


def _proposed(document: Document, operations: Sequence[Operation]) -> str:
    """Lines to uncomment, if the text of the document or a parameter shows a credential in the header Authorization."""
    info = document.data.get("info")
    prose = str(info.get("description", "")) if isinstance(info, dict) else ""
    shown = [match[0] for match in re.finditer(r"[`'\"]?Authorization\b[^\n]{0,80}", prose)]
    headers = [
        str(parameter.get("description", ""))
        for operation in operations
        for parameter in operation.parameters
        if parameter.get("in") == "header" and parameter["name"].lower() == "authorization"
    ]
    before = next((found for text in (*headers, *shown) if (found := written_before(text))), "")
    if not before and not headers:
        return ""
    return (
        ", but its text shows one in the header Authorization:\n"
        f'# auth: {{scheme: header, name: Authorization, value: "{before}{{api_key}}"}}\n'
        "# credentials: {api_key: {description: Key of the API., secret: true}}"
    )


def written_before(said: str) -> str:
    """What a description says is written before the key in the header Authorization, e.g. "Bearer "."""
    if form := _FORM.search(said):
        return f"{form[1] or form[3]} {form[2] or form[4] or ''}"
    found = next((match for pattern in _PREFIXES if (match := pattern.search(said))), None)
    return f"{found[1]} " if found else ""


def _bearer(text: str, comment: str) -> tuple[dict[str, Json], dict[str, Json], str]:
    return {"scheme": "bearer", "value": "{token}"}, {"token": {"description": text, "secret": True}}, comment
