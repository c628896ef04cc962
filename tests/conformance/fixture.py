"""The catalogue and the methods that the official conformance suite asks for: named tools with canned answers.

They are served by the real endpoint; only what stands behind a call is replaced. What a stateless server with JSON
answers cannot do (notifications during a call, requests to the client) is not here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace

from functions.gateway.errors import INVALID_PARAMS
from functions.gateway.json_text import Json
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from functions.mcp_endpoint.methods import MethodResult, Methods, Visit
from functions.mcp_endpoint.protocol import CAPABILITIES_KEY, MISSING_CAPABILITY, Call, RpcError
from tool_catalog import compiled_file
from tool_catalog.catalog import Auth, Catalog, McpResource, Parameter, Prompt, PromptArgument, Request, Result, Tool

INTEGRATION = "conformance"

STATE_KEY = b"the fixture's own key; its state protects nothing"


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

NAME = {
    "method": "elicitation/create",
    "params": {
        "message": "What is your name?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}
COLOUR = {
    "method": "elicitation/create",
    "params": {
        "message": "What is your favourite colour?",
        "requestedSchema": {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]},
    },
}
CONFIRM = {
    "method": "elicitation/create",
    "params": {
        "message": "Please confirm",
        "requestedSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
    },
}
CAPITAL = {
    "method": "sampling/createMessage",
    "params": {
        "messages": [{"role": "user", "content": text("What is the capital of France?")}],
        "maxTokens": 100,
    },
}
ROOTS = {"method": "roots/list", "params": {}}

CAPABILITY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
"""Method of an input request -> the client capability it needs."""

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

STATELESS = ("test_input_required_result_elicitation", "test_input_required_result_sampling")
"""Tools of one round that go without a requestState, because the suite calls them with answers straight away."""

CONTEXT = {
    "method": "elicitation/create",
    "params": {
        "message": "What context should the prompt use?",
        "requestedSchema": {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]},
    },
}
"""What the prompt asks for that needs input."""


def _prompt(name: str, text: str = "", *arguments: str) -> Prompt:
    described = tuple(PromptArgument(argument, f"Argument {argument} of the suite.") for argument in arguments)
    return Prompt(name, name, "A prompt of the conformance suite.", described, text, ())


PROMPTS = (
    _prompt("test_simple_prompt", "This is a simple prompt for testing."),
    _prompt("test_prompt_with_arguments", "Prompt with arguments: arg1='{arg1}', arg2='{arg2}'", "arg1", "arg2"),
    _prompt("test_prompt_with_embedded_resource", "", "resourceUri"),
    _prompt("test_prompt_with_image"),
    _prompt("test_input_required_result_prompt"),
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
        if name in ROUNDS and call.modern:
            return MethodResult(_round(name, call))
        if name in CONTENT:
            return MethodResult({"content": CONTENT[name], "isError": name == "test_error_handling"})
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {name}")

    def get_prompt(self, call: Call, visit: Visit, catalog: Catalog) -> dict[str, Json]:
        """The messages of a prompt; those that are not one text are written here."""
        name, given = call.params["name"], call.params.get("arguments") or {}
        if catalog.integration == INTEGRATION and name == "test_prompt_with_embedded_resource":
            resource = {"uri": given["resourceUri"], "mimeType": "text/plain", "text": "Embedded resource for testing."}
            return _messages({"type": "resource", "resource": resource}, text("Please process the resource above."))
        if catalog.integration == INTEGRATION and name == "test_prompt_with_image":
            return _messages(IMAGE, text("Please analyze the image above."))
        if catalog.integration == INTEGRATION and name == "test_input_required_result_prompt" and call.modern:
            answered = (call.params.get("inputResponses") or {}).get("user_context")
            if not isinstance(answered, dict):
                return {"resultType": "input_required", "inputRequests": {"user_context": CONTEXT}}
            return _messages(text("The context was given."))
        return super().get_prompt(call, visit, catalog)


def _messages(*contents: Json) -> dict[str, Json]:
    return {"messages": [{"role": "user", "content": content} for content in contents]}


def _round(name: str, call: Call) -> dict[str, Json]:
    """One round of a tool that asks for input: the next question, or the result."""
    params = call.params
    answers = params.get("inputResponses") or {}
    state = params.get("requestState")
    number = 0 if state is None else _opened(name, state)
    questions = _askable(name, call, ROUNDS[name][number])
    if answers and all(isinstance(answers.get(key), dict) for key in questions):
        number += 1
        if number == len(ROUNDS[name]):
            return {"content": [text(f"Answered: {', '.join(questions)}; state-ok")]}
        questions = _askable(name, call, ROUNDS[name][number])
    asked: dict[str, Json] = {"resultType": "input_required", "inputRequests": questions}
    if name not in STATELESS:
        asked["requestState"] = _sealed(name, number)
    return asked


def _askable(name: str, call: Call, questions: Mapping[str, Json]) -> dict[str, Json]:
    """The questions this client can answer."""
    if name != "test_input_required_result_capabilities":
        return dict(questions)
    able = call.meta[CAPABILITIES_KEY]
    return {key: question for key, question in questions.items() if CAPABILITY[question["method"]] in able}


def _sealed(name: str, number: int) -> str:
    state = json.dumps([name, number])
    return f"{state}|{_signature(state)}"


def _opened(name: str, sealed: Json) -> int:
    state, _, signature = str(sealed).rpartition("|")
    if not hmac.compare_digest(signature, _signature(state)) or json.loads(state)[0] != name:
        raise RpcError(INVALID_PARAMS, "Invalid params: requestState is not one this tool gave")
    return int(json.loads(state)[1])


def _signature(state: str) -> str:
    return hmac.new(STATE_KEY, state.encode(), hashlib.sha256).hexdigest()


def catalog() -> Catalog:
    """The fixture tools as a catalogue."""
    names = (*CONTENT, "test_missing_capability", *ROUNDS)
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
        tools={**{name: _tool(name) for name in names}, "test_read": _reader()},
        mcp_resources=RESOURCES,
        prompts={prompt.name: prompt for prompt in PROMPTS},
    )


def methods(settings: Settings, sender: Sender) -> Methods:
    """The methods of an endpoint that serves the fixture, and every integration there is."""
    fixture = catalog()
    return FixtureMethods(
        settings, sender, load_catalog=lambda name: fixture if name == INTEGRATION else compiled_file.load(name)
    )


class EchoSender(Sender):
    """An upstream that answers with what it was asked for."""

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        """The answer to one request."""
        body = json.dumps({"asked": request.url}).encode()
        return UpstreamResponse(200, {"content-type": "application/json"}, body)


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
