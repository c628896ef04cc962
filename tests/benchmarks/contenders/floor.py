"""All of our work on http.client, with no framework, no event loop and a listing that is serialised once: what is left
is what the work itself costs."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import quote, urlsplit

from tests.benchmarks.contenders import Built, Event, Setup
from tests.benchmarks.contenders.work import MAX_ANSWER, Refused, Work, token_of

Json = Any


def build(setup: Setup, same_work: bool) -> Built:
    """The handler."""
    with open(setup["definitions"], "rb") as file:
        kept = json.load(file)
    tools = {tool["name"]: tool for tool in kept}
    shown = [{name: value for name, value in tool.items() if not name.startswith("_")} for tool in kept]
    listing = json.dumps(shown, separators=(",", ":"))
    work = Work(setup, tools)
    base = urlsplit(setup["upstream"])
    upstream = http.client.HTTPConnection(base.hostname or "", base.port, timeout=25)

    def handle(event: Event, context: Any) -> dict[str, Any]:
        started = time.perf_counter()
        headers = event["headers"]
        if event["requestContext"]["http"]["method"] != "POST" or headers["content-type"] != "application/json":
            return _answer(415, "{}")
        token = token_of(event)
        try:
            grant = work.admit(token)
        except Refused:
            return _answer(404, "{}")
        message = json.loads(event["body"])
        params = message["params"]
        modern = headers.get("mcp-protocol-version") == "2026-07-28"
        if modern and headers["mcp-method"] != message["method"]:
            return _answer(400, "{}")
        number = json.dumps(message["id"])
        extra = ',"resultType":"complete"' if modern else ""
        if message["method"] == "tools/list":
            extra += ',"ttlMs":60000,"cacheScope":"private"' if modern else ""
            return _answer(200, f'{{"jsonrpc":"2.0","id":{number},"result":{{"tools":{listing}{extra}}}}}')
        name, arguments = params["name"], params.get("arguments") or {}
        if name not in tools or (modern and headers["mcp-name"] != name):
            return _answer(400, "{}")
        work.check_arguments(name, arguments)
        credential = work.credential(grant, token)
        tool = tools[name]
        body = json.dumps({key: value for key, value in arguments.items() if key != "item_id"}).encode()
        sent = {
            "User-Agent": "floor",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {credential['api_key']}",
        }
        before = time.perf_counter()
        upstream.request(tool["_verb"], tool["_path"] + quote(arguments["item_id"], safe=""), body, sent)
        response = upstream.getresponse()
        content = response.read(MAX_ANSWER)
        seconds = time.perf_counter() - before
        limits = {key.lower(): value for key, value in response.getheaders() if key.lower().startswith("x-ratelimit-")}
        answer = json.loads(content.replace(credential["api_key"].encode(), b"***"))
        work.check_answer(name, answer)
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
        meta = json.dumps({"rate-limit": limits}, separators=(",", ":"))
        result = (
            f'{{"content":[{{"type":"text","text":{json.dumps(text)}}}],"isError":false,"structuredContent":{text},'
            f'"_meta":{meta}{extra}}}'
        )
        work.log(
            grant,
            token,
            name=name,
            arguments=arguments,
            size=len(text.encode()),
            started=started,
            seconds=seconds,
        )
        return _answer(200, f'{{"jsonrpc":"2.0","id":{number},"result":{result}}}')

    return Built(handle)


def _answer(status: int, body: str) -> dict[str, Any]:
    headers = {"content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}
