"""A full run with every logger at DEBUG: no token, API token or credential in a log record, an error text, the audit
lines or a repr. The upstream does its worst to have its credential repeated."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from functions import local
from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.app import create_app
from functions.gateway.credentials import Credential, seal, seal_credential, token_key
from functions.gateway.grants import Grant, GrantedAccount, ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.methods import Methods
from functions.stores.sqlite import SqliteStore
from tests.gateway import loopback
from tests.gateway.calling import NOON
from tests.gateway.loopback import Received, Told
from tests.mcp_endpoint.endpoint import exchange, legacy, post
from tests.patience import STUCK_SECONDS
from tool_catalog import compiled_file

UPSTREAM_KEY = "m0-upstream-key-4711-do-not-tell"
OTHER_KEY = "m0-another-key-0815-do-not-tell"
SHOWN_ONCE = ("token", "url")
"""Members of an answer that hold a fresh secret; it is shown there, once, and nowhere else."""


@dataclass
class Run:
    """Everything that was said, and everything that must not be."""

    caplog: pytest.LogCaptureFixture
    audit: io.StringIO
    secrets: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    def keep(self, name: str, secret: str) -> str:
        self.secrets[name] = secret
        return secret

    def texts(self) -> Iterator[tuple[str, str]]:
        formatter = logging.Formatter("%(name)s %(message)s")
        for record in self.caplog.records:
            yield f"log record of {record.name}", formatter.format(record) + repr(record.__dict__)
        yield "audit lines", self.audit.getvalue()
        for answer in self.answers:
            yield "answer", answer

    def check(self) -> None:
        assert self.caplog.records, "nothing was logged, so that nothing was looked at"
        assert self.audit.getvalue().count("\n") > 5
        for where, text in self.texts():
            for name, secret in self.secrets.items():
                for spelling in {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
                    assert spelling not in text, f"{name} in {where}: {text[:2_000]}"


def spiteful(received: Received) -> Told:
    """Answers a probe, and everything else with what it was sent as authorization."""
    key = received.headers.get("authorization", b"").decode().removeprefix("Token ")
    if received.target.startswith("/v1/ping/"):
        if key == UPSTREAM_KEY:
            return loopback.answer(200, {"status": "ok", "org_id": "org_1", "project_id": "proj_1"})
        return loopback.answer(401, {"detail": f"Invalid API key {key}"})
    if "events" in received.target:
        return loopback.answer(200, {"results": [{"id": "1", "payload": {"key": key}}], "next": None})
    if "entities" in received.target:
        return loopback.answer(500, f"Traceback: Authorization: Token {key}".encode(), ("content-type", "text/plain"))
    if "stats" in received.target:
        return loopback.answer(302, None, ("location", f"https://elsewhere.example/?key={key.encode().hex()}"))
    if "ping" not in received.target and "search" in received.target:
        return Told(b"", "reset")
    return loopback.answer(401, {"detail": f"Invalid API key {key}", "headers": {"Authorization": f"Token {key}"}})


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Run:
    caplog.set_level(logging.DEBUG)
    return Run(caplog, io.StringIO())


def told(run: Run, answer: httpx.Response, *, fresh: str = "") -> Json:
    """The answer's body; under `fresh`, its new secret is noted and everything but the showing of it is kept."""
    body = answer.json() if answer.content else {}
    if fresh:
        run.keep(fresh, body["token"])
        body = {name: value for name, value in body.items() if name not in SHOWN_ONCE}
    # The address of the metadata is for the caller alone, who has just sent the token in it.
    headers = [line for line in answer.headers.multi_items() if line[0] != "www-authenticate"]
    challenge = answer.headers.get("www-authenticate", "Bearer")
    assert challenge == "Bearer" or answer.request.url.path.rstrip("/") in challenge
    run.answers += [json.dumps(body, ensure_ascii=False), repr(headers)]
    return answer.json() if answer.content else {}


