"""Bodies and answers of the operation that makes snippets."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from functions.admin_api.contract import Body
from functions.client_formats import Kind

MAX_URL_CHARS = 2_000
"""Characters of an MCP URL: a host name, a base path and a token of 43 characters fit many times."""


class SnippetsRequest(Body):
    """Make the snippets of one MCP URL."""

    url: Annotated[str, Field(max_length=MAX_URL_CHARS)] = Field(
        description="The MCP URL, as it was shown when the server was minted."
    )
    name: Annotated[str, Field(max_length=200)] = Field(
        default="postern", description="The name of the server in the client: 1 to 64 letters, digits, - and _."
    )
    api_token_env: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description="The environment variable that holds the API token, for a server that requires one.",
    )


class ClientSnippet(BaseModel):
    """What to paste into one client."""

    client: str
    kind: Kind = Field(description="The language of `text`.")
    where: str = Field(description="The file or the place to paste it.")
    text: str
    notes: list[str] = Field(description="Known problems of this client.")


class Snippets(BaseModel):
    """One snippet for each client."""

    result: list[ClientSnippet]
