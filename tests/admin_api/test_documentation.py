"""docs/management-api.md: its examples work, its routes are all the routes, its recipe runs."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from functions.admin_api import openapi
from tests.admin_api.conftest import API_KEY, Plane, ScriptedUpstream
from tool_catalog import compiled_file
from tool_catalog.catalog import Catalog

PAGE = (Path(__file__).parents[2] / "docs" / "management-api.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("curl "):
            lines.append(line)
        elif lines and not line.startswith("export"):
            lines[-1] += "\n" + line
    return [shlex.split(line) for line in lines]


@pytest.fixture
def catalogs(upstream: ScriptedUpstream) -> dict[str, Catalog]:
    """Mem0 as it is documented, at a loopback address."""
    return {"mem0": replace(compiled_file.load("mem0"), base_url=upstream.url)}


def test_every_example_is_answered_with_success(plane: Plane, upstream: ScriptedUpstream) -> None:
    upstream.valid_keys = {"m0-..."}
    upstream.answers["POST", "/v3/memories/search/"] = (200, {}, b'{"results": []}')
    upstream.answers["POST", "/v3/memories/"] = (200, {}, b'{"results": [], "next": null}')
    upstream.answers["POST", "/v3/memories/add/"] = (200, {}, b'{"event_id": "e", "status": "PENDING"}')
    variables = {"POSTERN": "", "API_TOKEN": plane.root}
    ran = []
    for command in commands():
        words = [re.sub(r"\$([A-Z_]+)", lambda match: variables[match[1]], word) for word in command[1:]]
        verb, url, headers, body = "GET", "", {}, None
        while words:
            word = words.pop(0)
            if word == "-X":
                verb = words.pop(0)
            elif word == "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            elif word == "-d":
                body = words.pop(0)
            elif word != "-g":
                url = word
        parts = urlsplit(url)
        answer = plane.client.request(verb, parts.path, params=parts.query, headers=headers, content=body)
        assert answer.status_code in (200, 201), (command, answer.text)
        ran.append((verb, re.sub(r"(acc|srv|tok|tru)_[a-z0-9]+|(?<=/integration/)mem0", "*", parts.path)))
        if parts.path == "/console/sign-in-link":
            variables["CODE"] = answer.json()["url"].partition("#sign-in=")[2]
        elif answer.status_code == 201 and not parts.path.startswith("/proxy"):
            kind = {"acc": "ACCOUNT", "srv": "SERVER", "tok": "TOKEN_ID", "tru": "TRUST"}[
                answer.json()["id"].split("_")[0]
            ]
            variables[kind] = answer.json()["id"]
    shown = {(verb, re.sub(r"\{\w+\}", "*", path)) for path, verbs in openapi.document("x")["paths"].items()
             for verb in map(str.upper, verbs)}  # fmt: skip
    proxies = {entry for entry in shown if entry[1].startswith("/proxy")}
    waiting = {entry for entry in shown if "/approval" in entry[1]}  # needs a call that an agent has made
    waiting |= {entry for entry in shown if entry[1].endswith("/consent/*")}  # needs a person who has signed in
    assert shown - proxies - waiting - {("GET", "/openapi.json")} <= set(ran), "a route without an example"


def test_the_recipe_waits_out_a_429_and_tells_the_model_every_answer(plane: Plane, upstream: ScriptedUpstream) -> None:
    upstream.valid_keys = {API_KEY}
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    account = plane.ok("POST", "/integrated-account", body)["id"]
    plane.client.headers["authorization"] = f"Bearer {plane.root}"
    recipe: dict[str, Any] = {}
    [code] = blocks("python")
    exec(compile(code, "management-api.md", "exec"), recipe)  # the recipe as a reader copies it

    slow = (429, {"Retry-After": "7"}, b'{"detail": "slow down"}')
    upstream.answers["POST", "/v3/memories/search/"] = slow
    pauses: list[int] = []

    def wait(seconds: int) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            upstream.answers["POST", "/v3/memories/search/"] = (
                200,
                {},
                b'{"results": [{"id": "m", "memory": "peanuts"}]}',
            )

    arguments = {"query": "allergies", "filters": {"user_id": "u"}}
    _, paths = recipe["load_tools"](plane.client, account)
    told = recipe["run_tool"](plane.client, account, paths["mem_0_memories_search"], arguments, sleep=wait)
    assert pauses == [7, 7]
    assert "peanuts" in told

    replies = iter([
        {"role": "assistant", "tool_calls": [
            {"id": "c1", "function": {"name": "mem_0_memories_search", "arguments": json.dumps(arguments)}},
            {"id": "c2", "function": {"name": "mem_0_memories_search", "arguments": '{"query": "x", "user_id": "u"}'}},
        ]},
        {"role": "assistant", "content": "Peanuts."},
    ])  # fmt: skip
    seen: list[Any] = []

    def model(messages: list[Any], tools: list[Any]) -> Any:
        seen[:] = messages
        assert "mem_0_memories_search" in [tool["function"]["name"] for tool in tools]
        return next(replies)

    assert recipe["converse"](plane.client, account, model, [{"role": "user", "content": "Allergies?"}]) == "Peanuts."
    found, refused = (json.loads(message["content"]) for message in seen[-2:])
    assert "peanuts" in json.dumps(found)
    assert 'nest it: {"filters": {"user_id": "u"}}' in refused["message"]
