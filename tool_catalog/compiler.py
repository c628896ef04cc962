"""Records -> catalogue, or every reason why not. Pure: no file is read or written here.

The gate stands in this file, in `schemas.py` (JSON Schema) and in `records.py` (form); each problem names file and line.
A tool that has a problem is not built, and a catalogue with a missing tool is not written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import jmespath
import jsonschema_rs
import pydantic
from mcp_types.methods import serialize_server_result

from tool_catalog import catalog, naming, schemas
from tool_catalog.records import AuthRecord, CheckRecord, MethodRecord, ParameterRecord, Records, Resource
from tool_catalog.schemas import Expander, Place
from tool_catalog.yaml_source import Problem

Json = Any
Schema = dict[str, Json]

SERVED_REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
"""MCP revisions whose official models every compiled tool list must pass."""

DESCRIPTION_LENGTH = (40, 1024)
"""Characters of a tool description: under 40 says too little; 1024 is the tightest limit of the large model APIs."""

ARGUMENT_DESCRIPTION_LENGTH = (8, 600)
"""Characters of an argument's description."""

INSTRUCTIONS_LENGTH = (40, 2000)
"""Characters of the server instructions; hosts show the model at least the first 512."""

ARGUMENT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What model APIs accept as a property name of a tool's arguments."""

FORBIDDEN_AT_ROOT = ("anyOf", "oneOf", "allOf", "not", "enum", "const", "if", "then", "else", "$ref")
"""Keywords that model APIs refuse at the root of a tool's input schema."""

FORBIDDEN_HEADERS = ("authorization", "proxy-authorization", "cookie", "host", "content-length", "content-type",
                     "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect")  # fmt: skip
"""Headers that carry the credential or frame the request; no argument may set them."""

MAX_TOKENS = (100, 100_000)
"""Least and most a caller may ask for with `max_tokens`; above it hosts cut the result themselves."""

JMESPATH_FUNCTIONS = (*sorted(jmespath.functions.Functions.FUNCTION_TABLE), "excerpt")
"""The standard functions, and ours: excerpt(string, number) gives the first characters, cut at a word."""

