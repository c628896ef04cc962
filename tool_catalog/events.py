"""What a write queues at the upstream, and how the states of such an event are told apart: the rules of the gate for a
record's `event` and `states`, and their compiled form."""

from __future__ import annotations

from tool_catalog.catalog import Access, Json
from tool_catalog.gate import Gate
from tool_catalog.records import MethodRecord
from tool_catalog.schemas import Place

Schema = dict[str, Json]


def compile_event(record: MethodRecord, access: Access, place: Place, gate: Gate) -> Schema:
    """The entries `event` and `states` of a tool, where its record has them."""
    found: Schema = {}
    if record.event is not None:
        if access == "read":
            gate.report(place.at("event"), "is for tools that write; a read queues nothing")
        gate.jmespath(place.at("event", "id"), record.event.id)
        found["event"] = record.event.model_dump(exclude_defaults=True)
    if record.states is not None:
        if access != "read":
            gate.report(place.at("states"), "is for the tool that reads an event")
        for key in ("running", "failed", "cancelled", "asks"):
            if (expression := getattr(record.states, key)) is not None:
                gate.jmespath(place.at("states", key), expression)
        found["states"] = record.states.model_dump(exclude_defaults=True)
    return found
