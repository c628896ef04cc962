"""The Model Context Protocol over HTTP, without input or output: bytes and headers in, text and a status out.

Two eras at one URL. *Modern* is revision 2026-07-28: every request carries its own envelope in `params._meta`, mirrored
into headers. *Legacy* is the `initialize` handshake of the revisions before it, here without a session.

What is sent where the specification is silent follows the official Python SDK (mcp 2.3); `tests/mcp_endpoint/
test_differential.py` holds every difference and its reason.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from functions.gateway import json_text
from functions.gateway.errors import INVALID_PARAMS
from functions.gateway.json_text import Json
from functions.gateway.value_classes import dataclass, field
from functions.gateway.wording import shown

RequestId = str | int
Headers = Sequence[tuple[str, str]]
"""Header lines in their order, duplicates included; names in lower case."""

SERVER_NAME = "postern"
SERVER_VERSION = "0.1.0"
"""The product's version, as in pyproject.toml (a test compares them); the artefact carries no package metadata."""

MODERN_VERSIONS = ("2026-07-28",)
LEGACY_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions with the handshake, oldest first. 2024-11-05 had another transport, but hosts still ask for it on this one,
and what we answer is valid under it."""

LISTED_METHODS = (
    *("tools/list", "tools/call", "prompts/list", "prompts/get", "completion/complete"),
    *("resources/list", "resources/templates/list", "resources/read"),
)
LEGACY_METHODS = ("initialize", "ping", *LISTED_METHODS)
TASK_METHODS = ("tasks/get", "tasks/update", "tasks/cancel")
MODERN_METHODS = ("server/discover", *LISTED_METHODS, *TASK_METHODS)
"""What is served in each era; `Methods.answer` has a case for each."""

WITH_ICONS = "2025-11-25"
"""The first revision in which a server has icons and a website."""

UNSTATED_VERSION = "2025-03-26"
"""What a request without a version header speaks (2026-07-28, transports, "Protocol Version Header")."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022

SERVED_VERSIONS = (*MODERN_VERSIONS, *reversed(LEGACY_VERSIONS))
"""What a client of an unknown version hears if it sends no envelope, the newest first: it may be of either era. With an
envelope it hears MODERN_VERSIONS, which `server/discover` names too."""

MODERN_STATUS = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    METHOD_NOT_FOUND: 404,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
}
"""HTTP status of a modern JSON-RPC error (2026-07-28, transports and basic/index); any other code: 200, as the SDK."""

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
CLIENT_KEY = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"
TASKS_EXTENSION = "io.modelcontextprotocol/tasks"
UI_EXTENSION = "io.modelcontextprotocol/ui"
UI_MEDIA_TYPE = "text/html;profile=mcp-app"
"""The extension MCP Apps (2026-01-26), and the one media type of its pages."""

SESSION_HEADER = "mcp-session-id"

VIEWS_SESSION = ".views"
"""How the session id ends that a legacy client with the extension is given. Such a client declares it in `initialize`
alone, and no later request is joined to that one here; so the client carries the declaration itself. The id opens
nothing, and nothing is stored for it."""

TOOLS_ALONE: Mapping[str, Json] = MappingProxyType({"tools": {}})
"""The capabilities of a server that has nothing but tools."""

TRACE_KEYS = ("traceparent", "tracestate")
"""Keys of `_meta` that name a trace (2026-07-28, basic, reserved keys). Baggage, the third one, is not read: it
may hold anything, and upstreams are not to get it."""

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

NAME_PARAMETERS = {
    **{"tools/call": "name", "prompts/get": "name", "resources/read": "uri"},
    **dict.fromkeys(TASK_METHODS, "taskId"),
}
"""Method -> the parameter mirrored as `Mcp-Name`."""

IN_ROUNDS = ("tools/call", "prompts/get", "resources/read")
"""Methods whose result may be that input is required first."""

