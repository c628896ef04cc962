"""The probe: one harmless request that proves a credential before it is kept."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

from functions.admin_api.accounts.contract import MAX_CONTEXT_CHARS
from functions.gateway import credentials
from functions.gateway.answers import shown_type
from functions.gateway.credentials import Credential
from functions.gateway.errors import Invalid, Refused
from functions.gateway.json_text import Json, NotJson, decode_lenient
from functions.gateway.redaction import Secrets
from functions.gateway.requests import UpstreamRequest
from functions.gateway.upstream import Sender, UpstreamResponse
from tool_catalog.catalog import Catalog
from tool_catalog.request_template import Probe

PROBE_SECONDS = 10.0
"""Longest wait for the probe: an operator is waiting for the answer."""

QUOTED_CHARS = 300
"""Characters of the upstream's answer to a probe that an error repeats, in its details."""


class ProbeFailed(Refused):
    """The probe was neither accepted nor rejected: the upstream is failing, or it is another API."""

    status = HTTPStatus.BAD_GATEWAY


async def probe(sender: Sender, catalog: Catalog, base_url: str, credential: Credential) -> dict[str, str]:
    """The context values that the probe's answer holds; none for an integration without a probe.

    Raises Invalid for a rejected credential, ProbeFailed for an answer that proves nothing, and the sender's errors.
    """
    if catalog.probe is None:
        return {}
    base = urlsplit(base_url)
    path = base.path.rstrip("/") + catalog.probe.path
    request = UpstreamRequest(catalog.probe.verb, f"{base.scheme}://{base.netloc}", path)
    deadline = asyncio.get_running_loop().time() + PROBE_SECONDS
    response = await sender.send(credentials.attach(request, catalog.auth, credential), deadline)
    asked = f"{catalog.probe.verb} {base.netloc}{path}"
    if response.status in (401, 403):
        raise Invalid(
            f"credentials: {catalog.label} rejected them ({asked} returned {response.status}); check the value, and "
            "that it belongs to this API",
            details=_said(response, credential, catalog),
        )
    if not 200 <= response.status < 300:
        raise ProbeFailed(
            f"the credential could not be verified: {asked} returned {response.status}; nothing was saved. "
            "Check base_url, or retry when the upstream is healthy",
            details=_said(response, credential, catalog),
        )
    return _found(catalog.probe, catalog.label, response, asked)


def _said(response: UpstreamResponse, credential: Credential, catalog: Catalog) -> dict[str, Json]:
    """The upstream's status, and its own words without the credential; never a web page."""
    details: dict[str, Json] = {"upstream_status": response.status}
    if "json" in response.headers.get("content-type", ""):
        secrets = Secrets(credential, catalog.credentials, catalog.auth)
        words = " ".join(secrets.out_of_text(response.body.decode("utf-8", "replace")).split())[:QUOTED_CHARS]
        if words:
            details["upstream_said"] = words
    return details


def _found(described: Probe, label: str, response: UpstreamResponse, asked: str) -> dict[str, str]:
    """The context values in a probe's answer. Raises ProbeFailed when the answer is not JSON."""
    import jmespath

    if not described.context:
        return {}
    try:
        document = decode_lenient(response.body)
    except NotJson:
        media_type = shown_type(response.headers.get("content-type", ""))
        raise ProbeFailed(
            f"the credential could not be verified: {asked} returned {response.status} with {media_type}, not JSON; "
            f"nothing was saved. Check that base_url is an address of {label}"
        ) from None
    values = {name: jmespath.search(expression, document) for name, expression in described.context.items()}
    return {
        name: value for name, value in values.items() if isinstance(value, str) and 0 < len(value) <= MAX_CONTEXT_CHARS
    }
