"""What a person sees: the consent page, and the page about a request that cannot be answered. No script runs on them.

Everything that a client chose is text in them, and the consent page names the address that it will be answered at.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from html import escape

from starlette.responses import Response

from functions.admin_api.oauth import redirects
from functions.admin_api.oauth.requests import Request

_STYLE = (
    ":root{color-scheme:light dark;--paper:#faf8f3;--panel:#fff;--ink:#1c2422;--dim:#59635f;--line:#d9d5ca;"
    "--accent:#1f5a4e;--on-accent:#fff;--bad:#a3211b;--bad-back:#fbe4e1;--focus:#1558d6}"
    "@media(prefers-color-scheme:dark){:root{--paper:#131917;--panel:#1b2320;--ink:#e8ece9;--dim:#a3aea9;--line:#36413d;"
    "--accent:#7fd0bb;--on-accent:#0d1a16;--bad:#ffaca4;--bad-back:#421b18;--focus:#8ab6ff}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);"
    'font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}'
    "main{max-width:34rem;margin:8vh auto 2rem;padding:1.5rem;background:var(--panel);border:1px solid var(--line);"
    "border-radius:8px}h1{font-size:1.4rem;line-height:1.25;margin:0 0 .75rem}p{margin:0 0 .75rem}"
    "dl{margin:0 0 1rem}dt{color:var(--dim);margin-top:.5rem}dd{margin:0;overflow-wrap:anywhere}"
    "label{display:block;font-weight:600}input{width:100%;margin:.25rem 0 1rem;padding:.6rem;font:inherit;"
    "color:inherit;background:var(--paper);border:1px solid var(--dim);border-radius:6px}"
    "button{font:inherit;padding:.6rem 1.2rem;border-radius:6px;border:1px solid var(--accent);cursor:pointer;"
    "margin-right:.5rem;background:var(--accent);color:var(--on-accent)}"
    "button.plain{background:transparent;color:var(--accent)}a{color:var(--accent)}"
    ".problem{background:var(--bad-back);color:var(--bad);padding:.6rem .8rem;border-radius:6px}"
    ".note{color:var(--dim);font-size:.9rem}:focus-visible{outline:3px solid var(--focus);outline-offset:2px}"
)
"""The colours are those of the console (console/static)."""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

LOOPBACK_PLACE = "a program on this computer"


def consent(request: Request, *, provider: str = "", problem: str = "", status: int = 200) -> Response:
    """The page that asks a person. With `provider`, they sign in there; otherwise they give an API token."""
    client, server = request.client, request.resource.server
    target = request.asked.redirect_uri
    place = LOOPBACK_PLACE if redirects.is_loopback(target) else redirects.host_of(target)
    vouched = (
        f"{escape(client.verified)} describes this client"
        if client.verified
        else "the client chose its name itself, and nobody has checked it"
    )
    if provider:
        proof = f"<p>You sign in at <strong>{escape(provider)}</strong>.</p>"
        button = "Allow and sign in"
    else:
        proof = (
            '<label for="api_token">Your API token</label>'
            '<input id="api_token" name="api_token" type="password" autocomplete="off" spellcheck="false" required '
            'autofocus placeholder="pst_">'
        )
        button = "Sign in and allow"
    shown_problem = f'<p class="problem" role="alert">{escape(problem)}.</p>' if problem else ""
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in asdict(request.asked).items()
        if value
    )
    body = (
        f"<p><strong>{escape(client.name)}</strong> asks to use the tools of the MCP server "
        f"<strong>{escape(server.name)}</strong> in your name.</p>{shown_problem}"
        f"<dl><dt>Client</dt><dd>{escape(client.name)} ({vouched})</dd>"
        f"<dt>You will be sent back to</dt><dd>{escape(place)}</dd></dl>"
        f'<form method="post" action="authorize">{hidden}{proof}'
        f'<button name="decision" value="allow">{button}</button>'
        '<button class="plain" name="decision" value="deny" formnovalidate>Refuse</button></form>'
        '<p class="note">Allow it only if you have just started this in the client. The client never sees your API '
        "token, and its access ends when the operator revokes that token.</p>"
    )
    return _html(status, "Allow this client?", body, form_action=f"'self' {redirects.origin_of(target)}")


def refused(message: str, status: int, *, back: str = "", client_name: str = "") -> Response:
    """The page about a request that cannot be answered. `back` is the address of its client, where it is certain."""
    link = f'<p><a href="{escape(back)}" rel="noreferrer">Go back to {escape(client_name)}</a></p>' if back else ""
    return _html(status, "You cannot sign in", f"<p>{escape(message)}.</p>{link}")


def leave(address: str, place: str, headers: Mapping[str, str]) -> Response:
    """A page that goes on to an identity provider. A redirect would be part of the form's submission, and the policy of
    the page allows a form only the addresses that it names."""
    link = f'<p>If nothing happens, <a href="{escape(address)}" rel="noreferrer">go to {escape(place)}</a>.</p>'
    response = _html(200, "Signing in", link, head=f'<meta http-equiv="refresh" content="0;url={escape(address)}">')
    response.headers.update(headers)
    return response


def _html(status: int, title: str, body: str, *, form_action: str = "'none'", head: str = "") -> Response:
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}'
        f"<title>{title} - Postern</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    headers = {
        "cache-control": "no-store",
        "content-security-policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        # With no-referrer, a browser would send the form with `Origin: null`.
        "referrer-policy": "same-origin",
        "x-frame-options": "DENY",
        "x-robots-tag": "noindex",
    }
    return Response(document, status, headers, media_type="text/html; charset=utf-8")