def signs_in(run: Run, plain: httpx.Client, url: str, api_token: str) -> None:
    """A person signs in to the server at `url`: each step, a wrong one before each right one."""
    token, verifier = url.rsplit("/", 1)[1], run.keep("verifier", "v-e-r-i-f-i-e-r" * 4)
    registered = told(run, plain.post("/oauth/register", json={"redirect_uris": ["https://client.example/callback"]}))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    form = {
        "response_type": "code",
        "client_id": registered["client_id"],
        "redirect_uri": "https://client.example/callback",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": url,
    }
    run.answers.append(plain.get("/oauth/authorize", params={**form, "resource": f"{url}x"}).text)
    shown = plain.get("/oauth/authorize", params=form)
    assert token in shown.text, "the form hands it on"
    for secret in ("pst_" + "x" * 43, api_token):
        answer = plain.post("/oauth/authorize", data={**form, "api_token": secret, "decision": "allow"})
    code = run.keep("code", parse_qs(urlsplit(answer.headers["location"]).query)["code"][0])
    redeem = {**form, "grant_type": "authorization_code", "code": code}
    told(run, plain.post("/oauth/token", data={**redeem, "code_verifier": "w" * 43}))
    tokens = plain.post("/oauth/token", data={**redeem, "code_verifier": verifier}).json()
    for name in ("access_token", "refresh_token"):
        for number, part in enumerate(tokens[name].split(".")[2:]):
            run.keep(f"{name} {number}", part)
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert "result" in told(run, plain.post(f"/mcp/{token}", json=listing, headers=bearer))
    plain.get(f"/.well-known/oauth-protected-resource/mcp/{token}")
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": form["client_id"]}
    fresh = plain.post("/oauth/token", data=refresh).json()
    run.keep("next refresh token", fresh["refresh_token"].split(".")[-1])
    told(run, plain.post("/oauth/token", data=refresh))
    told(run, plain.post(f"/mcp/{token}", json=listing, headers=bearer))
    told(run, plain.post("/oauth/revoke", data={"token": fresh["refresh_token"]}))


