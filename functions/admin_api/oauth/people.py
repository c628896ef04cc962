"""Who signs in: the holder of an API token with the scope `connect` that covers the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.oauth.errors import BadRequest
from functions.gateway.grants import Grant

NOT_ACCEPTED = (
    "This API token was not accepted: it is unknown, revoked, expired or not for this MCP server. It needs the scope "
    "connect; the operator of the server can issue one"
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may use a server. `ends_at` is the end of their right; None = none is known."""

    principal: str
    name: str
    ends_at: datetime | None


class NotSignedIn(BadRequest):
    """The proof of a person was not accepted. The page shows the form again."""


def by_api_token(api_tokens: ApiTokens, secret: str, server: Grant) -> Person:
    """The holder of an API token. Raises NotSignedIn."""
    token = api_tokens.behind(secret.strip())
    if token is None or not token.covers(server):
        raise NotSignedIn(NOT_ACCEPTED)
    return Person(token.id, token.name, token.expires_at)