ROUTING_HEADERS = ("mcp-protocol-version", "mcp-method", "mcp-name")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be served. `params` is the object as sent, `_meta` included."""

    id: RequestId
    method: str
    params: Mapping[str, Json] = field(repr=False)
    modern: bool
    version: str
    session: str = field(default="", repr=False)

    @property
    def shows_views(self) -> bool:
        """True for a client that declared MCP Apps: in this request, or in the handshake that its session is from."""
        if not self.modern and self.method != "initialize":
            return self.session.endswith(VIEWS_SESSION)
        declared = self.meta.get(CAPABILITIES_KEY) if self.modern else self.params.get("capabilities")
        for step in ("extensions", UI_EXTENSION, "mimeTypes"):
            declared = declared.get(step) if isinstance(declared, dict) else None
        return isinstance(declared, list) and UI_MEDIA_TYPE in declared

    @property
    def follows_tasks(self) -> bool:
        """True for a client that declared the tasks extension, which is one of the modern era."""
        able = self.meta.get(CAPABILITIES_KEY) if self.modern else None
        extensions = able.get("extensions") if isinstance(able, dict) else None
        return isinstance(extensions, dict) and isinstance(extensions.get(TASKS_EXTENSION), dict)

    @property
    def meta(self) -> Mapping[str, Json]:
        """`params._meta`, {} where there is none."""
        meta = self.params.get("_meta")
        return meta if isinstance(meta, dict) else {}

    @property
    def client(self) -> tuple[str, str] | None:
        """Name and version that the client gives itself, None where it gives none. Not verified."""
        info = self.meta.get(CLIENT_KEY) if self.modern else self.params.get("clientInfo")
        return (info["name"], info["version"]) if isinstance(info, dict) else None

    @property
    def trace(self) -> dict[str, str]:
        """W3C trace context of the request: traceparent, and tracestate as far as it is there. {} without the first."""
        meta = self.meta
        found = {key: meta[key] for key in TRACE_KEYS if isinstance(meta.get(key), str)}
        return found if "traceparent" in found else {}


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification, or a stray response from a legacy client: accepted, without a result."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The envelope is wrong. `id` is None where the request's id could not be read."""

    status: int
    code: int
    message: str
    id: RequestId | None = None
    data: Json = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is refused before the method of a message is looked at. `id` is None where the request's id is unreadable.

    `legacy`  the message is a well-formed request of the legacy era.
    """

    id: RequestId | None
    legacy: bool

    def status(self, status: int) -> int:
        """The HTTP status of a refusal. A legacy request for what does not exist gets 200 and the JSON-RPC error.

        In the legacy revisions an HTTP 404 says one thing only: the session has ended. The Python SDK 1.x therefore
        drops the body of a 404 and shows "Session terminated". A JSON-RPC error with HTTP 200 is that era's own form
        of an error, and every client shows its message. The modern revision has no sessions and keeps 404.
        """
        return 200 if self.legacy and status == 404 else status


class RpcError(Exception):
    """A method answers with a JSON-RPC error. `data` is sent where it is not None."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def read(headers: Headers, body: bytes) -> Call | Notification | Refusal:
    """What one POST asks for. Never raises, whatever the bytes are."""
    try:
        message = json_text.decode(body)
    except json_text.NotJson as unreadable:
        return Refusal(400, PARSE_ERROR, f"Parse error: {unreadable}")
    if not isinstance(message, dict):
        shape = "a batch (an array)" if isinstance(message, list) else "not an object"
        return Refusal(400, INVALID_REQUEST, f"The body is {shape}; send one JSON-RPC request or notification")
    version = _version(headers)
    modern = _is_modern(version, message)
    if "id" not in message:
        return _read_notification(message, version, modern)
    if "method" not in message and not modern and _is_response(message):
        return Notification()
    if problem := _request_problem(message):
        return Refusal(400, INVALID_REQUEST, problem, _id(message))
    if modern:
        return _read_modern(headers, version, message)
    id, method, params = message["id"], message["method"], message.get("params") or {}
    if method not in LEGACY_METHODS:
        return Refusal(200, METHOD_NOT_FOUND, _unknown(method, LEGACY_METHODS), id)
    if problem := _params_problem(method, params):
        return Refusal(200, INVALID_PARAMS, problem, id)
    session = next((value.strip() for name, value in headers if name == SESSION_HEADER), "")
    return Call(id, method, params, False, version or UNSTATED_VERSION, session)


def asker(headers: Headers, body: bytes) -> Asker:
    """Who sent these bytes, as far as a refusal needs it. Never raises, whatever the bytes are."""
    try:
        message = json_text.decode(body)
    except json_text.NotJson:
        return Asker(None, False)
    if not isinstance(message, dict):
        return Asker(None, False)
    return Asker(_id(message), not _request_problem(message) and not _is_modern(_version(headers), message))


