"""OAuth at the endpoint: where a client learns that its person can sign in (RFC 9728), and what it is told.

Only a live server that requires an API token, and offers OAuth, is a protected resource. Every other token has the
answers of a path where nothing is, so that a client does not start a sign-in that cannot help it.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from functions.gateway import errors, json_text
from functions.gateway.grants import TOKEN, Grant
from functions.gateway.settings import Settings
from functions.mcp_endpoint import admission
from functions.mcp_endpoint.admission import NotAdmitted, Reads, SignInNeeded
from functions.mcp_endpoint.http import Request

WELL_KNOWN = "/.well-known/oauth-protected-resource"
SCOPE = "connect"
"""The one scope: that of the API token which an access token stands for."""

ISSUER_PATH = "/oauth"
"""Path of the authorization server on the management API. A bare origin would be found by every client that looks for
OAuth at the origin of its MCP URL, which is the management API's on a laptop."""


def may_sign_in(request: Request, settings: Settings, path_token: str | None, *, access_token: bool) -> bool:
    """True where a refused caller may be asked to sign in: it has the token in the path and no header of its own, or an
    access token. A caller that was configured with a header is never sent to a sign-in."""
    if not settings.management_url or path_token is None:
        return False
    return access_token or not (request.headers.get("authorization") or request.headers.get("x-api-key"))


def metadata(request: Request, settings: Settings, store: Reads, token: str, now: datetime) -> str | None:
    """The metadata of a protected resource; None where the token opens none. Raises Unavailable."""
    if request.method != "GET" or not settings.management_url or TOKEN.fullmatch(token) is None:
        return None
    try:
        admission.admit(admission.presented(token, "", ""), store, now)
    except NotAdmitted as refused:
        if refused.grant.config.oauth:
            return json_text.text(_described(refused.grant, _origin(request, settings), settings, token))
    except errors.NotFound:
        return None
    return None


def challenge(request: Request, settings: Settings, token: str, needed: SignInNeeded) -> dict[str, str]:
    """The headers of a 401, which send a client to the metadata (RFC 6750, RFC 9728)."""
    address = f"{_origin(request, settings)}{WELL_KNOWN}/mcp/{token}"
    problem = 'error="invalid_token", error_description="The access token was not accepted", ' if needed.again else ""
    return {
        "www-authenticate": f'Bearer {problem}resource_metadata="{address}", scope="{SCOPE}"',
        "access-control-expose-headers": "www-authenticate",
    }


def _described(grant: Grant, origin: str, settings: Settings, token: str) -> dict[str, json_text.Json]:
    return {
        "resource": f"{origin}/mcp/{token}",
        "authorization_servers": [f"{settings.management_url.rstrip('/')}{ISSUER_PATH}"],
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": grant.name,
    }


def _origin(request: Request, settings: Settings) -> str:
    """The address below which the caller reaches this endpoint: clients compare it with the URL that they were given.

    The host name of the request counts where the settings name the hosts that are served. Otherwise it may be that of
    a proxy's origin, and the public URL counts, if there is one.
    """
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] or host
    public = settings.public_url.rstrip("/")
    if public and (name == urlsplit(public).hostname or name not in settings.allowed_hosts):
        return public
    return f"{request.scope.get('scheme', 'https')}://{host}{settings.mounted_at}"
