"""How many calls a server takes, counted exactly: in one process, and in a store that several share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway import call_limits
from functions.gateway.call_limits import CallLimits, CallRate
from functions.gateway.errors import CallLimited
from functions.gateway.rate_limits import RateLimit
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Change, Item, Key, StoreConflict, StoreUnavailable

RATE = CallRate(60, 3)


def taken(limits: CallLimits, rate: CallRate | None, now: float, server: str = "srv_1") -> bool:
    try:
        limits.take(server, rate, lambda: now, 1_000_000 + now)
    except CallLimited:
        return False
    return True


@pytest.fixture(params=["own", "shared"])
def limits(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CallLimits]:
    if request.param == "own":
        yield CallLimits(CallRate(600, 100), None)
        return
    with closing(SqliteStore(tmp_path / "marks.sqlite")) as store:
        yield CallLimits(CallRate(600, 100), store)


def test_a_burst_passes_and_then_one_call_each_step(limits: CallLimits) -> None:
    assert [taken(limits, RATE, 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [taken(limits, RATE, 1.0) for _ in range(2)] == [True, False]
    assert not taken(limits, RATE, 1.9)
    assert taken(limits, RATE, 2.0)


def test_a_pause_gives_the_burst_back_and_no_more(limits: CallLimits) -> None:
    assert [taken(limits, RATE, 0.0) for _ in range(3)] == [True] * 3
    assert [taken(limits, RATE, 3_600.0) for _ in range(4)] == [True, True, True, False]


def test_a_refused_call_is_not_counted_and_says_when_to_come_back(limits: CallLimits) -> None:
    for _ in range(3):
        assert taken(limits, RATE, 0.0)
    for _ in range(50):
        with pytest.raises(CallLimited) as refused:
            limits.take("srv_1", RATE, lambda: 0.2, 1_000_000.2)
    assert refused.value.message == (
        "this server accepts 60 calls per minute and 3 at once; nothing was sent. Wait 1 s, then repeat the call"
    )
    assert refused.value.rate_limit == RateLimit(60, 0, 1, 1)
    assert not refused.value.sent
    assert taken(limits, RATE, 1.0)


def test_each_server_has_calls_of_its_own(limits: CallLimits) -> None:
    assert [taken(limits, CallRate(60, 1), 0.0, server) for server in ("a", "b", "a", "b")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_server_without_a_limit_has_the_deployments_and_costs_the_store_nothing() -> None:
    class Untouched:
        def get(self, keys: Sequence[Key]) -> list[Item | None]:
            raise AssertionError("read")

        def write(self, changes: Sequence[Change]) -> None:
            raise AssertionError("written")

    limits = CallLimits(CallRate(60, 2), Untouched())
    assert [taken(limits, None, 0.0) for _ in range(3)] == [True, True, False]


@given(
    rate=st.builds(CallRate, st.integers(1, 6_000), st.integers(1, 50)),
    gaps=st.lists(st.floats(0, 5), max_size=200),
)
def test_no_pattern_of_calls_exceeds_the_rate_in_any_window(rate: CallRate, gaps: list[float]) -> None:
    limits, now, passed = CallLimits(rate, None), 0.0, []
    for gap in gaps:
        now += gap
        if taken(limits, rate, now):
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            allowed = rate.burst + (passed[last] - start) * rate.calls_per_minute / 60
            assert last - first + 1 <= allowed + 1e-6


def test_two_processes_share_one_servers_calls(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "marks.sqlite")
    processes = [CallLimits(RATE, store), CallLimits(RATE, store)]
    assert [taken(processes[number % 2], RATE, 0.0) for number in range(4)] == [True, True, True, False]
    [item] = store.get([layout.call_mark("srv_1")])
    assert item is not None
    assert item.expires_at is not None
    assert 1_000_000 < item.expires_at < 1_000_200
    store.close()


def test_a_lost_race_is_tried_again_and_a_crowd_waits(tmp_path: Path) -> None:
    class Crowded(SqliteStore):
        lost = 0

        def write(self, changes: Sequence[Change]) -> None:
            if self.lost:
                self.lost -= 1
                raise StoreConflict("somebody was first")
            super().write(changes)

    store = Crowded(tmp_path / "marks.sqlite")
    limits = CallLimits(RATE, store)
    store.lost = call_limits.TRIES - 1
    assert taken(limits, RATE, 0.0)
    store.lost = call_limits.TRIES
    assert not taken(limits, RATE, 0.0)
    store.close()


def test_a_store_that_fails_lets_the_call_pass_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Down:
        def get(self, keys: Sequence[Key]) -> list[Item | None]:
            raise StoreUnavailable("throttled")

        def write(self, changes: Sequence[Change]) -> None:
            raise AssertionError("written")

    assert [taken(CallLimits(RATE, Down()), RATE, 0.0) for _ in range(5)] == [True] * 5
    assert "server srv_1: a call was not counted: throttled" in caplog.messages


def test_the_marks_of_a_process_do_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_limits, "MARKS_KEPT", 100)
    limits = CallLimits(RATE, None)
    for number in range(1_000):
        assert taken(limits, RATE, float(number), f"srv_{number}")
    assert len(limits._marks) <= 100


def test_a_rate_is_written_and_read() -> None:
    assert CallRate.from_json(RATE.to_json()) == RATE
    assert CallRate.from_json({"calls_per_minute": 60, "burst": None}) == CallRate(60, 10)
    assert CallRate.from_json({"calls_per_minute": 1}) == CallRate(1, 1)
