"""Records -> catalogue, or every reason why not. Pure: no file is read or written here.

The gate stands here, in `inputs.py`, `answers.py`, `views.py`, `mcp_resources.py`, `schemas.py` (JSON Schema) and
`records.py` (form); each problem names file and line. A tool that has a problem is not built, and a catalogue with a
missing tool is not written.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import jsonschema_rs
import pydantic
from mcp_types.methods import serialize_server_result

from functions.gateway import json_text, model_tokens
from tool_catalog import (
    answers,
    catalog,
    compiled_file,
    mcp_resources,
    naming,
    pins,
    prompts,
    search_index,
    views,
)
from tool_catalog.answers import result_rules
from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.inputs import PLACEHOLDER, body_check, compile_input, confirmed, fields_example, media_type
from tool_catalog.records import AuthRecord, CheckRecord, MethodRecord, Records, Resource
from tool_catalog.schemas import Expander, Place, schema_problems
from tool_catalog.yaml_source import Problem

RESULT_KEYS = {"rename", "drop", "map", "items", "sort", "distinct", "newest_first"}
"""Keys of a record's `result` that the catalogue holds as they are."""

Schema = dict[str, Json]

SERVED_REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
"""MCP revisions whose official models every compiled tool must pass."""

DESCRIPTION_LENGTH = (40, 1024)
"""Characters of a tool description: under 40 says too little; 1024 is the tightest limit of the large model APIs."""

INSTRUCTIONS_LENGTH = (40, 2000)
"""Characters of the server instructions; hosts show the model the first 512 or more."""

TITLE_LENGTH = (3, 60)
"""Characters of a title, which hosts show to people in lists and confirmations."""

ICON_CHARS = 1_000
"""Characters of an icon: it travels with each handshake."""

_ACTIVE = re.compile(r"<(script|style|a|image|use|foreignObject)\b|\bon[a-z]+=|href|url\(", re.IGNORECASE)
"""What an icon must not hold: hosts are warned of pictures that act."""

_TEMPLATE_FIELD = re.compile(r"\{([a-z0-9_]+)\}")


def compile_catalog(records: Records, *, drafts: bool = False) -> tuple[Schema | None, list[Problem]]:
    """The document of `compiled/<integration>.json`, or None and all problems, sorted by file and line."""
    compilation = _Compilation(records, drafts=drafts)
    document = compilation.document()
    problems = sorted(set(compilation.gate.problems))
    return (None if problems else document), problems


INDEXED = ("resource", "method", "access", "tags", "pin", "core", "tokens")
CALLED = ("request", "pagination", "result", "checks", "example", "aliases")
OPTIONAL = ("touches", "asks", "event", "states")
"""Where the parts of a tool stand in the file: in its index, beside the name, and in a line of `calls`, which holds the
optional ones where a tool has them."""


def to_bytes(document: Mapping[str, Json]) -> bytes:
    """The compiled file of a document, in the format of `compiled_file.py`; the same bytes everywhere."""
    tools = document["tools"]
    definitions = [json_text.encode({**tool["definition"], "inputSchema": tool["shown"]}) for tool in tools]
    calls = [
        json_text.encode(
            {
                "inputSchema": tool["definition"]["inputSchema"],
                **{part: tool[part] for part in CALLED},
                **{part: tool[part] for part in OPTIONAL if part in tool},
            }
        )
        for tool in tools
    ]
    index = [
        [tool["definition"]["name"], *(tool[part] for part in INDEXED), len(definition), len(call)]
        for tool, definition, call in zip(tools, definitions, calls, strict=True)
    ]
    head = {**{key: value for key, value in document.items() if key != "tools"}, "index": index, "definitions": []}
    return b"".join(
        [
            json_text.encode(head).removesuffix(compiled_file.AFTER_HEAD),
            b"\n",
            compiled_file.BETWEEN_LINES.join(definitions),
            compiled_file.BEFORE_CALLS,
            compiled_file.BETWEEN_LINES.join(calls),
            compiled_file.BEFORE_SEARCH,
            json_text.encode(search_index.build(tools)),
            compiled_file.AFTER_SEARCH,
        ]
    )


