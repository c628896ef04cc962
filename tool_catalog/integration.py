"""One upstream API as a whole: what the gate asks of integration.yaml, and its part of the compiled document."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

from tool_catalog.catalog import Json
from tool_catalog.credentials import compile_auth
from tool_catalog.gate import Gate
from tool_catalog.inputs import PLACEHOLDER
from tool_catalog.records import IntegrationRecord, ProbeRecord
from tool_catalog.schemas import Place

Schema = dict[str, Json]

INSTRUCTIONS_LENGTH = (40, 2000)
"""Characters of the server instructions; hosts show the model the first 512 or more."""

ICON_CHARS = 1_000
"""Characters of an icon: it travels with each handshake."""

_ACTIVE = re.compile(r"<(script|style|a|image|use|foreignObject)\b|\bon[a-z]+=|href|url\(", re.IGNORECASE)
"""What an icon must not hold: hosts are warned of pictures that act."""


def compile_integration(record: IntegrationRecord, root: Place, gate: Gate) -> Schema:
    """The keys of the document that are not about tools, in their order. `root` is the place of the whole record."""
    _check_base_url(record.base_url, root.at("base_url"), gate)
    gate.length(root.at("instructions"), record.instructions, INSTRUCTIONS_LENGTH)
    return {
        "integration": record.integration,
        "label": record.label,
        "base_url": record.base_url.rstrip("/"),
        "instructions": " ".join(record.instructions.split()),
        "auth": compile_auth(record.auth),
        "credentials": {key: field.model_dump(exclude_none=True) for key, field in record.credentials.items()},
        "context": {key: field.model_dump(exclude_none=True) for key, field in record.context.items()},
        "probe": None if record.probe is None else _probe(record.probe, record, root.at("probe"), gate),
        "rate_limits": record.rate_limits.model_dump(exclude_none=True),
        "pinnable": record.pinnable,
        "website": _website(record.website or "", root.at("website"), gate),
        "icon": _icon((record.icon or "").strip(), root.at("icon"), gate),
    }


def _check_base_url(base_url: str, place: Place, gate: Gate) -> None:
    try:
        url = urlsplit(base_url)
    except ValueError:  # brackets that hold no IPv6 address
        url = urlsplit("")
    if url.scheme != "https" or not url.hostname:
        gate.report(place, f'"{base_url}" must be an https:// URL; the credential travels with every call')
    elif url.query or url.fragment or url.username:
        gate.report(place, "must hold no query, fragment or user name")


def _probe(probe: ProbeRecord, record: IntegrationRecord, place: Place, gate: Gate) -> Schema:
    """The entry that `request_template.Probe` is read from."""
    for key, expression in probe.context.items():
        gate.jmespath(place.at("context", key), expression)
        if key not in record.context:
            gate.report(place.at("context", key), 'is not described under "context"')
    if PLACEHOLDER.search(probe.request):
        gate.report(place.at("request"), "must be a request that needs no parameter; nothing is known before it")
    verb, path = probe.request.split(" ")
    return {"verb": verb, "path": path, "context": probe.context}


def _website(website: str, place: Place, gate: Gate) -> str:
    if website and not (website.startswith("https://") and website.isprintable() and " " not in website):
        gate.report(place, f'"{website}" must be an https:// URL')
    return website


def _icon(icon: str, place: Place, gate: Gate) -> str:
    """The icon as a data: URL, so that a host fetches it from nowhere."""
    if not icon:
        return ""
    if not icon.startswith("<svg ") or not icon.endswith("</svg>") or len(icon) > ICON_CHARS:
        gate.report(place, f"must be one <svg> element of at most {ICON_CHARS} characters")
    if _ACTIVE.search(icon):
        gate.report(place, "holds a script, a link or a style; draw shapes only")
    return f"data:image/svg+xml;base64,{base64.b64encode(icon.encode()).decode()}"
