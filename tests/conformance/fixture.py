"""The catalogue and the methods that the official conformance suite asks for: named tools with canned answers.

They are served by the real endpoint; only what stands behind a call is replaced. What a stateless server with JSON
answers cannot do (notifications during a call, requests to the client) is not here.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import replace

from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.mcp_endpoint.methods import MethodResult, Methods, Visit
from functions.mcp_endpoint.protocol import CAPABILITIES_KEY, MISSING_CAPABILITY, Call, RpcError
from tool_catalog import compiled_file
from tool_catalog.catalog import (
    Catalog,
    Event,
    EventStates,
    McpResource,
    Prompt,
    PromptArgument,
    Question,
    Result,
    Tool,
)
from tool_catalog.request_template import Auth, Parameter, Request

INTEGRATION = "conformance"


def _png() -> bytes:
    """One red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = b"\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"
    pixel = zlib.compress(b"\x00\xff\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def _wav() -> bytes:
    """One silent sample."""
    form = b"fmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00"
    content = b"WAVE" + form + b"data\x01\x00\x00\x00\x80\x00"
    return b"RIFF" + len(content).to_bytes(4, "little") + content


def text(words: str) -> Json:
    return {"type": "text", "text": words}


IMAGE = {"type": "image", "data": base64.b64encode(_png()).decode(), "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": base64.b64encode(_wav()).decode(), "mimeType": "audio/wav"}

CONTENT: Mapping[str, list[Json]] = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [IMAGE],
    "test_audio_content": [AUDIO],
    "test_embedded_resource": [
        {
            "type": "resource",
            "resource": {
                "uri": "test://embedded-resource",
                "mimeType": "text/plain",
                "text": "This is an embedded resource content.",
            },
        }
    ],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        IMAGE,
        {
            "type": "resource",
            "resource": {
                "uri": "test://mixed-content-resource",
                "mimeType": "application/json",
                "text": '{"test":"data","value":123}',
            },
        },
    ],
    "test_error_handling": [text("This tool intentionally returns an error for testing")],
    "test_logging_tool": [text("Nothing was logged: JSON answers carry no notifications.")],
    "json_schema_2020_12_tool": [text("The arguments fit.")],
}
"""Tools that always answer the same."""

NAME: Json = {
    "method": "elicitation/create",
    "params": {
        "message": "What is your name?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}
COLOUR: Json = {
    "method": "elicitation/create",
    "params": {
        "message": "What is your favourite colour?",
        "requestedSchema": {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]},
    },
}
CONFIRM: Json = {
    "method": "elicitation/create",
    "params": {
        "message": "Please confirm",
        "requestedSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
    },
}
CAPITAL: Json = {
    "method": "sampling/createMessage",
    "params": {
        "messages": [{"role": "user", "content": text("What is the capital of France?")}],
        "maxTokens": 100,
    },
}
ROOTS: Json = {"method": "roots/list", "params": {}}

ROUNDS: Mapping[str, tuple[Mapping[str, Json], ...]] = {
    "test_input_required_result_elicitation": ({"user_name": NAME},),
    "test_input_required_result_sampling": ({"capital_question": CAPITAL},),
    "test_input_required_result_list_roots": ({"client_roots": ROOTS},),
    "test_input_required_result_request_state": ({"confirm": CONFIRM},),
    "test_input_required_result_multiple_inputs": ({"user_name": NAME, "greeting": CAPITAL, "client_roots": ROOTS},),
    "test_input_required_result_multi_round": ({"step1": NAME}, {"step2": COLOUR}),
    "test_input_required_result_tampered_state": ({"confirm": CONFIRM},),
    "test_input_required_result_capabilities": ({"user_name": NAME, "capital_question": CAPITAL},),
    "test_streaming_elicitation": ({"user_name": NAME},),
}
"""Tools that ask the client for something first: what each round asks for."""

TAKE = {NAME["method"]: "content.*|[0]", CAPITAL["method"]: "content", ROOTS["method"]: "roots"}
"""Method of an input request -> JMESPath to what its response gives."""

JOBS: Mapping[str, tuple[str, tuple[str, ...], bool]] = {
    "slow_compute": ("slow", ("seconds", "label"), False),
    "failing_job": ("failing", (), True),
    "protocol_error_job": ("forgotten", (), False),
    "confirm_delete": ("sure", ("filename",), False),
    "multi_input": ("twice", (), False),
    "test_tool_with_task": ("slow", ("user_name",), True),
}
"""Tools that queue a job: its kind at the upstream, the arguments, and whether only a task shows the outcome."""


def _prompt(name: str, text: str = "", *arguments: str) -> Prompt:
    described = tuple(PromptArgument(argument, f"Argument {argument} of the suite.") for argument in arguments)
    return Prompt(name, name, "A prompt of the conformance suite.", described, text, ())


PROMPTS = (
    _prompt("test_simple_prompt", "This is a simple prompt for testing."),
    _prompt("test_prompt_with_arguments", "Prompt with arguments: arg1='{arg1}', arg2='{arg2}'", "arg1", "arg2"),
    _prompt("test_prompt_with_embedded_resource", "", "resourceUri"),
    _prompt("test_prompt_with_image"),
    _prompt("test_input_required_result_prompt", "The context is {context}.", "context"),
)


def _resource(uri: str, media_type: str, **content: str) -> McpResource:
    arguments = {"id": "{id}"} if "{id}" in uri else {}
    return McpResource(uri, "test_read", uri, "A resource of the suite.", arguments, media_type, **content)


RESOURCES = (
    _resource("test://static-text", "text/plain", text="'This is the content of the static text resource.'"),
    _resource("test://static-binary", "image/png", blob=f"'{IMAGE['data']}'"),
    _resource("test://template/{id}/data", "application/json"),
)
"""Resources that the suite reads. Each is the answer of a real call, of which an expression makes what is asked for."""

NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}

