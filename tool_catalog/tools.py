"""One method of one resource -> one tool of the compiled document. Each part of it is decided in a file of its own."""

from __future__ import annotations

from functions.gateway import model_tokens
from tool_catalog import answers, checks, effects, events, naming, pins, questions, touches
from tool_catalog.catalog import Json
from tool_catalog.credentials import compile_auth
from tool_catalog.gate import Gate
from tool_catalog.inputs import body_check, compile_input, confirmed, fields_example, media_type
from tool_catalog.records import MethodRecord, Records, Resource
from tool_catalog.references import Names
from tool_catalog.request_template import JSON_MEDIA_TYPE
from tool_catalog.schemas import Expander, Place

Schema = dict[str, Json]

DESCRIPTION_LENGTH = (40, 1024)
"""Characters of a tool description: under 40 says too little; 1024 is the tightest limit of the large model APIs."""

TITLE_LENGTH = (3, 60)
"""Characters of a title, which hosts show to people in lists and confirmations."""

RESULT_KEYS = {"rename", "drop", "map", "items", "sort", "distinct", "newest_first"}
"""Keys of a record's `result` that the catalogue holds as they are."""


def compile_tool(records: Records, resource: Resource, method: str, names: Names, gate: Gate) -> Schema | None:
    """The tool as the document holds it; None for one that has a problem. In either case `names` has its name."""
    integration, record = records.integration, resource.record.methods[method]
    place = Place(resource.source, ("methods", method))
    before = len(gate.problems)
    name = record.name or naming.tool_name(
        integration.integration, resource.record.resource, method, resource.record.singular
    )
    names.give(name, place.at("name") if record.name else place, gate)
    gate.length(place.at("description"), record.description, DESCRIPTION_LENGTH)
    gate.length(place.at("title"), record.title, TITLE_LENGTH)
    expander = Expander(_shared_schemas(records, resource), gate.problems.append)
    answer = answers.documented_answer(record, place, expander, gate)
    item = answers.item_schema(record, answer)
    access = effects.access_of(record, method, place, gate)
    names.describe(name, record, access)
    annotations = effects.tool_annotations(record, method, access, place, gate)
    destroys = bool(annotations["destructiveHint"])
    input_schema, shown_schema, parameters = compile_input(
        record, place, expander, context=integration.context, item=item, destroys=destroys, gate=gate
    )
    example = confirmed(record.example.arguments, input_schema)
    pagination = answers.pagination(record, place, gate)
    output_schema = answers.output_schema(record, method, answer, place, gate)
    refusals = checks.compile_checks(records, resource, record, place, gate)
    if own_check := body_check(record):
        refusals.append(own_check)
    pin = pins.compile_pin(record, input_schema, integration.pinnable, place, gate)
    checks.check_example(example, (input_schema, shown_schema), refusals, place, gate)
    if len(gate.problems) > before:
        return None
    definition = {
        "name": name,
        "title": record.title,
        "description": " ".join(record.description.split()),
        "inputSchema": input_schema,
        "outputSchema": output_schema,
        "annotations": annotations,
    }
    result = record.result.model_dump(include=RESULT_KEYS, exclude_none=True)
    if record.result.items is not None and record.result.fields:
        result["fields"] = fields_example(item)
    result |= answers.result_rules(record, output_schema, place, gate)
    tool = {
        "resource": resource.record.resource,
        "method": method,
        "access": access,
        "tags": sorted({*resource.record.tags, *record.tags}),
        "core": record.core,
        "tokens": model_tokens.of_tool({**definition, "inputSchema": shown_schema}),
        "definition": definition,
        "shown": shown_schema,
        "request": _request(record, parameters),
        "pagination": pagination,
        "result": {key: value for key, value in result.items() if value},
        "pin": pin,
        "checks": refusals,
        "example": example,
        "aliases": record.aliases,
    }
    if (touched := touches.compile_touches(record, access, place, gate)) is not None:
        tool["touches"] = touched
    tool |= events.compile_event(record, access, place, gate)
    if asks := questions.compile_questions(record, input_schema, place, gate):
        tool["asks"] = asks
    return tool


def _shared_schemas(records: Records, resource: Resource) -> dict[str, tuple[Schema, Place]]:
    """Name -> a schema that the methods of the resource may refer to; its own hide those of the integration."""
    shared = records.integration.schemas
    own = resource.record.schemas
    return {key: (part, Place(records.source, ("schemas", key))) for key, part in shared.items()} | {
        key: (part, Place(resource.source, ("schemas", key))) for key, part in own.items()
    }


def _request(record: MethodRecord, parameters: list[Schema]) -> Schema:
    """The entry that `request_template.Request` is read from; what is at its default is left out."""
    verb, path = record.request.split(" ")
    entry: Schema = {"verb": verb, "path": path, "parameters": parameters}
    if record.body_schema is not None and media_type(record) != JSON_MEDIA_TYPE:
        entry["media_type"] = media_type(record)
    if record.accept != JSON_MEDIA_TYPE:
        entry["accept"] = record.accept
    if record.redirects:
        entry["redirects"] = True
    if record.body_required:
        entry["body_required"] = True
    if record.auth is not None:
        entry["auth"] = compile_auth(record.auth)
    return entry
