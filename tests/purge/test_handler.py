"""The purge function of a deployment: each of its events, through the handler, in one process."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from functions.gateway.grants import write_time
from functions.gateway.settings import SettingsError
from functions.purge.notices import AT_MOST
from functions.purge.purge import TooEarly
from functions.stores.store import Item, Key, StoreUnavailable
from tests.admin_api.conftest import Plane, ScriptedUpstream
from tests.purge.conftest import SECRET


class Left:
    """A context of Lambda with so much time left."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return self._seconds * 1000


def test_the_function_sends_what_is_due_within_its_time_and_returns_how_far_it_came(
    plane: Plane, account: str, inbox: ScriptedUpstream, purge_function: ModuleType
) -> None:
    """The function reads the clock of the machine, so the servers ended a minute before that."""
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    plane.clock.now = ended - timedelta(hours=1)
    path, ends = f"/integrated-account/{account}/mcp/bulk-create", write_time(ended)
    for name, count in (("first", AT_MOST), ("second", AT_MOST), ("third", 5)):
        plane.ok("POST", path, {"name": name, "count": count, "expires_at": ends})
    event = {"send": "notices"}
    came = purge_function.handler(event, Left(seconds=10))
    assert came == {"sent": AT_MOST, "refused": 0, "withdrawn": 0, "reached": ends, "remain": True}
    assert purge_function.handler(event, Left(seconds=120))["sent"] == AT_MOST + 5
    last = purge_function.handler(event, Left(seconds=120))
    assert (last["sent"], last["remain"]) == (0, False)
    assert len({request.headers["webhook-id"] for request in inbox.received}) == len(inbox.received) == 2 * AT_MOST + 5


def ending(plane: Plane, account: str, ends: datetime) -> dict[str, str]:
    """The event of the schedule of a new server, which was made an hour before it ends."""
    plane.clock.now = ends - timedelta(hours=1)
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"expires_at": write_time(ends)})
    return {"account_id": account, "server_id": server["id"], "expires_at": server["expires_at"]}


def counted(purge_function: ModuleType) -> list[tuple[int, str]]:
    """The failures that the function has counted, each with the class of its error."""
    lines = [json.loads(line) for line in purge_function._count._stream.getvalue().splitlines()]
    return [(line["purge_failures"], line["error"]) for line in lines]


def test_the_event_of_a_schedule_purges_its_server_once(
    plane: Plane, account: str, purge_function: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "functions.purge.handler")
    event = ending(plane, account, datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1))
    outcomes = [purge_function.handler(event, Left(seconds=10)) for _ in range(3)]
    assert outcomes == [{"server_id": event["server_id"], "outcome": outcome} for outcome in ("purged", "gone", "gone")]
    assert f"server {event['server_id']}: purged at " in caplog.text
    assert counted(purge_function) == []


def test_an_event_before_its_time_comes_again_and_is_not_counted_as_a_failure(
    plane: Plane, account: str, purge_function: ModuleType
) -> None:
    event = ending(plane, account, datetime.now(UTC).replace(microsecond=0) + timedelta(days=1))
    for _ in range(3):
        with pytest.raises(TooEarly):
            purge_function.handler(event, Left(seconds=10))
    assert counted(purge_function) == []


class Down:
    """A store that cannot be reached."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        raise StoreUnavailable("no connection")


def test_a_purge_that_fails_is_counted_and_comes_again(
    purge_function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"account_id": "acc_1", "server_id": "srv_1", "expires_at": "2026-11-21T12:00:00Z"}
    monkeypatch.setattr(purge_function, "_store", Down())
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            purge_function.handler(event, Left(seconds=10))
    with pytest.raises(ValueError, match="not the event of a schedule"):
        purge_function.handler({"account_id": "acc_1"}, Left(seconds=10))
    assert counted(purge_function) == [(1, "StoreUnavailable"), (1, "StoreUnavailable"), (1, "ValueError")]


class Secrets:
    """Secrets Manager with the secret of the webhook."""

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:
        assert SecretId == "postern/webhook"
        return {"SecretString": SECRET}


def test_the_secret_of_the_webhook_is_read_from_secrets_manager(
    plane: Plane, account: str, inbox: ScriptedUpstream, purge_function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending(plane, account, datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1))
    chosen = replace(purge_function._settings, webhook_secret="", webhook_secret_id="postern/webhook")
    monkeypatch.setattr(purge_function, "_settings", chosen)
    monkeypatch.setattr("functions.admin_api.aws.aws_client", {"secretsmanager": Secrets()}.__getitem__)
    assert purge_function.handler({"send": "notices"}, Left(seconds=120))["sent"] == 1
    [request] = inbox.received
    assert request.headers["webhook-signature"].startswith("v1,")


def test_the_function_needs_the_table_of_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "functions.purge.handler"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("POSTERN_STORE", "sqlite")
    with pytest.raises(
        SettingsError, match=r"^POSTERN_STORE is 'sqlite'; the purge function works only with dynamodb$"
    ):
        importlib.import_module(name)
