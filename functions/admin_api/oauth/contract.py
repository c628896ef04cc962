"""What the management API says of a consent."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ConsentView(BaseModel):
    """A person let an OAuth client use an MCP server in their name."""

    id: str
    principal: str = Field(
        description="Who the person is in the log: the id of the API token they signed in with, or of the person at "
        "the identity provider."
    )
    person: str = Field(description="The name of that API token, or the person's address.")
    client_id: str
    client_name: str = Field(description="As the client calls itself; nobody has checked it.")
    created_at: str = Field(description="When the person allowed the client.")
    expires_at: str = Field(description="When the consent ends unless the client uses it again.")


class EndedConsent(ConsentView):
    """The consent that was ended. Its access tokens and its refresh token open nothing from now on."""
