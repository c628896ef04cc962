"""What the input schema of a tool does not say: the rules of the gate for `checks` and for the example of a call."""

from __future__ import annotations

import jsonschema_rs

from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import CheckRecord, MethodRecord, Records, Resource
from tool_catalog.schemas import Place, schema_problems

Schema = dict[str, Json]

_UNUSABLE = (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError)
"""What building a validator raises for a schema that cannot be used."""


def check_schemas(records: Records, gate: Gate) -> None:
    """Every check of the integration and of its resources is a usable schema."""
    for name, check in records.integration.checks.items():
        _usable(check, Place(records.source, ("checks", name)), gate)
    for resource in records.resources:
        for name, check in resource.record.checks.items():
            _usable(check, Place(resource.source, ("checks", name)), gate)


def _usable(check: CheckRecord, place: Place, gate: Gate) -> None:
    problems = schema_problems(check.when, place.at("when"))
    gate.problems += problems
    if not problems:
        try:
            jsonschema_rs.Draft202012Validator(check.when)
        except _UNUSABLE as error:
            gate.report(place.at("when"), f"not usable: {' '.join(str(error).split())}")


def compile_checks(
    records: Records, resource: Resource, record: MethodRecord, place: Place, gate: Gate
) -> list[Schema]:
    """The entries that `catalog.Check` is read from."""
    known = {**records.integration.checks, **resource.record.checks}
    found = []
    for index, name in enumerate(record.checks):
        if name in known:
            found.append({"schema": known[name].when, "message": " ".join(known[name].message.split())})
        else:
            names = ", ".join(sorted(known)) or "none"
            gate.report(place.at("checks", index), f'no check "{name}"; checks: {names}')
    return found


def check_example(
    arguments: Schema, inputs: tuple[Schema, ...], checks: list[Schema], place: Place, gate: Gate
) -> None:
    """The example is a call that works: every input schema accepts it, and no check refuses it."""
    where = place.at("example", "arguments")
    try:
        checked, shown = (jsonschema_rs.Draft202012Validator(schema, validate_formats=True) for schema in inputs)
        rules = [(jsonschema_rs.Draft202012Validator(check["schema"]), check["message"]) for check in checks]
    except _UNUSABLE:
        return  # reported where the schema stands
    for error in [*checked.iter_errors(arguments)] or shown.iter_errors(arguments):
        gate.report(where.at(*error.instance_path), f"does not validate: {error.message}")
    for rule, message in rules:
        if rule.is_valid(arguments):
            gate.report(where, f"is refused by a check of the tool: {message}")