SCHEMAS: Mapping[str, Json] = {
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
}
"""Input schemas that are not the empty object."""


CANNED: Mapping[str, str] = {
    "tools-call-simple-text": "a text block",
    "tools-call-image": "a picture block",
    "tools-call-audio": "a sound block",
    "tools-call-embedded-resource": "a resource block",
    "tools-call-mixed-content": "blocks of several kinds",
    "tools-call-error": "the text of an error",
    "prompts-get-embedded-resource": "a prompt with a resource",
    "prompts-get-with-image": "a prompt with a picture",
    "server-stateless": "a tool that needs a capability of the client",
    "json-schema-2020-12": "a tool with a schema of many keywords",
}
"""Scenario -> what of it the fixture cans, because no tool or prompt of the product has such content. Whatever else a
scenario looks at is the endpoint's own."""


class FixtureMethods(Methods):
    """The methods of the endpoint, with calls of the fixture's own tools; other integrations are served as ever."""

    async def call_tool(self, call: Call, visit: Visit, catalog: Catalog) -> MethodResult:
        """Carry out a call."""
        if catalog.integration != INTEGRATION:
            return await super().call_tool(call, visit, catalog)
        name = call.params["name"]
        if name == "test_missing_capability":
            if "sampling" not in call.meta[CAPABILITIES_KEY]:
                required: Json = {"requiredCapabilities": {"sampling": {}}}
                raise RpcError(MISSING_CAPABILITY, "This tool needs the sampling capability", required)
            return MethodResult({"content": [text("The client can sample.")]})
        if name == "greet":
            return MethodResult({"content": [text(f"Hello, {call.params['arguments']['name']}!")]})
        if name in CONTENT:
            return MethodResult({"content": CONTENT[name], "isError": name == "test_error_handling"})
        return await super().call_tool(call, visit, catalog)

    def get_prompt(self, call: Call, visit: Visit, catalog: Catalog) -> dict[str, Json]:
        """The messages of a prompt; those that are not one text are written here."""
        name, given = call.params["name"], call.params.get("arguments") or {}
        if catalog.integration == INTEGRATION and name == "test_prompt_with_embedded_resource":
            resource = {"uri": given["resourceUri"], "mimeType": "text/plain", "text": "Embedded resource for testing."}
            return _messages({"type": "resource", "resource": resource}, text("Please process the resource above."))
        if catalog.integration == INTEGRATION and name == "test_prompt_with_image":
            return _messages(IMAGE, text("Please analyze the image above."))
        return super().get_prompt(call, visit, catalog)


def _messages(*contents: Json) -> dict[str, Json]:
    return {"messages": [{"role": "user", "content": content} for content in contents]}


