"""Clients that are known by the URL of their metadata document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.admin_api.oauth import client_documents
from functions.admin_api.oauth.client_documents import KEPT, MAX_BYTES, ClientDocuments, check_id
from functions.admin_api.oauth.clients import UNNAMED, Client
from functions.admin_api.oauth.errors import BadRequest, TooMany
from functions.admin_api.oauth.limits import RATES, Limits
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from tests.admin_api.conftest import Clock, Plane
from tests.admin_api.oauth.conftest import CALLBACK, LOOPBACK, SignIns
from tests.gateway import loopback
from tests.gateway.loopback import Upstream

IN_TESTS = Settings(private_upstreams=True, max_upstream_bytes=MAX_BYTES)


@pytest.fixture
def host() -> Iterator[Upstream]:
    with loopback.upstream() as upstream:
        yield upstream


def find(plane: Plane, client_id: str, *, times: int = 1) -> Client:
    documents = ClientDocuments(IN_TESTS, Limits(plane.store), plane.clock)

    async def run() -> Client:
        for _ in range(times - 1):
            await documents.find(client_id)
        return await documents.find(client_id)

    return asyncio.run(run())


def document(described: str, **changed: Json) -> dict[str, Json]:
    return {"client_id": described, "client_name": "Some host", "redirect_uris": [CALLBACK, LOOPBACK], **changed}


def test_a_document_describes_a_client_and_is_fetched_once_in_five_minutes(plane: Plane, host: Upstream) -> None:
    client_id = f"{host.origin}/client.json"
    host.answers(loopback.answer(200, document(client_id)))
    client = find(plane, client_id, times=5)
    assert client == Client(client_id, "Some host", (CALLBACK, LOOPBACK), "127.0.0.1")
    [received] = host.requests
    assert (received.verb, received.target) == ("GET", "/client.json")
    assert "authorization" not in received.headers
    assert KEPT.total_seconds() == 300


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"client_id": "https://other.example/client.json"}, "client_id differs"),
        ({"client_id": None}, "client_id differs"),
        ({"redirect_uris": None}, "has no redirect_uris"),
        ({"redirect_uris": "https://client.example/"}, "has no redirect_uris"),
        ({"client_secret": "x"}, "asks for a secret"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "asks for a secret"),
    ],
)
def test_a_document_that_describes_no_public_client_is_refused(
    plane: Plane, host: Upstream, changed: dict[str, Json], why: str
) -> None:
    client_id = f"{host.origin}/client.json"
    host.answers(loopback.answer(200, document(client_id, **changed)))
    with pytest.raises(BadRequest, match=why):
        find(plane, client_id)


def test_addresses_that_nobody_may_be_sent_to_are_left_out_of_a_document(plane: Plane, host: Upstream) -> None:
    client_id = f"{host.origin}/client.json"
    wrong = ["javascript:alert(1)", "http://client.example/", "custom://x", 7, None]
    host.answers(loopback.answer(200, document(client_id, redirect_uris=[*wrong, CALLBACK], client_name=["x"])))
    assert find(plane, client_id) == Client(client_id, UNNAMED, (CALLBACK,), "127.0.0.1")


@pytest.mark.parametrize("case", ["status", "redirect", "type", "text", "large", "broken"])
def test_what_the_host_says_instead_is_never_shown(plane: Plane, host: Upstream, case: str) -> None:
    client_id = f"{host.origin}/client.json"
    body = document(client_id, secret="inside-the-network")
    host.answers(
        {
            "status": loopback.answer(404, body),
            "redirect": loopback.answer(302, body, ("location", "http://169.254.169.254/latest/meta-data/")),
            "type": loopback.answer(200, json.dumps(body).encode(), ("content-type", "text/html")),
            "text": loopback.answer(200, b"inside-the-network", ("content-type", "application/json")),
            "large": loopback.answer(200, document(client_id, padding="inside-the-network" * MAX_BYTES)),
            "broken": loopback.Told(b"", "reset"),
        }[case]
    )
    with pytest.raises(BadRequest, match="cannot be read") as refused:
        find(plane, client_id)
    assert "inside" not in refused.value.message
    assert len(host.requests) == 1, "no redirect is followed"


@pytest.mark.parametrize(
    "client_id",
    [
        "http://client.example/client.json",
        "https://127.0.0.1/client.json",
        "https://[::1]/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/client.json",
        "https://localhost/client.json",
        "https://router.local/client.json",
        "https://2130706433/client.json",
        "https://client.example",
        "https://client.example/",
        "https://user:password@client.example/client.json",
        "https://client.example/client.json?x=1",
        "https://client.example/client.json#x",
        "https://client.example/../client.json",
        "https://client.example:22/client.json",
        "ftp://client.example/client.json",
        "javascript://client.example/%0aalert(1)",
        "https://client.example/" + "a" * 500,
        "://",
    ],
)
def test_an_id_is_an_https_url_on_the_public_internet(client_id: str) -> None:
    with pytest.raises(BadRequest):
        check_id(client_id)


def test_no_document_is_fetched_from_a_private_address(sign_ins: SignIns, host: Upstream) -> None:
    """The deployment of this test allows private addresses to its accounts, and not to clients of anybody."""
    url = sign_ins.mint()
    for client_id in (
        f"{host.origin}/client.json",
        f"{host.origin.replace('http', 'https')}/client.json",
        "https://localhost.:8443/c.json",
    ):
        shown = sign_ins.page(sign_ins.parameters(url, client_id))
        assert shown.status_code == 400
        assert "names no document on the public internet" in shown.text
    assert host.requests == []


def test_fetches_are_limited_for_everybody_together(plane: Plane, host: Upstream) -> None:
    limits = Limits(plane.store)
    documents = ClientDocuments(IN_TESTS, limits, Clock())
    host.answers(*[loopback.answer(404, {})] * 100)

    async def flood() -> int:
        refused = 0
        for number in range(RATES["document"].burst + 3):
            try:
                await documents.find(f"{host.origin}/{number}.json")
            except TooMany:
                refused += 1
            except BadRequest:
                continue
        return refused

    assert asyncio.run(flood()) == 3
    assert len(host.requests) == RATES["document"].burst


def test_a_person_signs_in_to_a_client_with_a_document(
    sign_ins: SignIns, host: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole flow; only the fetch is replaced, because a document is never fetched from this machine."""
    client_id = "https://client.example/client.json"

    async def fetch(self: ClientDocuments, wanted: str) -> Json:
        assert wanted == client_id
        return document(client_id)

    monkeypatch.setattr(client_documents.ClientDocuments, "_fetch", fetch)
    url, person = sign_ins.mint(), sign_ins.issue()["token"]
    shown = sign_ins.page(sign_ins.parameters(url, client_id))
    assert "client.example describes this client" in shown.text
    for _ in range(3):
        tokens = sign_ins.redeem(sign_ins.code(url, client_id, person), client_id)
        assert sign_ins.call(url, tokens["access_token"]).status == 200