def result(
    call: Call, members: Mapping[str, Json], *, title: str, frozen: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The answer to a call. `frozen` holds members whose values are JSON already; `title` names the server."""
    if call.modern:
        meta = {SERVER_KEY: server_info(title), **members.get("_meta", {})}
        members = {"resultType": "complete", **members, "_meta": meta}
    pieces = ['{"jsonrpc":"2.0","id":', json_text.sendable(call.id), ',"result":']
    between = "{"
    for name, value in frozen.items():
        pieces += (between, json_text.sendable(name), ":", value)
        between = ","
    if members:
        pieces += (between, json_text.sendable(members)[1:])
    else:
        pieces.append("}" if frozen else "{}")
    return "".join((*pieces, "}"))


def error(code: int, message: str, id: RequestId | None = None, data: Json = None) -> str:
    """A JSON-RPC error. An id that could not be read is null, as in JSON-RPC 2.0 and the official SDK: some clients
    show the message only where the member is there."""
    content: dict[str, Json] = {"code": code, "message": message}
    if data is not None:
        content["data"] = data
    return json_text.sendable({"jsonrpc": "2.0", "id": id, "error": content})


def status(call: Call, code: int) -> int:
    """HTTP status of an error that a method answered with."""
    return MODERN_STATUS.get(code, 200) if call.modern else 200


def initialize(
    call: Call,
    *,
    title: str,
    instructions: str,
    capabilities: Mapping[str, Json] = TOOLS_ALONE,
    about: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """Result of the legacy handshake: the version asked for where we know it, else our newest legacy one.

    `about`  the website and the icons of what is behind the server.
    """
    asked = call.params["protocolVersion"]
    version = asked if asked in LEGACY_VERSIONS else LEGACY_VERSIONS[-1]
    return {
        "protocolVersion": version,
        "capabilities": dict(capabilities),
        "serverInfo": {**server_info(title), **((about or {}) if version >= WITH_ICONS else {})},
        "instructions": instructions,
    }


def discover(
    *,
    title: str,
    instructions: str,
    capabilities: Mapping[str, Json] = TOOLS_ALONE,
    about: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """Result of `server/discover`, the modern counterpart of the handshake."""
    return {
        "supportedVersions": list(MODERN_VERSIONS),
        "capabilities": dict(capabilities),
        "instructions": instructions,
        "_meta": {SERVER_KEY: {**server_info(title), **(about or {})}},
    }


def capabilities(
    *, prompts: bool = False, resources: bool = False, views: bool = False, tasks: bool = False
) -> dict[str, Json]:
    """What a server with tools can do. `views`: it has pages for a client that declared them. `tasks`: a tool of it may
    become a task."""
    extensions: dict[str, Json] = {UI_EXTENSION: {"mimeTypes": [UI_MEDIA_TYPE]}} if views else {}
    if tasks:
        extensions[TASKS_EXTENSION] = {}
    return {
        **TOOLS_ALONE,
        **({"prompts": {}, "completions": {}} if prompts else {}),
        **({"resources": {}} if resources or views else {}),
        **({"extensions": extensions} if extensions else {}),
    }


def cacheable(ttl_ms: int) -> dict[str, Json]:
    """What a modern listing says about caching: its reader alone may keep it, for so many milliseconds."""
    return {"ttlMs": ttl_ms, "cacheScope": "private"}


def server_info(title: str) -> dict[str, str]:
    """Who answers: the product, and the name its operator gave this server."""
    return {"name": SERVER_NAME, "title": title, "version": SERVER_VERSION}


def decode_header(value: str) -> str | None:
    """A header value as its sender meant it: plain, or `=?base64?...?=` over UTF-8. None where that does not decode."""
    value = value.strip(" \t")
    if not (value.startswith("=?base64?") and value.endswith("?=") and len(value) >= len("=?base64??=")):
        return value
    payload = value[len("=?base64?") : -len("?=")]
    try:
        decoded = base64.b64decode(payload, validate=True)
        text = decoded.decode()
    except (binascii.Error, ValueError):
        return None
    # One value has one encoding: another reader of the header must not see something else than we do.
    return text if base64.b64encode(decoded).decode() == payload else None


def _is_modern(version: str | None, message: Mapping[str, Json]) -> bool:
    """The era: a modern envelope is modern, `initialize` is legacy (2026-07-28, versioning); for the rest the header
    decides, as in the official SDK."""
    if version is not None and version not in LEGACY_VERSIONS:
        return True
    if "id" not in message or message.get("method") == "initialize":
        return False
    meta = _meta(message)
    return meta.get(VERSION_KEY, LEGACY_VERSIONS[0]) not in LEGACY_VERSIONS


def _meta(message: Mapping[str, Json]) -> Mapping[str, Json]:
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta if isinstance(meta, dict) else {}


def _version(headers: Headers) -> str | None:
    return next((value.strip() for name, value in headers if name == "mcp-protocol-version"), None)


def _read_notification(message: Mapping[str, Json], version: str | None, modern: bool) -> Notification | Refusal:
    if not modern and "method" not in message and _is_response(message):
        return Notification()
    if problem := _request_problem({**message, "id": 0}):
        return Refusal(400, INVALID_REQUEST, problem)
    if modern and version not in MODERN_VERSIONS:
        return _unsupported(version, None)
    return Notification()


def _is_response(message: Mapping[str, Json]) -> bool:
    if message.get("jsonrpc") != "2.0":
        return False
    failure = message.get("error")
    if isinstance(failure, dict):
        return isinstance(failure.get("code"), int) and isinstance(failure.get("message"), str)
    return isinstance(message.get("result"), dict) and _id(message) is not None


def _request_problem(message: Mapping[str, Json]) -> str:
    if message.get("jsonrpc") != "2.0":
        return 'Invalid request: "jsonrpc" must be "2.0"'
    if _id(message) is None:
        return 'Invalid request: "id" must be a string or an integer'
    if not isinstance(message.get("method"), str):
        return 'Invalid request: "method" must be a string'
    if not isinstance(message.get("params"), dict | None):
        return 'Invalid request: "params" must be an object'
    return ""


def _read_modern(headers: Headers, version: str | None, message: Mapping[str, Json]) -> Call | Refusal:
    """The ladder of a modern request; the first rung that fails answers."""
    id, method, params = message["id"], message["method"], message.get("params") or {}

    def mismatch(text: str) -> Refusal:
        return Refusal(400, HEADER_MISMATCH, f"Header mismatch: {text}", id)

    given: dict[str, str] = {}
    for name, value in headers:
        if name in ROUTING_HEADERS:
            if name in given:
                return mismatch(f"{name} appears more than once")
            given[name] = value.strip(" \t")
    meta = _meta(message)
    if version not in (None, *SERVED_VERSIONS) and VERSION_KEY not in meta:
        return _unsupported(version, id, SERVED_VERSIONS)
    if missing := [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]:
        return Refusal(400, INVALID_PARAMS, f"Invalid params: params._meta lacks {' and '.join(missing)}", id)
    if version is None:
        return mismatch(f"mcp-protocol-version is missing; send {shown(meta[VERSION_KEY])} as in params._meta")
    if version != meta[VERSION_KEY]:
        return mismatch(f'mcp-protocol-version is "{version}", params._meta has {shown(meta[VERSION_KEY])}')
    if given.get("mcp-method") != method:
        return mismatch(f"mcp-method is {_header(given.get('mcp-method'))}, the body's method is {shown(method)}")
    name_parameter = NAME_PARAMETERS.get(method)
    named = params.get(name_parameter) if name_parameter else None
    if named is not None:
        header = given.get("mcp-name")
        if header is None or decode_header(header) != named:
            return mismatch(f"mcp-name is {_header(header)}, params.{name_parameter} is {shown(named)}")
    if version not in MODERN_VERSIONS:
        return _unsupported(version, id)
    if method not in MODERN_METHODS:
        return Refusal(404, METHOD_NOT_FOUND, _unknown(method, MODERN_METHODS), id)
    if problem := _meta_problem(meta) or _rounds_problem(method, params) or _params_problem(method, params):
        return Refusal(400, INVALID_PARAMS, problem, id)
    return Call(id, method, params, True, version)


def _unsupported(version: str | None, id: RequestId | None, served: Sequence[str] = MODERN_VERSIONS) -> Refusal:
    data = {"supported": list(served), "requested": version}
    message = f"Unsupported protocol version {_header(version)}; this server has {', '.join(served)}"
    return Refusal(400, UNSUPPORTED_VERSION, message, id, data)


def _unknown(method: str, served: Sequence[str]) -> str:
    return f"Method not found: {shown(method)}; this server has {', '.join(served)}"


def _meta_problem(meta: Mapping[str, Json]) -> str:
    """Types of the modern envelope (2026-07-28, schema, RequestMetaObject)."""
    capabilities, client, level = meta[CAPABILITIES_KEY], meta.get(CLIENT_KEY), meta.get(LOG_LEVEL_KEY)
    if not isinstance(capabilities, dict) or not all(isinstance(value, dict) for value in capabilities.values()):
        return f"Invalid params: {CAPABILITIES_KEY} must be an object of objects"
    if client is not None and not _is_implementation(client):
        return f'Invalid params: {CLIENT_KEY} must be an object with the strings "name" and "version"'
    if level is not None and level not in LOG_LEVELS:
        return f"Invalid params: {LOG_LEVEL_KEY} must be one of {', '.join(LOG_LEVELS)}"
    return ""


def _rounds_problem(method: str, params: Mapping[str, Json]) -> str:
    """Types of what a client sends with the repeat of a request (2026-07-28, MRTR)."""
    if method not in IN_ROUNDS:
        return ""
    if not isinstance(params.get("inputResponses", {}), dict):
        return 'Invalid params: "inputResponses" must be an object'
    if not isinstance(params.get("requestState", ""), str):
        return 'Invalid params: "requestState" must be a string'
    return ""


def _params_problem(method: str, params: Mapping[str, Json]) -> str:
    """Types of the parameters of the methods we have (schema of each revision)."""
    meta = params.get("_meta")
    if not isinstance(meta, dict | None):
        return "Invalid params: params._meta must be an object"
    if meta and not isinstance(meta.get("progressToken"), str | int | None):
        return "Invalid params: progressToken must be a string or an integer"
    if method == "initialize":
        if not isinstance(params.get("protocolVersion"), str):
            return 'Invalid params: "protocolVersion" must be a string'
        if not isinstance(params.get("capabilities"), dict):
            return 'Invalid params: "capabilities" must be an object'
        if not _is_implementation(params.get("clientInfo")):
            return 'Invalid params: "clientInfo" must be an object with the strings "name" and "version"'
    elif method.endswith("/list"):
        if not isinstance(params.get("cursor"), str | None):
            return 'Invalid params: "cursor" must be a string'
    elif method == "tools/call":
        if not isinstance(params.get("name"), str):
            return 'Invalid params: "name" must be a string'
        if not isinstance(params.get("arguments"), dict | None):
            return 'Invalid params: "arguments" must be an object'
    elif method == "prompts/get":
        if not isinstance(params.get("name"), str):
            return 'Invalid params: "name" must be a string'
        if not _is_texts(params.get("arguments") or {}):
            return 'Invalid params: "arguments" must be an object of strings'
    elif method == "resources/read":
        if not isinstance(params.get("uri"), str):
            return 'Invalid params: "uri" must be a string'
    elif method in TASK_METHODS:
        if not isinstance(params.get("taskId"), str):
            return 'Invalid params: "taskId" must be a string'
        if method == "tasks/update" and not isinstance(params.get("inputResponses"), dict):
            return 'Invalid params: "inputResponses" must be an object'
    elif method == "completion/complete":
        reference, argument = params.get("ref"), params.get("argument")
        if not (isinstance(reference, dict) and isinstance(reference.get("type"), str)):
            return 'Invalid params: "ref" must be an object with the string "type"'
        if reference["type"] == "ref/prompt" and not isinstance(reference.get("name"), str):
            return 'Invalid params: "ref" must have the string "name"'
        if not isinstance(argument, dict) or not all(isinstance(argument.get(key), str) for key in ("name", "value")):
            return 'Invalid params: "argument" must be an object with the strings "name" and "value"'
    return ""


def _is_texts(value: Json) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values())


def _is_implementation(value: Json) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("version"), str)


def _id(message: Mapping[str, Json]) -> RequestId | None:
    value = message.get("id")
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def _header(value: str | None) -> str:
    return "missing" if value is None else shown(value)
