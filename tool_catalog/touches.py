"""How to find out what a call would touch, before it is made: the rules of the gate for a record's `touches`, and its
compiled form."""

from __future__ import annotations

from tool_catalog.catalog import Access, Json
from tool_catalog.gate import Gate
from tool_catalog.records import MethodRecord
from tool_catalog.schemas import Place

Schema = dict[str, Json]


def compile_touches(record: MethodRecord, access: Access, place: Place, gate: Gate) -> Schema | None:
    """The entry that `catalog.Touches` is read from; None for a tool without one."""
    if (rules := record.touches) is None:
        return None
    where = place.at("touches")
    if access == "read":
        gate.report(where, "is for tools that write; a read touches nothing")
    if (rules.read is None) != (rules.arguments is None):
        gate.report(where, "read and arguments belong together: the tool, and what it is called with")
    if rules.read is None and (rules.count is None or rules.show is not None):
        gate.report(where, "needs a tool to read, or a count over the arguments; only what is read is shown")
    entry: Schema = rules.model_dump(exclude_none=True)
    for key in ("count", "arguments", "show"):
        if key in entry:
            gate.jmespath(where.at(key), entry[key])
    return entry