def from_bytes(content: bytes) -> Schema:
    """Inverse of `to_bytes`. Raises ValueError, KeyError or TypeError for another content."""
    file = json_text.decode(content)
    document = {key: value for key, value in file.items() if key not in ("index", "definitions", "calls", "search")}
    document["tools"] = [
        dict(zip(INDEXED, entry[1:-2], strict=True))
        | {"definition": {**definition, "inputSchema": call["inputSchema"]}, "shown": definition["inputSchema"]}
        | {part: call[part] for part in (*CALLED, *OPTIONAL) if part in call}
        for entry, definition, call in zip(file["index"], file["definitions"], file["calls"], strict=True)
    ]
    return document


class _Compilation:
    """One run over the records of one integration."""

    def __init__(self, records: Records, *, drafts: bool) -> None:
        self.records = records
        self.gate = Gate(drafts=drafts)
        self.root = Place(records.source, ())
        self.named: dict[str, Place] = {}
        self.readers: set[str] = set()
        self.compiled: dict[tuple[str, str], Schema] = {}
        self.reads: set[str] = set()
        self.event_readers: set[str] = set()

    def document(self) -> Schema:
        record = self.records.integration
        self._integration()
        self.compiled = {
            (resource.record.resource, method): tool
            for resource in self.records.resources
            for method in resource.record.methods
            if (tool := self._tool(resource, method)) is not None
        }
        tools = list(self.compiled.values())
        self._references()
        self._aliases()
        self._budget(tools)
        self._official_models(tools)
        views.check_used(self.records, self.gate)
        offered = {
            "views": views.compile_views(self.records, self.compiled, self.gate),
            "mcp_resources": mcp_resources.compile_resources(self.records, self.compiled, self.gate),
        }
        return {
            "format": compiled_file.FORMAT,
            "integration": record.integration,
            "label": record.label,
            "base_url": record.base_url.rstrip("/"),
            "instructions": " ".join(record.instructions.split()),
            "auth": _auth_entry(record.auth),
            "credentials": {key: field.model_dump(exclude_none=True) for key, field in record.credentials.items()},
            "context": {key: field.model_dump(exclude_none=True) for key, field in record.context.items()},
            "probe": self._probe(),
            "rate_limits": record.rate_limits.model_dump(exclude_none=True),
            "pinnable": record.pinnable,
            "website": self._website(),
            "icon": self._icon(),
            "prompts": prompts.compile_prompts(record.prompts, self.named, self.root.at("prompts"), self.gate),
            **{key: value for key, value in offered.items() if value},
            "source_sha256": self.records.sha256,
            "tools": tools,
        }

    # ---- integration.yaml

    def _integration(self) -> None:
        record, report = self.records.integration, self.gate.report
        place = self.root.at("base_url")
        try:
            url = urlsplit(record.base_url)
        except ValueError:  # brackets that hold no IPv6 address
            url = urlsplit("")
        if url.scheme != "https" or not url.hostname:
            report(place, f'"{record.base_url}" must be an https:// URL; the credential travels with every call')
        elif url.query or url.fragment or url.username:
            report(place, "must hold no query, fragment or user name")
        self.gate.length(self.root.at("instructions"), record.instructions, INSTRUCTIONS_LENGTH)
        fields = self._auth(record.auth, self.root.at("auth"))
        for resource in self.records.resources:
            for method, one in resource.record.methods.items():
                if one.auth is not None:
                    fields |= self._auth(one.auth, Place(resource.source, ("methods", method, "auth")))
        self._credentials(fields)
        for name, check in record.checks.items():
            self._check_schema(check, self.root.at("checks", name))
        for resource in self.records.resources:
            for name, check in resource.record.checks.items():
                self._check_schema(check, Place(resource.source, ("checks", name)))
        if record.probe:
            place = self.root.at("probe")
            for key, expression in record.probe.context.items():
                self.gate.jmespath(place.at("context", key), expression)
                if key not in record.context:
                    report(place.at("context", key), 'is not described under "context"')
            if PLACEHOLDER.search(record.probe.request):
                report(place.at("request"), "must be a request that needs no parameter; nothing is known before it")

    def _auth(self, auth: AuthRecord, place: Place) -> set[str]:
        """Check how a credential is attached; returns the fields of the credential that it takes."""
        needs = {
            "header": ("name", "value"),
            "query": ("name", "value"),
            "cookie": ("name", "value"),
            "bearer": ("value",),
            "basic": ("username", "password"),
            "none": (),
        }[auth.scheme]
        fields = set()
        for key in ("name", "value", "username", "password"):
            template = getattr(auth, key)
            fields |= set(_TEMPLATE_FIELD.findall(template))
            if key in needs and not template and key != "password":
                self.gate.report(place, f'scheme "{auth.scheme}" needs "{key}"')
            elif key not in needs and template:
                self.gate.report(place.at(key), f'scheme "{auth.scheme}" does not use it')
        for name in sorted(fields - set(self.records.integration.credentials)):
            self.gate.report(place, f'"{{{name}}}" is not described under "credentials"')
        for index, other in enumerate(auth.also):
            fields |= self._auth(other, place.at("also", index))
        return fields

    def _credentials(self, fields: set[str]) -> None:
        credentials = self.records.integration.credentials
        for name in sorted(set(credentials) - fields) if self.records.complete else ():
            self.gate.report(self.root.at("credentials", name), 'is used nowhere under "auth"')
        if fields and not any(field.secret for field in credentials.values()):
            self.gate.report(self.root.at("credentials"), "no field is marked secret: true")

    def _website(self) -> str:
        website = self.records.integration.website or ""
        if website and not (website.startswith("https://") and website.isprintable() and " " not in website):
            self.gate.report(self.root.at("website"), f'"{website}" must be an https:// URL')
        return website

    def _icon(self) -> str:
        """The icon as a data: URL, so that a host fetches it from nowhere."""
        icon = (self.records.integration.icon or "").strip()
        if not icon:
            return ""
        if not icon.startswith("<svg ") or not icon.endswith("</svg>") or len(icon) > ICON_CHARS:
            self.gate.report(self.root.at("icon"), f"must be one <svg> element of at most {ICON_CHARS} characters")
        if _ACTIVE.search(icon):
            self.gate.report(self.root.at("icon"), "holds a script, a link or a style; draw shapes only")
        return f"data:image/svg+xml;base64,{base64.b64encode(icon.encode()).decode()}"

    def _probe(self) -> Schema | None:
        probe = self.records.integration.probe
        if probe is None:
            return None
        verb, path = probe.request.split(" ")
        return {"verb": verb, "path": path, "context": probe.context}

    # ---- one method of one resource

    def _tool(self, resource: Resource, method: str) -> Schema | None:
        record, integration, gate = resource.record.methods[method], self.records.integration, self.gate
        place = Place(resource.source, ("methods", method))
        before = len(gate.problems)
        name = record.name or naming.tool_name(
            integration.integration, resource.record.resource, method, resource.record.singular
        )
        self._name(name, place.at("name") if record.name else place)
        gate.length(place.at("description"), record.description, DESCRIPTION_LENGTH)
        gate.length(place.at("title"), record.title, TITLE_LENGTH)
        shared = {key: (part, self.root.at("schemas", key)) for key, part in integration.schemas.items()}
        shared |= {
            key: (part, Place(resource.source, ("schemas", key))) for key, part in resource.record.schemas.items()
        }
        expander = Expander(shared, gate.problems.append)
        answer = answers.documented_answer(record, place, expander, gate)
        item = answers.item_schema(record, answer)
        access = self._access(record, method, place)
        annotations = self._annotations(record, method, access, place)
        destroys = bool(annotations["destructiveHint"])
        input_schema, shown_schema, parameters = compile_input(
            record, place, expander, context=integration.context, item=item, destroys=destroys, gate=gate
        )
        example = confirmed(record.example.arguments, input_schema)
        if access == "read":
            self.reads.add(name)
            if record.states is not None:
                self.event_readers.add(name)
        if access == "read" and record.pin is not None and (record.pin.kind, record.pin.read) == ("object", name):
            self.readers.add(name)
        pagination = answers.pagination(record, place, gate)
        output_schema = answers.output_schema(record, method, answer, place, gate)
        checks = self._checks(resource, record, place)
        if own_check := body_check(record):
            checks.append(own_check)
        pin = pins.compile_pin(record, input_schema, self.records.integration.pinnable, place, gate)
        self._example(example, (input_schema, shown_schema), checks, place)
        if len(gate.problems) > before:
            return None
        verb, path = record.request.split(" ")
        mapping = record.result.model_dump(include=RESULT_KEYS, exclude_none=True)
        if record.result.items is not None and record.result.fields:
            mapping["fields"] = fields_example(item)
        definition = {
            "name": name,
            "title": record.title,
            "description": " ".join(record.description.split()),
            "inputSchema": input_schema,
            "outputSchema": output_schema,
            "annotations": annotations,
        }
        mapping |= result_rules(record, output_schema, place, gate)
        return {
            "resource": resource.record.resource,
            "method": method,
            "access": access,
            "tags": sorted({*resource.record.tags, *record.tags}),
            "core": record.core,
            "tokens": model_tokens.of_tool({**definition, "inputSchema": shown_schema}),
            "definition": definition,
            "shown": shown_schema,
            "request": {
                "verb": verb,
                "path": path,
                "parameters": parameters,
                **_wire(record),
            },
            "pagination": pagination,
            "result": {key: value for key, value in mapping.items() if value},
            "pin": pin,
            "checks": checks,
            "example": example,
            "aliases": record.aliases,
            **({"touches": self._touches(record, access, place)} if record.touches is not None else {}),
            **self._event(record, access, place),
            **self._asks(record, input_schema, place),
        }

    def _asks(self, record: MethodRecord, input_schema: Schema, place: Place) -> Schema:
        """What the client's side is asked before a call."""
        rounds: list[list[Schema]] = []
        keys: set[str] = set()
        for index, asked in enumerate(record.asks):
            rounds.append([])
            for key, question in asked.items():
                where = place.at("asks", index, key)
                self.gate.jmespath(where.at("take"), question.take)
                if question.argument not in input_schema["properties"]:
                    self.gate.report(where.at("argument"), f'"{question.argument}" is not an argument of the tool')
                elif question.argument in input_schema.get("required", ()):
                    self.gate.report(
                        where.at("argument"), f'"{question.argument}" is required, so that clients never leave it out'
                    )
                if key in keys or key == "confirmation":
                    self.gate.report(where, f'"{key}" is asked already; each question has a key of its own')
                keys.add(key)
                rounds[-1].append({"key": key, **question.model_dump()})
        return {"asks": rounds} if rounds else {}

    def _event(self, record: MethodRecord, access: catalog.Access, place: Place) -> Schema:
        """What a write queues, and how a reader tells the states of an event apart."""
        found: Schema = {}
        if record.event is not None:
            if access == "read":
                self.gate.report(place.at("event"), "is for tools that write; a read queues nothing")
            self.gate.jmespath(place.at("event", "id"), record.event.id)
            found["event"] = record.event.model_dump(exclude_defaults=True)
        if record.states is not None:
            if access != "read":
                self.gate.report(place.at("states"), "is for the tool that reads an event")
            for key in ("running", "failed", "cancelled", "asks"):
                if (expression := getattr(record.states, key)) is not None:
                    self.gate.jmespath(place.at("states", key), expression)
            found["states"] = record.states.model_dump(exclude_defaults=True)
        return found

    def _touches(self, record: MethodRecord, access: catalog.Access, place: Place) -> Schema:
        """How a call's reach is found out before it is made."""
        assert record.touches is not None
        rules, where = record.touches, place.at("touches")
        if access == "read":
            self.gate.report(where, "is for tools that write; a read touches nothing")
        if (rules.read is None) != (rules.arguments is None):
            self.gate.report(where, "read and arguments belong together: the tool, and what it is called with")
        if rules.read is None and (rules.count is None or rules.show is not None):
            self.gate.report(where, "needs a tool to read, or a count over the arguments; only what is read is shown")
        entry: Schema = rules.model_dump(exclude_none=True)
        for key in ("count", "arguments", "show"):
            if key in entry:
                self.gate.jmespath(where.at(key), entry[key])
        return entry

    def _name(self, name: str, place: Place) -> None:
        if len(name) > naming.MAX_NAME:
            self.gate.report(
                place,
                f'tool name "{name}" has {len(name)} characters, hosts allow {naming.MAX_NAME}; '
                f'write "name: {naming.shorten(name)}" or a better short one',
            )
        elif not naming.VALID_NAME.fullmatch(name):
            self.gate.report(place, f'tool name "{name}" may hold only letters, digits, "_" and "-"')
        if name in catalog.DISCOVERY_NAMES:
            self.gate.report(place, f'tool name "{name}" is that of a tool of the profile discovery')
        if other := self.named.get(name):
            self.gate.report(
                place, f'tool name "{name}" is taken by {other.source.name}:{other.source.line(other.path)}'
            )
        self.named.setdefault(name, place)

    def _access(self, record: MethodRecord, method: str, place: Place) -> catalog.Access:
        verb = record.request.split(" ")[0]
        expected: catalog.Access | None = None
        if method in catalog.STANDARD_METHODS:
            expected = "read" if method in ("list", "get") else "write"
            if record.access not in (None, expected):
                self.gate.report(place.at("access"), f'"{method}" is always {expected}; use a custom method name')
        elif record.access is None:
            self.gate.report(place, 'custom method: missing key "access": read (changes nothing upstream) or write')
        access = expected or record.access or "write"
        if access == "read" and verb in ("DELETE", "PATCH", "PUT"):
            self.gate.report(place.at("request"), f"{verb} in a tool that only reads; read-only servers would offer it")
        return access

    def _annotations(self, record: MethodRecord, method: str, access: catalog.Access, place: Place) -> Schema:
        """All four hints, always. What the method does not say, the record must."""
        destructive, idempotent = record.destructive, record.idempotent
        if access == "read":
            if destructive:
                self.gate.report(place.at("destructive"), "a tool that only reads destroys nothing")
            destructive, idempotent = False, idempotent is not False
        elif method in _KNOWN_EFFECTS:
            destructive = _KNOWN_EFFECTS[method][0] if destructive is None else destructive
            idempotent = _KNOWN_EFFECTS[method][1] if idempotent is None else idempotent
        for key, value in (("destructive", destructive), ("idempotent", idempotent)):
            if value is None and record.access is not None:
                self.gate.report(place, f'custom method that writes: missing key "{key}": true or false')
        return {
            "title": record.title,
            "readOnlyHint": access == "read",
            "destructiveHint": bool(destructive),
            "idempotentHint": bool(idempotent),
            "openWorldHint": record.open_world,
        }

    def _checks(self, resource: Resource, record: MethodRecord, place: Place) -> list[Schema]:
        known = {**self.records.integration.checks, **resource.record.checks}
        found = []
        for index, name in enumerate(record.checks):
            if name in known:
                found.append({"schema": known[name].when, "message": " ".join(known[name].message.split())})
            else:
                names = ", ".join(sorted(known)) or "none"
                self.gate.report(place.at("checks", index), f'no check "{name}"; checks: {names}')
        return found

    def _check_schema(self, check: CheckRecord, place: Place) -> None:
        problems = schema_problems(check.when, place.at("when"))
        self.gate.problems += problems
        if not problems:
            try:
                jsonschema_rs.Draft202012Validator(check.when)
            except _UNUSABLE as error:
                self.gate.report(place.at("when"), f"not usable: {' '.join(str(error).split())}")

    def _example(self, arguments: Schema, inputs: tuple[Schema, ...], checks: list[Schema], place: Place) -> None:
        where = place.at("example", "arguments")
        try:
            checked, shown = (jsonschema_rs.Draft202012Validator(schema, validate_formats=True) for schema in inputs)
            rules = [(jsonschema_rs.Draft202012Validator(check["schema"]), check["message"]) for check in checks]
        except _UNUSABLE:
            return  # reported where the schema stands
        for error in [*checked.iter_errors(arguments)] or shown.iter_errors(arguments):
            self.gate.report(where.at(*error.instance_path), f"does not validate: {error.message}")
        for rule, message in rules:
            if rule.is_valid(arguments):
                self.gate.report(where, f"is refused by a check of the tool: {message}")

    # ---- the catalogue as a whole

    def _aliases(self) -> None:
        """An alias leads to one tool: it is neither a tool's name nor another tool's alias."""
        taken: dict[str, str] = {}
        for resource in self.records.resources:
            for method, record in resource.record.methods.items():
                for index, alias in enumerate(record.aliases):
                    place = Place(resource.source, ("methods", method, "aliases", index))
                    if alias in self.named:
                        self.gate.report(place, f'"{alias}" is the name of a tool')
                    elif alias in taken:
                        self.gate.report(place, f'"{alias}" is an alias of {taken[alias]} already')
                    taken[alias] = f"{resource.record.resource}.{method}"

    def _budget(self, tools: list[Schema]) -> None:
        """What the tools cost a model, within the budget that integration.yaml sets."""
        budget = self.records.integration.token_budget
        if budget is None:
            return
        core, full = [tool for tool in tools if tool["core"]], tools
        for key, chosen, most in (("core", core, budget.core), ("full", full, budget.full)):
            if most is not None and (total := sum(tool["tokens"] for tool in chosen)) > most:
                self.gate.report(
                    self.root.at("token_budget", key),
                    f"{len(chosen)} tools cost a model about {total:,} tokens; `tool-catalog show --tokens` lists them",
                )
        for tool in tools:
            if budget.tool is not None and tool["tokens"] > budget.tool:
                name = tool["definition"]["name"]
                self.gate.report(
                    self.named[name], f"costs a model about {tool['tokens']} tokens; token_budget.tool is {budget.tool}"
                )

    def _references(self) -> None:
        """Tools that a pin reads with must exist and be pinned themselves; checks must be used."""
        if not self.records.complete:
            return
        used = set()
        for resource in self.records.resources:
            for method, record in resource.record.methods.items():
                used |= set(record.checks)
                self._event_references(resource, method, record)
                reads = record.touches.read if record.touches is not None else None
                if reads is not None and reads not in self.reads:
                    place = Place(resource.source, ("methods", method, "touches", "read"))
                    self.gate.report(place, f'"{reads}" is not a tool of this integration that only reads')
                if record.pin and record.pin.read and record.pin.read not in self.readers:
                    place = Place(resource.source, ("methods", method, "pin", "read"))
                    self.gate.report(
                        place,
                        f'"{record.pin.read}" is not a tool of this integration that only reads and is itself pinned '
                        "with kind object and read: its own name",
                    )
                for index, hint in enumerate(record.result.hints):
                    place = Place(resource.source, ("methods", method, "result", "hints", index))
                    named = sorted(name for name in self.named if re.search(rf"\b{name}\b", hint.text))
                    if named != ([hint.tool] if hint.tool else []):
                        self.gate.report(
                            place, f"the text names {', '.join(named) or 'no tool'}, and tool says {hint.tool}"
                        )
            for name in set(resource.record.checks) - {n for m in resource.record.methods.values() for n in m.checks}:
                self.gate.report(Place(resource.source, ("checks", name)), "is used by no method")
        for name in set(self.records.integration.checks) - used:
            self.gate.report(self.root.at("checks", name), "is used by no method")

    def _event_references(self, resource: Resource, method: str, record: MethodRecord) -> None:
        """The tool that reads an event must have `states`, and the tools that act on one must exist."""
        if record.event is not None and record.event.read not in self.event_readers:
            place = Place(resource.source, ("methods", method, "event", "read"))
            self.gate.report(place, f'"{record.event.read}" is not a tool of this integration with states')
        for key in ("answer", "cancel"):
            named = getattr(record.states, key, None)
            if named is not None and named not in self.named:
                place = Place(resource.source, ("methods", method, "states", key))
                self.gate.report(place, f'"{named}" is not a tool of this integration')

    def _official_models(self, tools: list[Schema]) -> None:
        """Each definition must pass the official models of every revision we serve, with nothing lost on the way."""
        envelopes: dict[str, Schema] = {"2026-07-28": {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}}
        for tool in tools:
            place = self.named[tool["definition"]["name"]]
            for revision in SERVED_REVISIONS:
                listed = {"tools": [tool["definition"]], **envelopes.get(revision, {})}
                try:
                    served = serialize_server_result("tools/list", revision, listed)
                except pydantic.ValidationError as error:
                    detail = error.errors()[0]
                    where = ".".join(map(str, detail["loc"]))
                    self.gate.report(place, f"MCP {revision} refuses the tool: {where}: {detail['msg']}")
                    continue
                if served["tools"] != listed["tools"]:
                    self.gate.report(place, f"MCP {revision} would lose a part of the tool's definition")


def _auth_entry(auth: AuthRecord) -> Schema:
    """The entry that `catalog.Auth` is read from."""
    return {key: value for key, value in auth.model_dump(exclude_defaults=True).items() if value}


def _wire(record: MethodRecord) -> Schema:
    """What `catalog.Request` has in addition to verb, path and parameters, where it is not the default."""
    entry: Schema = {}
    if record.body_schema is not None and media_type(record) != catalog.JSON_MEDIA_TYPE:
        entry["media_type"] = media_type(record)
    if record.accept != catalog.JSON_MEDIA_TYPE:
        entry["accept"] = record.accept
    if record.redirects:
        entry["redirects"] = True
    if record.body_required:
        entry["body_required"] = True
    if record.auth is not None:
        entry["auth"] = _auth_entry(record.auth)
    return entry


_UNUSABLE = (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError)
"""What building a validator raises for a schema that cannot be used."""

_KNOWN_EFFECTS = {"create": (False, False), "update": (True, True), "delete": (True, True)}
"""Method -> (destructive, idempotent), where the record does not say."""
