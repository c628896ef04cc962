"""How a pin is put on a tool: the rules of the gate for a record's `pin`, and the compiled entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields

from functions.gateway.pins import dialects
from tool_catalog.catalog import PIN_KINDS, Json
from tool_catalog.gate import Gate
from tool_catalog.records import MethodRecord, PinRecord
from tool_catalog.schemas import Place

Schema = dict[str, Json]


def compile_pin(
    record: MethodRecord, input_schema: Schema, pinnable: Sequence[str], place: Place, gate: Gate
) -> Schema | None:
    """The entry that a class of `catalog.PIN_KINDS` is read from; None for a tool without a pin."""
    pin = record.pin
    if pin is None:
        return None
    where, arguments = place.at("pin"), input_schema["properties"]
    if not pinnable:
        gate.report(where, 'integration.yaml names no entity ids under "pinnable"')
    _keys(pin, where, gate)
    hidden = pin.required and pin.argument in record.parameters
    if pin.argument is not None and pin.argument not in arguments and not hidden:
        known = ", ".join(arguments) or "none"
        gate.report(where.at("argument"), f'"{pin.argument}" is not an argument of the tool; arguments: {known}')
    if pin.at is not None:
        gate.jmespath(where.at("at"), pin.at)
    if unknown := [name for name in pin.splits if name not in pinnable]:
        gate.report(where.at("splits"), f"{', '.join(unknown)}: only ids that can be pinned can be split")
    match pin.kind:
        case "arguments":
            _arguments(pin, arguments, pinnable, where, gate)
        case "filter":
            _filter(record, pin, arguments.get(pin.argument or ""), pinnable, place=place, gate=gate)
        case "entity":
            _entity(pin, arguments, pinnable, where, gate)
        case "object" | "objects" | "answer" | "none":
            pass
    entry = pin.model_dump(exclude_defaults=True)
    return {**entry, "ids": list(pinnable if pin.ids is None else pin.ids)} if pin.kind == "arguments" else entry


def _arguments(pin: PinRecord, arguments: Schema, pinnable: Sequence[str], where: Place, gate: Gate) -> None:
    """Without `ids`, every id that can be pinned is an argument. With it, `ids` lists exactly those that are."""
    taken = [name for name in pinnable if name in arguments]
    if pin.ids is None:
        if missing := [name for name in pinnable if name not in arguments]:
            only = f'; a tool that takes some of the ids has "ids: [{", ".join(taken)}]"' if taken else ""
            gate.report(
                where, f"{', '.join(missing)} must be an argument too, or a pin on it would have no effect{only}"
            )
        return
    for index, name in enumerate(pin.ids):
        if name not in taken:
            reason = "is not an argument of the tool" if name in pinnable else "cannot be pinned"
            gate.report(where.at("ids", index), f'"{name}" {reason}; valid: {", ".join(taken) or "none"}')
    if left_out := [name for name in taken if name not in pin.ids]:
        gate.report(
            where.at("ids"),
            f"{', '.join(left_out)} is an argument too; if it is left out, a write may name any of them",
        )


def _keys(pin: PinRecord, where: Place, gate: Gate) -> None:
    """A kind has the keys of its class, and those without a default are needed, except `ids`: it has a default here."""
    keys = {key.name: key.default is MISSING and key.name != "ids" for key in fields(PIN_KINDS[pin.kind])}
    for key in sorted(pin.model_fields_set - {"kind"}):
        if key not in keys:
            gate.report(where.at(key), f'kind "{pin.kind}" does not use it')
    for key, needed in keys.items():
        if needed and getattr(pin, key) is None:
            gate.report(where, f'kind "{pin.kind}" needs "{key}"')


def _filter(
    record: MethodRecord, pin: PinRecord, schema: Schema | None, pinnable: Sequence[str], *, place: Place, gate: Gate
) -> None:
    """The named dialect exists and describes the filter."""
    if pin.dialect is None:
        return
    if pin.dialect not in dialects.names():
        gate.report(place.at("pin", "dialect"), f'no dialect "{pin.dialect}"; dialects: {", ".join(dialects.names())}')
    elif schema is not None:
        for path, message in dialects.named(pin.dialect).problems(schema, tuple(pinnable)):
            gate.report(_where(record, pin, place, path), message)


def _where(record: MethodRecord, pin: PinRecord, place: Place, path: tuple[str, ...]) -> Place:
    """The filter's place in the record; the pin's, where the filter is a shared schema."""
    for location in ("path", "query", "body", "header"):
        raw = (getattr(record, f"{location}_schema") or {}).get("properties", {}).get(pin.argument)
        if isinstance(raw, dict) and "$ref" not in raw:
            return place.at(f"{location}_schema", "properties", pin.argument or "", *path)
    return place.at("pin", "dialect")


def _entity(pin: PinRecord, arguments: Schema, pinnable: Sequence[str], where: Place, gate: Gate) -> None:
    """The types are of ids that can be pinned, and the tool takes each of them."""
    if pin.id is not None and pin.id not in arguments:
        gate.report(where.at("id"), f'"{pin.id}" is not an argument of the tool')
    taken = arguments.get(pin.argument or "", {}).get("enum")
    for name, kind in (pin.types or {}).items():
        if name not in pinnable:
            gate.report(where.at("types", name), f"it cannot be pinned; pinnable: {', '.join(pinnable)}")
        elif taken is not None and kind not in taken:
            gate.report(where.at("types", name), f'"{kind}" is not a value of "{pin.argument}"')
