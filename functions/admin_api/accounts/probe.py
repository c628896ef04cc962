"""The probe: one harmless request that proves a credential."""

from __future__ import annotations

import time
from http import HTTPStatus
from urllib.parse import urlsplit

from functions.admin_api.accounts.checks import MAX_CONTEXT_CHARS
from functions.gateway import credentials, json_text
from functions.gateway.credentials import Credential
from functions.gateway.errors import Invalid, PosternError
from functions.gateway.requests import UpstreamRequest
from functions.gateway.upstream import Sender, UpstreamResponse
from tool_catalog.catalog import Catalog

PROBE_SECONDS = 10.0
"""Longest wait for the probe: an operator is looking on."""

SAID_CHARS = 300
"""Characters of the upstream's answer to a probe that a message repeats."""


class ProbeFailed(PosternError):
    """The probe was neither accepted nor rejected: the upstream is failing, or it is not this API."""

    status = HTTPStatus.BAD_GATEWAY


async def probe(sender: Sender, catalog: Catalog, base_url: str, credential: Credential) -> dict[str, str]:
    """Prove the credential with one harmless request; the context values found in its answer."""
    if catalog.probe is None:
        return {}
    base = urlsplit(base_url)
    request = UpstreamRequest(
        catalog.probe.verb, f"{base.scheme}://{base.netloc}", base.path.rstrip("/") + catalog.probe.path
    )
    request = credentials.attach(request, catalog.auth, credential)
    response = await sender.send(request, time.monotonic() + PROBE_SECONDS)
    asked = f"{catalog.probe.verb} {base.netloc}{base.path.rstrip('/')}{catalog.probe.path}"
    if response.status in (401, 403):
        raise Invalid(
            f"credentials: {catalog.label} rejected them ({asked} answered {response.status}"
            f"{_said(response, credential, catalog)}); check the value and that it is for this API",
            details={"upstream_status": response.status},
        )
    if not 200 <= response.status < 300:
        raise ProbeFailed(
            f"the credential could not be proved: {asked} answered {response.status}"
            f"{_said(response, credential, catalog)}; nothing was saved. "
            "Check base_url, or try again when the upstream is well"
        )
    return _found(catalog, response, asked)


def _said(response: UpstreamResponse, credential: Credential, catalog: Catalog) -> str:
    """The upstream's own words, without the credential and never a web page."""
    if "json" not in response.headers.get("content-type", ""):
        return ""
    text = credentials.redact(response.body, credential, catalog.credentials).decode("utf-8", "replace")
    words = " ".join(text.split())[:SAID_CHARS]
    return f": {words}" if words else ""


def _found(catalog: Catalog, response: UpstreamResponse, asked: str) -> dict[str, str]:
    """The context values in a probe's answer. Raises ProbeFailed when the answer is not JSON."""
    import jmespath

    assert catalog.probe is not None
    try:
        document = json_text.decode_lenient(response.body) if catalog.probe.context else None
    except ValueError:
        media_type = response.headers.get("content-type", "no content type").split(";")[0]
        raise ProbeFailed(
            f"the credential could not be proved: {asked} answered {response.status} with {media_type}, not JSON; "
            f"nothing was saved. Check that base_url is {catalog.label}'s"
        ) from None
    values = {name: jmespath.search(expression, document) for name, expression in catalog.probe.context.items()}
    return {
        name: value for name, value in values.items() if isinstance(value, str) and 0 < len(value) <= MAX_CONTEXT_CHARS
    }
