"""From which addresses the management API may be used."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from functions.admin_api import networks
from functions.admin_api.lambda_events import LambdaHandler
from functions.gateway.errors import Forbidden
from functions.gateway.settings import SettingsError


def test_an_address_is_inside_one_of_the_networks_or_refused() -> None:
    allowed = networks.read(["203.0.113.0/24", "2001:db8::/32", "198.51.100.7"])
    for address in ("203.0.113.9", "2001:db8::1", "198.51.100.7"):
        networks.check(address, allowed)
    for address in ("203.0.114.9", "2001:db9::1", "198.51.100.8", "", "localhost", "203.0.113.9, 198.51.100.8"):
        with pytest.raises(Forbidden):
            networks.check(address, allowed)
    networks.check("", ())


@pytest.mark.parametrize("written", ["203.0.113.1/24", "office", "203.0.113.0/33"])
def test_what_is_not_a_network_stops_the_start(written: str) -> None:
    with pytest.raises(SettingsError, match=r"POSTERN_MANAGEMENT_NETWORKS: .*valid: networks such as"):
        networks.read([written])


def test_a_refused_address_reaches_nothing_whatever_it_says_of_itself() -> None:
    reached: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["client"][0])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def event(address: str) -> dict[str, Any]:
        http = {"method": "GET", "path": "/console", "sourceIp": address}
        context = {"http": http, "domainName": "x.lambda-url.us-east-1.on.aws", "stage": "$default"}
        return {
            "version": "2.0",
            "rawPath": "/console",
            "requestContext": context,
            "headers": {"host": "x", "x-forwarded-for": "203.0.113.9"},
        }

    loop = asyncio.new_event_loop()
    handler = LambdaHandler(app, "", loop, networks.read(["203.0.113.0/24"]))
    answers = [handler(event(address), None) for address in ("198.51.100.8", "203.0.113.9", "198.51.100.8")]
    loop.close()
    assert [answer["statusCode"] for answer in answers] == [403, 200, 403]
    assert reached == ["203.0.113.9"]
    assert "not open to this network" in json.loads(answers[0]["body"])["message"]
    assert answers[0]["headers"]["cache-control"] == "no-store"
