"""The metadata of the authorization server (RFC 8414), and the addresses in it."""

from __future__ import annotations

from dataclasses import dataclass

from functions.gateway.json_text import Json

PATH = "/oauth"
"""Where everything is below the management API. It is not the bare origin, see functions/mcp_endpoint/sign_in.py."""

WELL_KNOWN = "/.well-known/oauth-authorization-server"

SCOPE = "connect"
"""The one scope: that of the API token which an access token stands for."""

ACTIONS = ("signInToServer", "allowClient", "refuseClient", "reuseToken", "revokeToken")
"""What the log calls the decisions that are made here; `signInToServer` is a refused attempt."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The authorization server of the management API at `management_url`."""

    management_url: str

    @property
    def url(self) -> str:
        """The issuer identifier."""
        return f"{self.management_url}{PATH}"

    def document(self) -> dict[str, Json]:
        """The metadata."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "revocation_endpoint": f"{self.url}/revoke",
            "scopes_supported": [SCOPE],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": True,
        }
