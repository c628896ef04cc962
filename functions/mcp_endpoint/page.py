"""The page that a person sees who opens an MCP URL in a browser: what it is, how to add it to a client, when it ends.

The page holds no tool, no name and no secret; it calls the URL "the address of this page". A dead token of any kind has
the page of a request without a token.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime

from functions.gateway.grants import Grant, write_time
from functions.mcp_endpoint.http import Response

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.4rem}code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}"
    "dt{font-weight:600;margin-top:.6rem}dd{margin:0}"
)

_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The browser runs nothing, loads nothing, and shows the page in no frame."""

_CLIENTS = (
    ("Claude", "Settings, Connectors, Add custom connector; paste the address as its URL."),
    ("Claude Code", "Run: <code>claude mcp add --transport http postern ADDRESS</code>"),
    ("ChatGPT", "Plugins, +, Add custom MCP server; paste the address as its server URL, with no authentication."),
    ("Cursor", 'Settings, MCP, New server: <code>{"mcpServers": {"postern": {"url": "ADDRESS"}}}</code>'),
    ("VS Code", "Run the command MCP: Add Server, choose HTTP, and paste the address."),
    ("Codex", 'In <code>~/.codex/config.toml</code>: <code>[mcp_servers.postern]</code>, <code>url = "ADDRESS"</code>'),
    ("Gemini CLI", "Run: <code>gemini mcp add --transport http postern ADDRESS</code>"),
    ("Zed", 'In settings.json: <code>{"context_servers": {"postern": {"url": "ADDRESS"}}}</code>'),
    ("Windsurf", 'In mcp_config.json: <code>{"mcpServers": {"postern": {"serverUrl": "ADDRESS"}}}</code>'),
)
"""Client, and how to add the URL to it, as HTML."""


def page(grant: Grant | None) -> Response:
    """The page of a live grant; None stands for a token that opens nothing, and for no token."""
    if grant is None:
        return _html(
            404,
            "This MCP URL does not work",
            "<p>It is unknown, revoked or expired. Ask the person who gave it to you for a new one.</p>",
        )
    clients = "".join(f"<dt>{client}</dt><dd>{how}</dd>" for client, how in _CLIENTS)
    return _html(
        200,
        "This is an MCP URL",
        "<p>It gives an AI assistant some tools. It is not a web page: add its address to an assistant.</p>"
        f"<p>{_ends(grant.expires_at)}</p>"
        "<p>The address is a secret: anyone who has it can use its tools.</p>"
        f"<h2>How to add it</h2><dl>{clients}</dl>"
        "<p>ADDRESS stands for the address of this page. If the person who gave it to you also gave you an API token, "
        "send it as the header <code>Authorization: Bearer TOKEN</code>.</p>",
    )


def _ends(expires_at: datetime | None) -> str:
    if expires_at is None:
        return "It works until it is revoked."
    moment = write_time(expires_at)
    return f'It works until <time datetime="{moment}">{moment}</time>, unless it is revoked before.'


def _html(status: int, title: str, body: str) -> Response:
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": _POLICY,
        "x-robots-tag": "noindex",
    }
    return Response(status, document, headers)