def catalog() -> Catalog:
    """The fixture tools as a catalogue."""
    names = (*CONTENT, "test_missing_capability")
    return Catalog(
        integration=INTEGRATION,
        label="Conformance fixture",
        base_url="http://127.0.0.1",
        instructions="Tools of the official conformance suite, with canned answers.",
        auth=Auth("none"),
        credentials={},
        context={},
        probe=None,
        rate_limits={},
        pinnable=(),
        source_sha256="",
        tools={
            **{name: _tool(name) for name in names},
            "greet": _taking("greet", "POST", "/greet", ("name",)),
            "test_read": _reader(),
            **{name: _asking(name, rounds) for name, rounds in ROUNDS.items()},
            **{name: _queueing(name, *about) for name, about in JOBS.items()},
            READ_JOB: _job_reader(),
            CANCEL_JOB: _taking(CANCEL_JOB, "DELETE", "/jobs/{id}", ("id",)),
            ANSWER_JOB: _taking(ANSWER_JOB, "POST", "/jobs/{id}/answers", ("id", "answers")),
        },
        mcp_resources=RESOURCES,
        prompts={prompt.name: prompt for prompt in PROMPTS},
    )


def methods(settings: Settings, sender: Sender) -> Methods:
    """The methods of an endpoint that serves the fixture, and every integration there is."""
    fixture = catalog()
    return FixtureMethods(
        settings, sender, load_catalog=lambda name: fixture if name == INTEGRATION else compiled_file.load(name)
    )


READ_JOB, CANCEL_JOB, ANSWER_JOB = "read_job", "cancel_job", "answer_job"


def _taking(name: str, verb: str, path: str, arguments: tuple[str, ...]) -> Tool:
    """A tool whose arguments are in the path or the body."""
    tool = _tool(name)
    schema = {**NOTHING, "properties": {argument: {} for argument in arguments}}
    parameters = tuple(
        Parameter("path" if f"{{{argument}}}" in path else "body", argument, argument) for argument in arguments
    )
    return replace(
        tool,
        access="write",
        definition={**tool.definition, "inputSchema": schema},
        request=Request(verb, path, parameters, body_required=verb == "POST"),
    )


def _asking(name: str, rounds: tuple[Mapping[str, Json], ...]) -> Tool:
    """A tool that asks the client for each of its arguments."""
    asks = tuple(
        tuple(Question(key, asked["method"], asked["params"], key, TAKE[asked["method"]]) for key, asked in one.items())
        for one in rounds
    )
    keys = tuple(key for one in rounds for key in one)
    return replace(_taking(name, "POST", "/repeat/state-ok", keys), asks=asks)


def _queueing(name: str, kind: str, arguments: tuple[str, ...], required: bool) -> Tool:
    """A tool that queues a job at the upstream."""
    tool = _taking(name, "POST", f"/jobs/{kind}", arguments)
    asks: tuple[tuple[Question, ...], ...] = ()
    if "user_name" in arguments:
        asks = ((Question("user_name", NAME["method"], NAME["params"], "user_name", TAKE[NAME["method"]]),),)
    return replace(tool, event=Event("job_id", READ_JOB, required=required), asks=asks)


def _job_reader() -> Tool:
    states = EventStates(
        running="status == 'RUNNING'",
        failed="status == 'FAILED'",
        cancelled="status == 'CANCELLED'",
        asks="asks",
        answer=ANSWER_JOB,
        cancel=CANCEL_JOB,
    )
    reader = _taking(READ_JOB, "GET", "/jobs/{id}", ("id",))
    return replace(reader, access="read", states=states, result=Result(nulls=False))


def _reader() -> Tool:
    """The tool behind the resources."""
    identified = {"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": False}
    tool = _tool("test_read")
    return replace(
        tool,
        definition={**tool.definition, "inputSchema": identified},
        request=Request("GET", "/read", (Parameter("query", "id", "id"),)),
    )


def _tool(name: str) -> Tool:
    hints = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
    return Tool(
        name=name,
        resource="fixture",
        method=name,
        access="read",
        tags=(),
        definition={
            "name": name,
            "title": name,
            "description": "A tool of the conformance suite.",
            "inputSchema": SCHEMAS.get(name, NOTHING),
            "annotations": hints,
        },
        request=Request("GET", "/"),
        pagination=None,
        result=Result(),
        pin=None,
        checks=(),
        example={},
    )
