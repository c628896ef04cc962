"""The methods of an import become record files: one for each resource, with tool names and shared response schemas."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

from tool_catalog import naming
from tool_catalog.catalog import STANDARD_METHODS, Json
from tool_catalog.folders import INTEGRATION_FILE
from tool_catalog.naming import singular, snake_case
from tool_catalog.openapi import integration
from tool_catalog.openapi.combining import listed
from tool_catalog.openapi.document import Document
from tool_catalog.openapi.drafts import Draft
from tool_catalog.openapi.inference import Placement, Seen
from tool_catalog.openapi.responses import Response, item_schema
from tool_catalog.openapi.subjects import names_the_id
from tool_catalog.yaml_source import KeyPath

_ORDER = {method: index for index, method in enumerate(STANDARD_METHODS)}


@dataclass(slots=True)
class RecordFile:
    """One record file that will be written: its data and its comments."""

    data: dict[str, Json]
    comments: dict[KeyPath, str] = field(default_factory=dict)


def tool_names(
    integration_name: str, seen: list[Seen], where: Mapping[str, Placement], with_ids: Container[str] = ()
) -> dict[str, dict[str, str]]:
    """Resource -> method -> tool name. A name follows the rules, is short, is unique, and ends with "by id" only for an
    operation with an id. The objects of the resources `with_ids` have an `id`.
    """
    names: dict[str, dict[str, str]] = defaultdict(dict)
    taken: set[str] = set()
    for one in seen:
        place = where[one.operation.key]
        name = naming.tool_name(integration_name, place.resource, place.method)
        ending = one.operation.template.rstrip("/").rpartition("/")[2]
        if place.method in ("get", "update", "delete") and "{" not in ending:
            name = name.removesuffix("_by_id")
        elif place.resource in with_ids and not names_the_id(ending.strip("{}"), place.resource) and place.by_id:
            name = name.removesuffix("_by_id") + f"_by_{snake_case(ending)}" if name.endswith("_by_id") else name
        written_out = f"{snake_case(integration_name)}_{place.resource}_{place.method}"
        numbered = (f"{written_out}_{number}" for number in count(2))
        # Two resources may have one singular, and the words of one may be those of another and its method.
        candidates = map(naming.shorten, chain((name, written_out), numbered))
        name = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(name)
        names[place.resource][place.method] = name
    return names


def resource_files(
    methods: Mapping[str, Draft], where: Mapping[str, Placement], found: Mapping[str, Response]
) -> dict[str, RecordFile]:
    """One file for each resource: its methods in their usual order, and the response schemas that methods share."""
    by_resource: dict[str, dict[str, str]] = defaultdict(dict)
    for key in methods:
        by_resource[where[key].resource][where[key].method] = key
    files: dict[str, RecordFile] = {}
    for resource, keys in sorted(by_resource.items()):
        file = RecordFile({"resource": resource, "tags": [resource]})
        shared = _shared(resource, [found[key] for key in keys.values()])
        if shared:
            file.data["schemas"] = dict(shared.values())
        file.data["methods"] = {}
        for method in sorted(keys, key=lambda name: (_ORDER.get(name, len(_ORDER)), name)):
            draft, answer = methods[keys[method]], found[keys[method]]
            draft.data["response_schema"] = _with_shared(draft.data["response_schema"], answer, shared)
            file.data["methods"][method] = draft.data
            file.comments |= {("methods", method, *path): text for path, text in draft.comments.items()}
        files[f"{resource}.yaml"] = file
    return files


def instruct(document: Document, files: Mapping[str, RecordFile], target: Path) -> None:
    """Add the instructions to integration.yaml. They name the resources that `target` has or will have."""
    names = {*files, *(path.name for path in target.glob("*.yaml"))} - {INTEGRATION_FILE}
    resources = sorted(name.removesuffix(".yaml") for name in names)
    files[INTEGRATION_FILE].data["instructions"] = integration.instructions(document, resources)


def _shared(resource: str, found: Iterable[Response]) -> dict[str, tuple[str, Json]]:
    """Component -> name and schema, for components that more than one response (or list in a response) consists of."""
    uses: Counter[str] = Counter()
    schemas: dict[str, Json] = {}
    for answer in found:
        for component, schema in ((answer.component, answer.schema), (answer.item_component, item_schema(answer))):
            if component and schema and schema.get("properties"):
                uses[component] += 1
                plain_type = "object" if "object" in listed(schema.get("type")) else schema.get("type")
                schemas.setdefault(component, {**schema, "type": plain_type} if plain_type else schema)
    names: dict[str, tuple[str, Json]] = {}
    for component, used in uses.items():
        name = snake_case(component) or singular(resource)
        if used > 1 and name not in {known for known, _ in names.values()}:
            names[component] = (name, schemas[component])
    return names


def _with_shared(schema: dict[str, Json], answer: Response, shared: Mapping[str, tuple[str, Json]]) -> dict[str, Json]:
    if answer.component in shared:
        return {"$ref": f"#/schemas/{shared[answer.component][0]}"}
    if answer.item_component in shared:
        reference = {"$ref": f"#/schemas/{shared[answer.item_component][0]}"}
        steps = answer.items.split(".") if answer.items not in (None, "@") else []
        return _with_items(schema, steps, reference)
    return schema


def _with_items(schema: dict[str, Json], steps: list[str], reference: dict[str, str]) -> dict[str, Json]:
    if not steps:
        return {**schema, "items": reference}
    properties = schema["properties"]
    return {**schema, "properties": {**properties, steps[0]: _with_items(properties[steps[0]], steps[1:], reference)}}
