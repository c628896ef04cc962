"""The OpenAPI document: it says what the routes do, and a generator of requests finds nothing that says otherwise."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from functions.admin_api import openapi
from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.api_tokens.root import bootstrap
from functions.admin_api.app import create_app
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.stores.sqlite import SqliteStore
from tests.admin_api.conftest import API_KEY, START, Plane, ScriptedUpstream
from tool_catalog import compiled_file

ROOT = "pst_" + "r" * 43
ROOMS = Path(__file__).parents[2]
PAGES = ("/console", "/console/{file:path}", "/extension.zip")
"""Routes of files for a browser, which are not operations."""

OPEN = {"/openapi.json", "/console/sign-in"}
"""Paths that ask for no API token: the document itself, and the one whose body is the proof."""

GUARDED = [(path, verb) for path, verbs in openapi.document("x")["paths"].items() for verb in verbs if path not in OPEN]


def test_the_document_is_served_to_everybody_with_the_origin_in_it(plane: Plane) -> None:
    document = plane.call("GET", "/openapi.json", token="").json()
    assert document == openapi.document("https://postern.example")
    assert document["servers"] == [{"url": "https://postern.example"}]


def test_every_route_is_described_and_every_description_is_routed(plane: Plane) -> None:
    app: Any = plane.client.app
    assert isinstance(app, Starlette)
    routed = {
        (verb.lower(), route.path.replace(":path}", "}"))
        for route in app.routes
        if isinstance(route, Route) and route.path not in PAGES
        for verb in route.methods or ()
        if verb != "HEAD"
    }
    described = {(verb, path) for path, operations in openapi.document("x")["paths"].items() for verb in operations}
    assert routed == described


def test_the_committed_document_is_the_one_that_is_served() -> None:
    committed = json.loads((ROOMS / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert committed == openapi.document("https://postern.example"), (
        "the API changed; run: python -m functions.admin_api.openapi > docs/openapi.json, and read the difference"
    )


@pytest.mark.parametrize(("path", "verb"), GUARDED)
def test_every_operation_asks_for_an_api_token(plane: Plane, path: str, verb: str) -> None:
    plane.refused(verb.upper(), re.sub(r"\{\w+\}", "x", path), status=401, token="")


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    """The schema of an app that reaches no network, and path parameters of what it holds: an account and a server."""
    folder = tmp_path_factory.mktemp("openapi")
    store = SqliteStore(folder / "postern.sqlite")
    draw = random.Random(3).randbytes
    bootstrap(store, START, draw, ROOT)
    upstream = ScriptedUpstream()

    def app(chosen: Settings) -> Starlette:
        keys, catalogs = LocalKeys(folder / "account.key", draw), {"mem0": compiled_file.load("mem0")}
        return create_app(chosen, store, catalogs, keys, Sender(chosen), clock=lambda: START, random=draw)

    chosen = Settings(state_dir=str(folder), call_timeout_seconds=1)
    with TestClient(
        app(replace(chosen, private_upstreams=True, call_timeout_seconds=25)),
        headers={"authorization": f"Bearer {ROOT}"},
    ) as client:
        account = {"integration": "mem0", "id": "known", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
        assert client.post("/integrated-account", json=account).status_code == 201
        server_id = client.post("/integrated-account/known/mcp", json={"name": "s"}).json()["id"]
    known = {"account_id": "known", "server_id": server_id, "token_id": "tok_root", "resource": "memories"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app(chosen))
    schema.config.generation.update(with_security_parameters=False)  # every request carries the token
    yield schema, known
    upstream.close()
    store.close()


ANY_REQUEST_IS_RIGHT = [
    ("/me", "get"),
    ("/integration", "get"),
    ("/integration/{integration}", "get"),
    ("/console/sign-in-link", "post"),
]
"""Operations that take nothing, or a word of any kind: a generator finds no request that is wrong."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
"""Not among them: that every generated body is accepted. That an id exists, a time is in the future or a filter matches
a tool is no matter of a schema."""


@pytest.mark.parametrize(
    ("path", "verb", "mode"),
    [
        (path, verb, mode)
        for path, verb in GUARDED
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode is GenerationMode.POSITIVE or (path, verb) not in ANY_REQUEST_IS_RIGHT
    ],
)
def test_no_generated_request_finds_the_api_otherwise_than_described(
    tested: tuple[Any, dict[str, str]], path: str, verb: str, mode: GenerationMode
) -> None:
    schema, known = tested

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(case=schema[path][verb.upper()].as_strategy(generation_mode=mode))
    def conforms(case: Any) -> None:
        if verb != "delete" and mode is GenerationMode.POSITIVE:
            case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
        case.call_and_validate(headers={"authorization": f"Bearer {ROOT}"}, checks=CHECKS)

    conforms()
