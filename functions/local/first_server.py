"""The account and the MCP server that `postern serve` prints, made through the management API like any other.

An upstream that was connected before keeps its account and its server, so its URL survives a restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from functions.gateway.json_text import Json
from functions.local.errors import LocalError
from functions.local.state_file import StateFile
from functions.memory_engine.settings import EngineSettings

PLATFORM_URL = "https://api.mem0.ai"
"""Where Mem0 is when MEM0_API_KEY is set and MEM0_BASE_URL is not."""

PERSONAL = {"profile": "core"}
"""What the server of `postern run` shows."""

MAX_NAME_CHARS = 100
"""Characters of an account's name, the limit of the management API."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What the account connects to. `key` identifies the upstream across restarts; `label` is for people."""

    key: str
    label: str
    base_url: str
    api_key: str = field(repr=False)


def upstream(environment: Mapping[str, str], base_url: str, engine_settings: EngineSettings) -> Upstream:
    """Mem0 when MEM0_API_KEY is set, else the embedded memory behind `base_url`."""
    api_key = environment.get("MEM0_API_KEY", "").strip()
    if not api_key:
        label = f"the embedded memory in {engine_settings.path}"
        return Upstream("embedded", label, f"{base_url}/memory", engine_settings.api_keys[0])
    mem0_url = environment.get("MEM0_BASE_URL", "").strip().rstrip("/") or PLATFORM_URL
    return Upstream(mem0_url, f"Mem0 at {mem0_url}", mem0_url, api_key)


def account_name(label: str) -> str:
    """The label as a name that the management API takes: a path in it may hold any character, and end anywhere."""
    printable = "".join(char if char.isprintable() else "?" for char in label)
    return printable[:MAX_NAME_CHARS].strip()


def connect(management: httpx.Client, state: StateFile, upstream: Upstream) -> dict[str, str]:
    """The account and the MCP server of this upstream: those of an earlier start if they still exist, else new ones.

    A revoked server gets a successor in its account. Adds what it made to `state`, which the caller writes. Raises
    LocalError.
    """
    seen = hashlib.sha256(f"{upstream.base_url} {upstream.api_key}".encode()).hexdigest()[:16]
    account = {"base_url": upstream.base_url, "credentials": {"api_key": upstream.api_key}}
    kept = state.servers.get(upstream.key)
    account_id = ""
    if kept is not None and management.get(path := f"/integrated-account/{kept['account_id']}").status_code == 200:
        account_id = kept["account_id"]
        if kept["seen"] != seen:
            _ask(management, "PATCH", path, account)
            kept["seen"] = seen
        if management.get(f"{path}/mcp/{kept['server_id']}").status_code == 200:
            return kept
    if not account_id:
        body = {"integration": "mem0", **account}
        account_id = _add(management, "/integrated-account", account_name(upstream.label), body)["id"]
    server = _add(management, f"/integrated-account/{account_id}/mcp", "My memory", {})
    made = {"account_id": account_id, "server_id": server["id"], "token": server["token"], "seen": seen}
    state.servers[upstream.key] = made
    return made


def personal(management: httpx.Client, state: StateFile, account_id: str) -> dict[str, str]:
    """The server of `postern run`: the core tools, pinned to this laptop's user. That of an earlier start if it
    still exists, else a new one. Raises LocalError."""
    servers = f"/integrated-account/{account_id}/mcp"
    kept = state.personal.get(account_id)
    if kept is not None and management.get(f"{servers}/{kept['server_id']}").status_code == 200:
        return kept
    config = {**PERSONAL, "pins": {"user_id": state.user_id}}
    server = _add(management, servers, f"Memory of {state.user_id}", {"config": config})
    made = {"account_id": account_id, "server_id": server["id"], "token": server["token"]}
    state.personal[account_id] = made
    return made


def sign_in_link(management: httpx.Client) -> str:
    """A link that signs one person in to the web console, once. Raises LocalError."""
    return str(_made(management.post("/console/sign-in-link"), "make a link to the console")["url"])


def _add(management: httpx.Client, path: str, name: str, body: Mapping[str, Json]) -> Json:
    """What a POST makes: with this name or, where another has it, with one that the API chooses. Raises LocalError."""
    response = management.post(path, json={"name": name, **body})
    return (
        _made(response) if response.status_code != httpx.codes.CONFLICT else _ask(management, "POST", path, dict(body))
    )


def _ask(management: httpx.Client, verb: str, path: str, body: Json) -> Json:
    return _made(management.request(verb, path, json=body))


def _made(response: httpx.Response, purpose: str = "connect the account") -> Json:
    if response.status_code >= 400:
        raise LocalError(f"could not {purpose}: {response.json().get('message', response.status_code)}")
    return response.json()
