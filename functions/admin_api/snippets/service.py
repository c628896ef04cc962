"""The snippets of one MCP URL, one for each client."""

from __future__ import annotations

from dataclasses import asdict

from functions.admin_api.snippets import contract
from functions.client_formats import CLIENTS, SnippetError, snippet
from functions.gateway.errors import Invalid


def snippets(body: contract.SnippetsRequest) -> contract.Snippets:
    """One snippet for each client. The URL is not looked up, so a dead one gives snippets, too. Raises Invalid."""
    try:
        made = [snippet(client, body.url, body.name, body.api_token_env) for client in CLIENTS]
    except SnippetError as error:
        raise Invalid(str(error)) from None
    return contract.Snippets(result=[contract.ClientSnippet.model_validate(asdict(one)) for one in made])
