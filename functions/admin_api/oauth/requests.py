"""An authorization request: what a client asks a person for, and what makes it one that a person is shown.

A wrong request is never sent back to its client by itself: anybody can register a client, so that would redirect
people from here to any address. The page about it has a link where the client and its address are known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from functions.admin_api.oauth import redirects
from functions.admin_api.oauth.clients import Client
from functions.admin_api.oauth.errors import BadRequest
from functions.admin_api.oauth.resources import Resource
from functions.gateway.wording import shown

PARAMETERS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "code_challenge",
    "code_challenge_method",
    "state",
    "scope",
    "resource",
)
"""The parameters that the consent page hands on. Others have no effect (RFC 6749, 3.1)."""

MAX_PARAMETER_CHARS = 4_000
"""Characters of one parameter. Some clients keep their whole context in state."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of an authorization request, "" for one that is not there."""

    response_type: str
    client_id: str
    redirect_uri: str
    code_challenge: str
    code_challenge_method: str
    state: str
    scope: str
    resource: str = field(repr=False)

    def checked(self, client: Client) -> None:
        """Raises BadRequest for a request that cannot be answered; `code` is empty where the client's address is
        not certain."""
        if not redirects.is_valid(self.redirect_uri) or not redirects.matches(self.redirect_uri, client.redirect_uris):
            raise BadRequest(
                f"The client asks to be answered at {shown(self.redirect_uri)}, which is not an address it registered"
            )
        if self.response_type != "code":
            raise BadRequest(
                f'The client asks for the response type {shown(self.response_type)}; only "code" is served',
                code="unsupported_response_type",
            )
        if self.code_challenge_method != "S256" or not _CHALLENGE.fullmatch(self.code_challenge):
            raise BadRequest(
                "The client sent no PKCE challenge with the method S256, which is required", code="invalid_request"
            )


@dataclass(frozen=True, slots=True)
class Request:
    """An authorization request that a person can decide on."""

    asked: Asked
    client: Client
    resource: Resource


def read(parameters: Sequence[tuple[str, str]]) -> Asked:
    """The parameters of a request. Raises BadRequest for one that is there twice or is too long."""
    found = dict.fromkeys(PARAMETERS, "")
    seen: set[str] = set()
    for name, value in parameters:
        if name not in found:
            continue
        if name in seen:
            raise BadRequest(f"The client sent the parameter {name} twice")
        if len(value) > MAX_PARAMETER_CHARS:
            raise BadRequest(f"The client sent more than {MAX_PARAMETER_CHARS:,} characters as {name}")
        seen.add(name)
        found[name] = value
    if not found["client_id"]:
        raise BadRequest("This address is for MCP clients, which send people here to sign in: client_id is missing")
    return Asked(**found)