def test_a_full_run_at_debug_tells_no_secret(run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run.keep("upstream key", UPSTREAM_KEY)
    run.keep("another key", OTHER_KEY)
    with (
        loopback.upstream() as upstream,
        local.start(Settings(state_dir=str(tmp_path)), {}, audit_stream=run.audit) as ready,
        httpx.Client(base_url=ready.base_url, timeout=STUCK_SECONDS, trust_env=False, verify=False) as plain,
    ):
        upstream.script = spiteful
        run.answers.append(repr(ready))
        run.keep("first MCP token", ready.mcp_url.rsplit("/", 1)[1])
        run.keep("memory key", ready.memory_api_key)
        bearer = {"Authorization": f"Bearer {run.keep('root API token', ready.api_token)}"}
        base = {"integration": "mem0", "base_url": upstream.origin}

        # Accounts: refused, broken, and taken credentials.
        for key in (OTHER_KEY, f"{OTHER_KEY}\r\nX-Injected: 1", f"{OTHER_KEY}\ud83d", ""):
            content = json.dumps({**base, "credentials": {"api_key": key}})
            refused = plain.post("/integrated-account", content=content, headers=bearer)
            assert 400 <= told(run, refused)["statusCode"] < 600
        account = told(
            run,
            plain.post("/integrated-account", json={**base, "credentials": {"api_key": UPSTREAM_KEY}}, headers=bearer),
        )
        assert "id" in account, account
        path = f"/integrated-account/{account['id']}"
        told(run, plain.get("/integrated-account", headers=bearer))
        told(run, plain.patch(path, json={"credentials": {"api_key": OTHER_KEY}}, headers=bearer))
        told(run, plain.patch(path, json={"base_url": ready.memory_url}, headers=bearer))

        # Servers and API tokens: made, listed, turned, refused.
        made = told(run, plain.post(f"{path}/mcp", json={"name": "one"}, headers=bearer), fresh="MCP token")
        server = f"{path}/mcp/{made['id']}"
        guarded = {"name": "two", "config": {"require_api_token_auth": True}}
        second = told(run, plain.post(f"{path}/mcp", json=guarded, headers=bearer), fresh="guarded MCP token")
        operator = told(
            run,
            plain.post("/api-token", json={"name": "factor", "scopes": ["connect"]}, headers=bearer),
            fresh="API token of a server",
        )
        signs_in(run, plain, second["url"], operator["token"])
        told(run, plain.post(f"{path}/mcp", json={"name": "x", "config": {"methods": ["nope"]}}, headers=bearer))
        for read in (f"{path}/mcp", server, "/api-token", f"{path}/tools", "/openapi.json"):
            told(run, plain.get(read, headers=bearer))
        told(run, plain.get("/integrated-account", headers={"Authorization": "Bearer " + "x" * 47}))
        told(run, plain.get("/integrated-account"))

        # Calls: each thing the upstream does, over MCP with and without an API token, and over the proxy.
        calls = {
            "list_all_mem_0_events": {},
            "list_all_mem_0_entities": {"fields": "{n: "},
            "mem_0_memories_stats": {},
            "get_single_mem_0_memory_by_id": {"id": "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"},
            "mem_0_memories_search": {"query": "x", "filters": {"user_id": "u"}},
            "create_a_mem_0_memory": {"user_id": ["u"], UPSTREAM_KEY[:4]: 1},
            "no_such_tool": {},
        }
        headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
        for token, factor in (
            (made["token"], ""),
            (second["token"], ""),
            (second["token"], operator["token"]),
            (second["token"], made["token"]),
            ("A" * 43, ""),
        ):
            second_token = {"Authorization": f"Bearer {factor}"} if factor else {}
            for number, (name, arguments) in enumerate(calls.items()):
                message = {
                    "jsonrpc": "2.0",
                    "id": number,
                    "method": "tools/call",
                    "params": {"name": name, "arguments": arguments},
                }
                told(run, plain.post(f"/mcp/{token}", json=message, headers={**headers, **second_token}))
            listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            told(run, plain.post(f"/mcp/{token}/", json=listing, headers={**headers, **second_token}))
            told(run, plain.post("/mcp", json=listing, headers={**headers, "x-api-key": token}))
            run.answers.append(plain.get(f"/mcp/{token}").text)
            run.answers.append(plain.post(f"/mcp/{token}", content=b"{", headers=headers).text)
        for resource in ("memories", "events", "entities", "memories/stats", "nothing"):
            told(run, plain.get(f"/proxy/{resource}", params={"integrated_account_id": account["id"]}, headers=bearer))

        told(run, plain.post(f"{server}/rotate", json={"grace_seconds": 60}, headers=bearer), fresh="turned MCP token")
        told(run, plain.get("/log", headers=bearer))
        told(run, plain.get(path, headers=bearer))
        told(run, plain.delete(server, headers=bearer))
        told(run, plain.delete(path, headers=bearer))
    out, err = capfd.readouterr()
    run.answers += [out, err]
    run.check()
    assert {received.headers.get("authorization", b"").decode() for received in upstream.requests} >= {
        f"Token {UPSTREAM_KEY}",
        f"Token {OTHER_KEY}",
    }, "the secrets were really in use"
    asked = " ".join(received.target for received in upstream.requests)
    for part in (
        "/v1/ping/",
        "/v1/events/",
        "/v1/entities/",
        "/v1/stats/",
        "/v1/memories/9f1c",
        "/v3/memories/search/",
    ):
        assert part in asked, f"the upstream was never asked for {part}"


def test_what_lies_on_the_disk_opens_no_account(tmp_path: Path) -> None:
    """The store of a laptop holds digests and boxes; the key and the URL are in files of their own."""
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        secrets = [ready.mcp_url.rsplit("/", 1)[1], ready.api_token, ready.memory_api_key]
    connection = sqlite3.connect(tmp_path / "postern.sqlite")
    dump = "\n".join(connection.iterdump())
    connection.close()
    assert "sealed_credential" in dump
    assert not [secret for secret in secrets if secret in dump]


class Breaks(SqliteStore):
    """A store whose failures have the key they were asked for in their text, as a driver's might."""

    def get(self, keys: Any) -> Any:
        raise RuntimeError(f"cannot read {keys} with {UPSTREAM_KEY}")


def test_a_failure_nobody_foresaw_is_logged_by_place_and_not_by_its_words(run: Run, tmp_path: Path) -> None:
    run.keep("upstream key", UPSTREAM_KEY)
    token = run.keep("MCP token", "T" * 43)
    api_token = run.keep("API token", "pst_" + "S" * 43)
    settings = Settings(private_upstreams=True, state_dir=str(tmp_path))
    store = Breaks(tmp_path / "store.sqlite")
    endpoint = Endpoint(settings=settings, store=store, methods=Methods(settings, Sender(settings)))
    answer = post(endpoint, token, legacy("tools/list"))
    assert answer.status == 500
    run.answers.append(answer.body.decode())
    admin = create_app(
        settings,
        store,
        {"mem0": compiled_file.load("mem0")},
        LocalKeys(tmp_path / "key", lambda count: bytes(count)),
        Sender(settings),
    )
    answer = exchange(
        admin, "GET", "/integrated-account", [("authorization", f"Bearer {api_token}")], client=("127.0.0.1", 1)
    )
    assert answer.status == 500
    run.answers.append(answer.body.decode())
    store.close()
    run.audit.write("\n" * 6)
    run.check()


def test_no_repr_shows_a_secret() -> None:
    token, data_key = "T" * 43, b"K" * 32
    sealed = seal_credential({"api_key": UPSTREAM_KEY}, data_key, "acc_1", lambda count: bytes(count))
    server = Grant(
        id="srv_1",
        name="n",
        account=GrantedAccount("acc_1", "mem0", "https://api.mem0.ai", {}, sealed),
        config=ServerConfig(),
        created_at=NOON,
        expires_at=None,
        sealed_data_key=seal(data_key, token_key(token), "acc_1", lambda count: bytes(count)),
    )
    shown = repr(server) + repr(Credential({"api_key": UPSTREAM_KEY})) + str(Credential({"api_key": UPSTREAM_KEY}))
    assert UPSTREAM_KEY not in shown
    assert "sealed" not in shown