class TestOnALaptopWithoutANetwork:
    """No document can be fetched there. A client on the same machine can be answered all the same."""

    client_id = "https://client.example/client.json"

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        here = "http://127.0.0.1:8765"
        return Settings(state_dir=str(tmp_path), private_upstreams=True, management_url=here, public_url=here)

    @pytest.fixture(autouse=True)
    def _offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def fetch(self: ClientDocuments, wanted: str) -> Json:
            raise client_documents.Unreadable("The document cannot be read")

        monkeypatch.setattr(client_documents.ClientDocuments, "_fetch", fetch)

    def test_a_program_on_it_is_answered_and_vouched_for_by_nobody(self, sign_ins: SignIns) -> None:
        url, person = sign_ins.mint(), sign_ins.issue()["token"]
        shown = sign_ins.page(sign_ins.parameters(url, self.client_id, redirect_uri=LOOPBACK))
        assert "client.example (the client chose its name itself, and nobody has checked it)" in shown.text
        fields = {**sign_ins.parameters(url, self.client_id, redirect_uri=LOOPBACK), "api_token": person}
        for _ in range(3):
            answer = sign_ins.send({**fields, "decision": "allow"}, {"origin": "http://127.0.0.1:8765"})
            assert answer.status_code == 303
            assert answer.headers["location"].startswith(f"{LOOPBACK}?code=")

    @pytest.mark.parametrize("elsewhere", [CALLBACK, "http://127.0.0.1.evil.example/", "http://127.0.0.1#x", "http://"])
    def test_no_other_place_is_answered(self, sign_ins: SignIns, elsewhere: str) -> None:
        shown = sign_ins.page(sign_ins.parameters(sign_ins.mint(), self.client_id, redirect_uri=elsewhere))
        assert shown.status_code == 400
        assert "<a " not in shown.text


def test_a_deployment_answers_no_client_whose_document_cannot_be_read(
    sign_ins: SignIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetch(self: ClientDocuments, wanted: str) -> Json:
        raise client_documents.Unreadable("The document cannot be read")

    monkeypatch.setattr(client_documents.ClientDocuments, "_fetch", fetch)
    client_id = "https://client.example/client.json"
    shown = sign_ins.page(sign_ins.parameters(sign_ins.mint(), client_id, redirect_uri=LOOPBACK))
    assert shown.status_code == 400
