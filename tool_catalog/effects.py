"""What a call of a tool does to the upstream: whether it reads or writes, and the MCP annotations that say so."""

from __future__ import annotations

from tool_catalog.catalog import STANDARD_METHODS, Access, Json
from tool_catalog.gate import Gate
from tool_catalog.records import MethodRecord
from tool_catalog.schemas import Place

Schema = dict[str, Json]

_KNOWN_EFFECTS = {"create": (False, False), "update": (True, True), "delete": (True, True)}
"""Method -> (destructive, idempotent), where the record does not say."""


def access_of(record: MethodRecord, method: str, place: Place, gate: Gate) -> Access:
    """Whether the tool reads or writes. A standard method decides it; for any other, the record must say it."""
    verb = record.request.split(" ")[0]
    expected: Access | None = None
    if method in STANDARD_METHODS:
        expected = "read" if method in ("list", "get") else "write"
        if record.access not in (None, expected):
            gate.report(place.at("access"), f'"{method}" is always {expected}; use a custom method name')
    elif record.access is None:
        gate.report(place, 'custom method: missing key "access": read (changes nothing upstream) or write')
    access = expected or record.access or "write"
    if access == "read" and verb in ("DELETE", "PATCH", "PUT"):
        gate.report(place.at("request"), f"{verb} in a tool that only reads; read-only servers would offer it")
    return access


def tool_annotations(record: MethodRecord, method: str, access: Access, place: Place, gate: Gate) -> Schema:
    """All four hints, always. What the method does not say, the record must."""
    destructive, idempotent = record.destructive, record.idempotent
    if access == "read":
        if destructive:
            gate.report(place.at("destructive"), "a tool that only reads destroys nothing")
        destructive, idempotent = False, idempotent is not False
    elif method in _KNOWN_EFFECTS:
        destructive = _KNOWN_EFFECTS[method][0] if destructive is None else destructive
        idempotent = _KNOWN_EFFECTS[method][1] if idempotent is None else idempotent
    for key, value in (("destructive", destructive), ("idempotent", idempotent)):
        if value is None and record.access is not None:
            gate.report(place, f'custom method that writes: missing key "{key}": true or false')
    return {
        "title": record.title,
        "readOnlyHint": access == "read",
        "destructiveHint": bool(destructive),
        "idempotentHint": bool(idempotent),
        "openWorldHint": record.open_world,
    }