_LOCATIONS = ("path", "body", "query", "header")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_DOTTED = re.compile(r"@|[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_TEMPLATE_FIELD = re.compile(r"\{([a-z0-9_]+)\}")

_LIMIT = "Records per page: 1 to {maximum}, default {default}."
_NEXT_CURSOR = "Cursor of the next page: the next_cursor of the previous answer, passed back unchanged. Leave it out for the first page."
_FIELDS = "JMESPath expression applied to each item, to return less. Example: {example} Leave it out for whole items."
_MAX_TOKENS = "Upper bound for this result, in tokens (about 4 characters each); the answer says what was left out."


def compile_catalog(records: Records) -> tuple[Schema | None, list[Problem]]:
    """The document of `compiled/<integration>.json`, or None and all problems, sorted by file and line."""
    gate = _Gate(records)
    document = gate.document()
    problems = sorted(set(gate.problems))
    return (None if problems else document), problems


def to_bytes(document: Mapping[str, Json]) -> bytes:
    """Canonical bytes of a compiled file."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


class _Gate:
    """One compilation: the records, the tools so far, and everything wrong with them."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.problems: list[Problem] = []
        self.root = Place(records.source, ())
        self.tool_places: dict[str, Place] = {}
        self.readers: set[str] = set()

    def document(self) -> Schema:
        record = self.records.integration
        self._integration()
        tools = [
            tool
            for resource in self.records.resources
            for method in resource.record.methods
            if (tool := self._tool(resource, method)) is not None
        ]
        self._references()
        document = {
            "format": catalog.FORMAT,
            "integration": record.integration,
            "label": record.label,
            "base_url": record.base_url.rstrip("/"),
            "instructions": record.instructions.strip(),
            "auth": {key: value for key, value in record.auth.model_dump().items() if value},
            "credentials": {key: field.model_dump(exclude_none=True) for key, field in record.credentials.items()},
            "context": {key: field.model_dump(exclude_none=True) for key, field in record.context.items()},
            "probe": self._probe(),
            "rate_limits": record.rate_limits.model_dump(exclude_none=True),
            "scope": record.scope,
            "source_sha256": self.records.sha256,
            "tools": tools,
        }
        self._official_models(tools)
        return document

    # ---- integration.yaml

    def _integration(self) -> None:
        record = self.records.integration
        url = urlsplit(record.base_url)
        if url.scheme != "https" or not url.hostname:
            self._report(
                self.root.at("base_url"),
                f'"{record.base_url}" must be an https:// URL with a host; credentials travel with every call',
            )
        elif url.query or url.fragment or url.username:
            self._report(self.root.at("base_url"), "must hold no query, fragment or user name")
        self._length(self.root.at("instructions"), record.instructions, INSTRUCTIONS_LENGTH)
        self._auth(record.auth, self.root.at("auth"))
        for name, check in record.checks.items():
            self._check_schema(check, self.root.at("checks", name))
        if record.probe:
            for key, expression in record.probe.context.items():
                self._jmespath(expression, self.root.at("probe", "context", key))
                if key not in record.context:
                    self._report(self.root.at("probe", "context", key), 'is not described under "context"')
            for name in _PLACEHOLDER.findall(record.probe.request):
                if name not in record.context:
                    self._report(self.root.at("probe", "request"), f'"{{{name}}}" is not described under "context"')

    def _auth(self, auth: AuthRecord, place: Place) -> None:
        needs = {
            "header": ("name", "value"),
            "query": ("name", "value"),
            "bearer": ("value",),
            "basic": ("username", "password"),
            "none": (),
        }[auth.scheme]
        fields = set()
        for key in ("name", "value", "username", "password"):
            template = getattr(auth, key)
            fields |= set(_TEMPLATE_FIELD.findall(template))
            if key in needs and not template and (auth.scheme, key) != ("basic", "password"):
                self._report(place, f'scheme "{auth.scheme}" needs "{key}"')
            elif key not in needs and template:
                self._report(place.at(key), f'scheme "{auth.scheme}" has no use for it')
        credentials = self.records.integration.credentials
        for name in sorted(fields - set(credentials)):
            self._report(place, f'"{{{name}}}" is not described under "credentials"')
        for name in sorted(set(credentials) - fields):
            self._report(self.root.at("credentials", name), 'is used nowhere under "auth"')
        if auth.scheme != "none" and not any(field.secret for field in credentials.values()):
            self._report(self.root.at("credentials"), "no field is marked secret: true")

    def _probe(self) -> Schema | None:
        probe = self.records.integration.probe
        if probe is None:
            return None
        verb, path = probe.request.split(" ")
        return {"verb": verb, "path": path, "context": probe.context}

    # ---- one method of one resource

    def _tool(self, resource: Resource, method: str) -> Schema | None:
        record = resource.record.methods[method]
        place = Place(resource.source, ("methods", method))
        before = len(self.problems)
        integration = self.records.integration
        name = record.name or naming.tool_name(
            integration.integration, resource.record.resource, method, resource.record.singular
        )
        self._name(name, place, explicit=record.name is not None)
        self._length(place.at("description"), record.description, DESCRIPTION_LENGTH)

        shared = {key: (part, self.root.at("schemas", key)) for key, part in integration.schemas.items()}
        shared |= {
            key: (part, Place(resource.source, ("schemas", key))) for key, part in resource.record.schemas.items()
        }
        expander = Expander(shared, self.problems.append)
        answer = self._answer(record, place, expander)
        input_schema, parameters = self._input(record, answer, place, expander)
        access = self._access(record, method, place)
        if access == "read":
            self.readers.add(name)
        pagination = self._pagination(record, place)
        annotations = self._annotations(record, method, access, place)
        output_schema = self._output(record, method, answer, place)
        checks = self._checks(resource, record, place)
        scope = self._scope(record, input_schema, place)
        self._example(record, input_schema, checks, place)
        if len(self.problems) > before:
            return None
        verb, path = record.request.split(" ")
        return {
            "resource": resource.record.resource,
            "method": method,
            "access": access,
            "tags": sorted({*resource.record.tags, *record.tags}),
            "definition": {
                "name": name,
                "title": record.title,
                "description": " ".join(record.description.split()),
                "inputSchema": input_schema,
                "outputSchema": output_schema,
                "annotations": annotations,
            },
            "request": {
                "verb": verb,
                "path": path,
                "parameters": parameters,
                **({"body_format": record.body_format} if record.body_format != "json" else {}),
            },
            "pagination": pagination,
            "result": _without_empty(
                record.result.model_dump(include={"rename", "drop", "map", "items", "sort"}, exclude_none=True)
            ),
            "scope": scope,
            "checks": checks,
            "example": record.example.arguments,
        }

    def _name(self, name: str, place: Place, *, explicit: bool) -> None:
        where = place.at("name") if explicit else place
        if len(name) > naming.MAX_NAME:
            self._report(
                where,
                f'tool name "{name}" has {len(name)} characters, hosts allow {naming.MAX_NAME}; '
                f'write "name: {naming.shorten(name)}" or a better short one',
            )
        elif not naming.VALID_NAME.fullmatch(name):
            self._report(where, f'tool name "{name}" may hold only letters, digits, "_" and "-"')
        if name in self.tool_places:
            other = self.tool_places[name]
            self._report(where, f'tool name "{name}" is taken by {other.source.name}:{other.source.line(other.path)}')
        self.tool_places.setdefault(name, where)

    def _access(self, record: MethodRecord, method: str, place: Place) -> catalog.Access:
        expected: catalog.Access | None = None
        if method in catalog.STANDARD_METHODS:
            expected = "read" if method in ("list", "get") else "write"
            if record.access not in (None, expected):
                self._report(
                    place.at("access"), f'"{method}" is always {expected}; give a method that is not a name of its own'
                )
        elif record.access is None:
            self._report(place, 'custom method: missing key "access": read (changes nothing upstream) or write')
        access = record.access or expected or "write"
        if access == "read" and record.request.startswith(("DELETE ", "PATCH ")):
            self._report(
                place.at("access"), f'"read" with {record.request.split(" ")[0]}; a read-only server would offer it'
            )
        return access

    def _annotations(self, record: MethodRecord, method: str, access: catalog.Access, place: Place) -> Schema:
        """All four hints, always. What cannot be told from the method must be stated in the record."""
        known = {"create": (False, False), "update": (True, True), "delete": (True, True)}
        destructive, idempotent = record.destructive, record.idempotent
        if access == "read":
            if destructive:
                self._report(place.at("destructive"), "a read destroys nothing")
            destructive, idempotent = False, True if idempotent is None else idempotent
        elif method in known:
            destructive = known[method][0] if destructive is None else destructive
            idempotent = known[method][1] if idempotent is None else idempotent
        for key, value in (("destructive", destructive), ("idempotent", idempotent)):
            if value is None:
                self._report(place, f'custom method that writes: missing key "{key}": true or false')
        return {
            "title": record.title,
            "readOnlyHint": access == "read",
            "destructiveHint": bool(destructive),
            "idempotentHint": bool(idempotent),
            "openWorldHint": record.open_world,
        }

    # ---- input

    def _input(
        self, record: MethodRecord, answer: Schema, place: Place, expander: Expander
    ) -> tuple[Schema, list[dict[str, Json]]]:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        origin: dict[str, str] = {}
        for location in _LOCATIONS:
            for argument, schema, needed, where in self._arguments(record, location, place, expander):
                if argument in properties:
                    self._report(
                        where,
                        f'argument "{argument}" already comes from {origin[argument]}_schema; rename one and map it under "parameters"',
                    )
                    continue
                properties[argument], origin[argument] = schema, location
                if needed:
                    required.append(argument)
                self._argument(argument, schema, where)
        parameters = [
            self._parameter(record.parameters.get(argument, ParameterRecord()), location, argument, place, record)
            for argument, location in origin.items()
        ]
        parameters += self._hidden_parameters(record, origin, place)
        self._path_parameters(record, parameters, place)
        for argument, schema in self._injected(record, answer):
            if argument in properties:
                self._report(
                    place, f'argument "{argument}" is ours on this tool; leave the upstream one out or rename it'
                )
            properties[argument] = schema
            parameters.append(
                _compact(location="result", name=argument, argument=argument, value=schema.get("default"))
            )
        input_schema: Schema = {"type": "object", "properties": properties}
        if not properties:
            del input_schema["properties"]
        if required:
            input_schema["required"] = required
        return {**input_schema, "additionalProperties": False}, parameters

    def _arguments(
        self, record: MethodRecord, location: str, place: Place, expander: Expander
    ) -> Iterator[tuple[str, Schema, bool, Place]]:
        """The arguments one of the four schemas contributes: name, schema, required, place."""
        raw = getattr(record, f"{location}_schema")
        if raw is None:
            return
        where = place.at(f"{location}_schema")
        schema = expander.expand(raw, where)
        if location == "body" and schema.get("type") == "array":  # a bare array becomes the argument "body"
            yield "body", schema, True, where
            return
        if schema.get("type") != "object":
            self._report(
                where,
                f"root must be type: object{' (or array)' if location == 'body' else ''}, is {schema.get('type', 'not stated')}",
            )
            return
        for keyword in FORBIDDEN_AT_ROOT:
            if keyword in schema:
                self._report(
                    where.at(keyword), 'model APIs refuse it at the root of a tool; say it under "checks" instead'
                )
        if schema.get("additionalProperties", False) is not False:
            self._report(where.at("additionalProperties"), "the root is always closed; state each argument")
        for argument, part in schema.get("properties", {}).items():
            yield (
                argument,
                part,
                argument in schema.get("required", ()) or location == "path",
                where.at("properties", argument),
            )

    def _argument(self, argument: str, schema: Json, place: Place) -> None:
        if not ARGUMENT_NAME.fullmatch(argument):
            self._report(
                place,
                'model APIs accept only 1 to 64 letters, digits, "_", "." and "-" here; rename it and map it under "parameters"',
            )
        if not isinstance(schema, dict):
            self._report(place, "must be a JSON Schema with a description")
            return
        if not str(schema.get("description", "")).strip():
            self._report(place, "missing description: what it is, unit, limit, default, an example value")
        else:
            self._length(place.at("description"), schema["description"], ARGUMENT_DESCRIPTION_LENGTH)
        if not {"type", "anyOf", "oneOf", "enum", "const"} & set(schema):
            self._report(place, "missing type")
        self.problems += schemas.loose_objects(schema, place)

    def _parameter(
        self, mapping: ParameterRecord, location: str, argument: str, place: Place, record: MethodRecord
    ) -> dict[str, Json]:
        where = place.at("parameters", argument)
        if mapping.location is not None:
            self._report(where.at("location"), f"known from {location}_schema; leave it out")
        if mapping.style != "plain" and location != "query":
            self._report(where.at("style"), f"styles are for the query; this argument goes into the {location}")
        self._context(mapping, where)
        schema = getattr(record, f"{location}_schema") or {}
        whole = location == "body" and schema.get("type") == "array"
        name = "" if whole and mapping.name is None else mapping.name or argument
        if location == "header" and name.lower() in FORBIDDEN_HEADERS:
            self._report(
                where, f'the header "{name}" is not for arguments; it carries the credential or frames the request'
            )
        return _compact(
            location=location,
            name=name,
            argument=argument,
            style=mapping.style,
            context=mapping.context,
            value=mapping.value,
        )

    def _hidden_parameters(
        self, record: MethodRecord, origin: Mapping[str, str], place: Place
    ) -> list[dict[str, Json]]:
        """Parameters that are no arguments: constants, context values, and filters that come from a pin alone."""
        found = []
        for name, mapping in record.parameters.items():
            if name in origin:
                continue
            where = place.at("parameters", name)
            pinned = bool(record.scope and record.scope.required and record.scope.argument == name)
            if mapping.location in (None, "result"):
                self._report(
                    where, 'is no argument of the tool; fix the name, or give "location" and "value" or "context"'
                )
            elif mapping.value is None and mapping.context is None and not pinned:
                self._report(where, 'sends nothing: give "value" or "context"')
            self._context(mapping, where)
            found.append(
                _compact(
                    location=mapping.location,
                    name=mapping.name or name,
                    argument=name if pinned else None,
                    style=mapping.style,
                    context=mapping.context,
                    value=mapping.value,
                )
            )
        return found

    def _context(self, mapping: ParameterRecord, place: Place) -> None:
        if mapping.context is not None and mapping.context not in self.records.integration.context:
            known = ", ".join(self.records.integration.context) or "none"
            self._report(
                place.at("context"),
                f'"{mapping.context}" is not described under "context" of integration.yaml; there: {known}',
            )

    def _path_parameters(self, record: MethodRecord, parameters: list[dict[str, Json]], place: Place) -> None:
        in_path = _PLACEHOLDER.findall(record.request)
        known = [parameter["name"] for parameter in parameters if parameter["location"] == "path"]
        for name in in_path:
            if name not in known:
                self._report(
                    place.at("request"), f'path parameter "{{{name}}}" has no schema; describe it in path_schema'
                )
        for name in known:
            if name not in in_path:
                self._report(place.at("path_schema"), f'"{name}" does not occur in {record.request}')
        if len(set(in_path)) < len(in_path):
            self._report(place.at("request"), "the same path parameter twice")

    def _injected(self, record: MethodRecord, answer: Schema) -> Iterator[tuple[str, Schema]]:
        """The arguments that every list-like tool has, in the same words everywhere."""
        pagination = record.pagination
        if pagination is not None and pagination.collect == 1:
            if pagination.size is not None:
                maximum = pagination.max_size or pagination.default_size
                limits = {"minimum": 1, "maximum": maximum, "default": pagination.default_size}
                text = _LIMIT.format(maximum=maximum, default=pagination.default_size)
                yield "limit", {"type": "integer", **limits, "description": text}
            yield "next_cursor", {"type": "string", "description": _NEXT_CURSOR}
        if record.result.items is not None:
            if record.result.fields:
                yield "fields", {"type": "string", "minLength": 1, "description": _fields_text(_items(answer, record))}
            budget = {"type": "integer", "minimum": MAX_TOKENS[0], "maximum": MAX_TOKENS[1]}
            if record.result.max_tokens is None:
                yield "max_tokens", {**budget, "description": _MAX_TOKENS}
            else:
                text = f"{_MAX_TOKENS} Default {record.result.max_tokens}."
                yield "max_tokens", {**budget, "default": record.result.max_tokens, "description": text}

    # ---- output

    def _answer(self, record: MethodRecord, place: Place, expander: Expander) -> Schema:
        """The documented answer after rename, drop and map: what `items` and `sort` see."""
        result, where = record.result, place.at("result")
        documented = (
            expander.expand(record.response_schema, place.at("response_schema")) if record.response_schema else {}
        )
        if not documented:
            self._report(place, 'missing key "response_schema": the documented answer, an object or an array')
        names = {name for part, _ in schemas.walk(documented, place) for name in part.get("properties", {})}
        for key in ("rename", "drop"):
            for name in getattr(result, key):
                if names and name not in names:
                    self._report(where.at(key), f'"{name}" is in no object of response_schema')
        shaped = schemas.rename_and_drop(documented, result.rename, tuple(result.drop))
        for key in ("map", "items", "sort"):
            if (expression := getattr(result, key)) is not None:
                self._jmespath(expression, where.at(key))
        if result.map is not None:
            if result.response_schema is None:
                self._report(where, 'missing key "response_schema": with "map" it says what the map produces')
            else:
                shaped = expander.expand(result.response_schema, where.at("response_schema"))
        elif result.response_schema is not None:
            self._report(where.at("response_schema"), 'only with "map"; the documented answer stands beside "result"')
        return shaped

    def _output(self, record: MethodRecord, method: str, answer: Schema, place: Place) -> Schema:
        result, kind = record.result, answer.get("type")
        if answer and kind not in ("object", "array"):
            self._report(place.at("response_schema"), f"root must be type: object or array, is {kind or 'not stated'}")
        enveloped = method == "list" or record.pagination is not None
        if result.items is None:
            if enveloped:
                self._report(
                    place.at("result"), 'missing key "items": JMESPath to the array of records ("@" for a bare array)'
                )
            if result.sort is not None:
                self._report(place.at("result", "sort"), 'needs "items"')
            return schemas.wrapped(schemas.output(answer)) if kind == "array" else schemas.output_root(answer)
        if not _DOTTED.fullmatch(result.items):
            self._report(
                place.at("result", "items"), f'"{result.items}" must be "@" or keys joined by dots; reshape with "map"'
            )
        found = _items(answer, record)
        if answer and found is None:
            self._report(place.at("result", "items"), f'"{result.items}" is no array in the answer\'s schema')
        item = schemas.output_item(found or {})
        if enveloped:
            return schemas.enveloped(item)
        if result.items == "@":
            return schemas.wrapped({"type": "array", "items": item})
        return schemas.output_root(schemas.with_items(answer, result.items.split("."), item))

    def _pagination(self, record: MethodRecord, place: Place) -> Schema | None:
        paging = record.pagination
        if paging is None:
            return None
        where = place.at("pagination")
        position = getattr(paging, paging.style)
        if position is None:
            self._report(where, f'missing key "{paging.style}": the upstream parameter that takes it')
        for other in ("page", "offset", "cursor"):
            if other != paging.style and getattr(paging, other) is not None:
                self._report(where.at(other), f'the style is "{paging.style}"')
        if paging.style == "cursor" and paging.next is None:
            self._report(where, 'missing key "next": JMESPath to the next cursor in the upstream answer')
        if paging.next is not None:
            self._jmespath(paging.next, where.at("next"))
        if paging.max_size is not None and paging.max_size < paging.default_size:
            self._report(where.at("max_size"), f"is under default_size ({paging.default_size})")
        for location in _LOCATIONS:
            for name in {position, paging.size} & set(
                (getattr(record, f"{location}_schema") or {}).get("properties", {})
            ):
                self._report(
                    place.at(f"{location}_schema", "properties", name),
                    "paging is ours: limit and next_cursor stand for it",
                )
        return {
            "style": paging.style,
            "position": {"location": paging.location, "name": position},
            "size": {"location": paging.location, "name": paging.size} if paging.size else None,
            "default_size": paging.default_size,
            "max_size": paging.max_size or paging.default_size,
            "next": paging.next,
            "collect": paging.collect,
        }

    # ---- checks, scope, example

    def _checks(self, resource: Resource, record: MethodRecord, place: Place) -> list[Schema]:
        known = {**self.records.integration.checks, **resource.record.checks}
        found = []
        for index, name in enumerate(record.checks):
            if name in known:
                found.append({"schema": known[name].when, "message": " ".join(known[name].message.split())})
            else:
                self._report(
                    place.at("checks", index), f'no check "{name}"; checks: {", ".join(sorted(known)) or "none"}'
                )
        return found

    def _check_schema(self, check: CheckRecord, place: Place) -> None:
        for error in schemas.META_SCHEMA.iter_errors(check.when):
            self._report(place.at("when", *error.instance_path), f"not JSON Schema 2020-12: {error.message}")
            return
        try:
            jsonschema_rs.Draft202012Validator(check.when)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            self._report(place.at("when"), f"not usable: {error}")

    def _scope(self, record: MethodRecord, input_schema: Schema, place: Place) -> Schema | None:
        scope = record.scope
        if scope is None:
            return None
        where, arguments = place.at("scope"), input_schema.get("properties", {})
        pins = self.records.integration.scope
        if not pins:
            self._report(where, 'integration.yaml names no entity ids under "scope"')
        needs = {
            "filters": ("argument",),
            "record": ("argument", "read"),
            "records": ("argument", "id", "read"),
            "entity": ("argument", "id"),
            "answer": ("at",),
        }.get(scope.kind, ())
        for key in ("argument", "id", "read", "at"):
            if key in needs and getattr(scope, key) is None:
                self._report(where, f'kind "{scope.kind}" needs "{key}"')
            elif (
                key not in needs and getattr(scope, key) is not None and (scope.kind, key) != ("arguments", "argument")
            ):
                self._report(where.at(key), f'kind "{scope.kind}" has no use for it')
        if scope.argument is not None and (scope.argument in arguments) == scope.required:
            self._report(
                where.at("argument"),
                f'"{scope.argument}" is an argument of the tool, so the pin is not required'
                if scope.required
                else f'"{scope.argument}" is no argument of the tool; arguments: {", ".join(arguments) or "none"}',
            )
        if scope.kind == "arguments":
            members = arguments.get(scope.argument, {}).get("properties", {}) if scope.argument else arguments
            if not set(pins) & set(members):
                self._report(
                    where, f"none of {', '.join(pins)} is {'a member' if scope.argument else 'an argument'} there"
                )
        if scope.kind == "entity" and scope.id is not None and scope.id not in arguments:
            self._report(where.at("id"), f'"{scope.id}" is no argument of the tool')
        if scope.at is not None:
            self._jmespath(scope.at, where.at("at"))
        return scope.model_dump(exclude_defaults=True)

    def _example(self, record: MethodRecord, input_schema: Schema, checks: list[Schema], place: Place) -> None:
        where, arguments = place.at("example", "arguments"), record.example.arguments
        for error in jsonschema_rs.Draft202012Validator(input_schema, validate_formats=True).iter_errors(arguments):
            self._report(where.at(*error.instance_path), f"does not validate: {error.message}")
        for check in checks:
            if jsonschema_rs.Draft202012Validator(check["schema"]).is_valid(arguments):
                self._report(where, f"is refused by a check of the tool: {check['message']}")

    def _references(self) -> None:
        """Tools that a scope reads with must exist and read."""
        for resource in self.records.resources:
            for method, record in resource.record.methods.items():
                if record.scope and record.scope.read and record.scope.read not in self.readers:
                    place = Place(resource.source, ("methods", method, "scope", "read"))
                    self._report(place, f'"{record.scope.read}" is no read tool of this integration')
        used = {
            name for resource in self.records.resources for m in resource.record.methods.values() for name in m.checks
        }
        for name in set(self.records.integration.checks) - used:
            self._report(self.root.at("checks", name), "is used by no method")

    def _official_models(self, tools: list[Schema]) -> None:
        """Each definition must pass the official models of every revision we serve, with nothing lost on the way."""
        envelopes: dict[str, Schema] = {"2026-07-28": {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}}
        for tool in tools:
            name = tool["definition"]["name"]
            for revision in SERVED_REVISIONS:
                listed = {"tools": [tool["definition"]], **envelopes.get(revision, {})}
                try:
                    served = serialize_server_result("tools/list", revision, listed)
                except pydantic.ValidationError as error:
                    detail = error.errors()[0]
                    self._report(
                        self.tool_places[name], f"MCP {revision} refuses the tool: {detail['loc']}: {detail['msg']}"
                    )
                    continue
                if served["tools"] != listed["tools"]:
                    self._report(self.tool_places[name], f"MCP {revision} would drop a part of the tool's definition")

    # ---- small

    def _jmespath(self, expression: str, place: Place) -> None:
        try:
            parsed = jmespath.compile(expression).parsed
        except jmespath.exceptions.JMESPathError as error:
            self._report(place, f"not JMESPath: {' '.join(str(error).split())}")
            return
        for name in _functions(parsed):
            if name not in JMESPATH_FUNCTIONS:
                self._report(place, f'JMESPath has no function "{name}"; functions: {", ".join(JMESPATH_FUNCTIONS)}')

    def _length(self, place: Place, text: str, bounds: tuple[int, int]) -> None:
        length = len(" ".join(text.split()))
        if not bounds[0] <= length <= bounds[1]:
            self._report(place, f"{length} characters; {bounds[0]} to {bounds[1]} are useful to a model")

    def _report(self, place: Place, message: str) -> None:
        self.problems.append(place.problem(message))


def _functions(parsed: Mapping[str, Json]) -> Iterator[str]:
    if parsed["type"] == "function_expression":
        yield parsed["value"]
    for child in parsed.get("children", ()):
        yield from _functions(child)


def _items(answer: Schema, record: MethodRecord) -> Schema | None:
    """Schema of one item of a list-like tool; None when `items` leads to no array."""
    found: Json = answer
    for step in (record.result.items or "@").split("."):
        if step != "@":
            found = found.get("properties", {}).get(step, {})
    items = found.get("items", {}) if found.get("type") == "array" else None
    return items if isinstance(items, dict) else None


def _fields_text(item: Schema | None) -> str:
    names = [name for name in (item or {}).get("properties", {}) if name.isidentifier()][:2] or ["id"]
    return _FIELDS.format(example="{" + ", ".join(f"{name}: {name}" for name in names) + "}")


def _compact(**parameter: Json) -> dict[str, Json]:
    """A parameter without what `catalog.Parameter` defaults to."""
    return {key: value for key, value in parameter.items() if value is not None and (key, value) != ("style", "plain")}


def _without_empty(result: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in result.items() if value}
