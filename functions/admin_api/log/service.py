"""The log of calls and decisions: newest first, filtered, one page at a time.

gateway/log_entry.py describes a call, decisions.py a decision. Both are in partitions of one UTC day; the log merges
them by time. A partition cannot be merged without a read of it, so that the accounts of a large deployment are listed
in groups: each day account by account group, newest first within each.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.log.export import FORMATS
from functions.admin_api.log.query import Position, Wanted, start, wanted
from functions.admin_api.parameters import Query
from functions.admin_api.servers.finding import Finding
from functions.admin_api.texts import Text
from functions.gateway.errors import Invalid, NotFound
from functions.gateway.grants import read_time
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown
from functions.stores import layout
from functions.stores.store import MAX_KEYS_PER_GET, Item, Key, Store

READS = 100
"""Reads of the store that one request may cost: 20 busy days of one account, and under a second on AWS. Then the page
ends early, with a cursor that continues it."""

READ_ITEMS = 100
"""Entries in one read."""

TOGETHER = 40
"""Partitions that are merged by time. Each takes a read before the first entry is known."""


@dataclass(slots=True)
class Budget:
    """Reads left; `exhausted` is set once a read was not made because none was left."""

    left: int
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Entries, newest first, and where the next page starts (None = no more)."""

    entries: list[dict[str, Json]]
    then: Position | None


@dataclass(frozen=True, slots=True)
class Group:
    """Partitions of one day that are merged. `last` is the last account among them; `more` = others may follow."""

    partitions: list[str]
    last: str | None
    more: bool


class Log:
    """`clock` gives the present in UTC."""

    def __init__(
        self,
        *,
        store: Store,
        accounts: AccountLookup,
        servers: Finding,
        api_tokens: ApiTokens,
        retention: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._servers = servers
        self._api_tokens = api_tokens
        self._retention = retention
        self._clock = clock

    def page(self, query: Query, allowed: Sequence[str]) -> dict[str, Json] | Text:
        """The entries that the query asks for, of the `allowed` accounts (empty = all).

        A page may be short, even empty, and still have a cursor. Raises Invalid, also for an id or a tool of which
        there is neither an entry nor anything else.
        """
        query = self._with_ids(query, allowed)
        asked = wanted(query, allowed, self._retention, self._clock())
        found = self._find(asked, query["limit"], start(query["next_cursor"], asked))
        if not found.entries and found.then is None and query["next_cursor"] is None:
            self._check_possible(query, asked)
        next_cursor = found.then.cursor() if found.then is not None else None
        if query["format"] == "json":
            return {
                "result": found.entries,
                "next_cursor": next_cursor,
                "reached": _reached(found.then),
                "freshness": self._freshness(),
            }
        media_type, written = FORMATS[query["format"]]
        headers = {"next-cursor": next_cursor} if next_cursor else {}
        return Text(written(found.entries), media_type, headers)

    def _freshness(self) -> dict[str, Json] | None:
        """The newest call that the log subscriber has stored; None where calls are stored as they end."""
        [item] = self._store.get([layout.LOG_FRESHNESS])
        if item is None:
            return None
        newest, stored = item.body["newest_entry"], item.body["stored_at"]
        lag = (read_time(stored) - read_time(newest)).total_seconds()
        return {"newest_entry": newest, "stored_at": stored, "lag_seconds": round(max(0.0, lag), 3)}

    def _with_ids(self, query: Query, allowed: Sequence[str]) -> Query:
        """The query with the ids of what it names. What is gone has an id only. Raises Conflict."""
        found = dict(query.values)
        if found["mcp_server_id"] is not None:
            account_id = found["integrated_account_id"]
            within = [account_id] if account_id else allowed
            with contextlib.suppress(NotFound):
                account_id, found["mcp_server_id"] = self._servers.anywhere(found["mcp_server_id"], within)
                if found["kind"] == "call":
                    found["integrated_account_id"] = account_id  # its calls are in no other account's partitions
        for name in ("api_token_id", "principal"):
            if found[name] is not None:
                with contextlib.suppress(NotFound):
                    found[name] = self._api_tokens.view(found[name]).id
        return replace(query, values=found)

    def _find(self, asked: Wanted, limit: int, at: Position) -> Found:
        budget = Budget(READS)
        first_day = asked.since.astimezone(UTC).date()
        found: list[dict[str, Json]] = []
        while at.day >= first_day:
            group = self._group(asked, at, budget)
            if len(group.partitions) > budget.left:
                return Found(found, at)
            last = at.before
            for item in self._merged(group.partitions, at.before, budget):
                last = item.key.sort
                if asked.matches(item.body):
                    found.append(item.body)
                    if len(found) == limit:
                        return Found(found, replace(at, before=last, last=group.last))
            if budget.exhausted:
                return Found(found, replace(at, before=last, last=group.last))
            if group.more and group.last is not None:
                at = Position(at.day, after=group.last)
            else:
                at = Position(at.day - timedelta(days=1))
        return Found(found, None)

    def _group(self, asked: Wanted, at: Position, budget: Budget) -> Group:
        """The partitions to merge at a position: those of at most TOGETHER // LOG_SHARDS named accounts, or TOGETHER of
        those that had calls on the day. Decisions are in the first group."""
        day = at.day.isoformat()
        partitions = [layout.decisions(day)] if asked.kind != "call" and not at.after else []
        if asked.kind == "decision":
            return Group(partitions, None, more=False)
        shards = range(layout.LOG_SHARDS)
        if asked.account_ids is not None:
            named = [account_id for account_id in sorted(asked.account_ids) if account_id > at.after]
            some = named[: TOGETHER // layout.LOG_SHARDS]
            budget.left -= 1
            keys = [layout.log_day(account_id, shard, day) for account_id in some for shard in shards]
            there = [item.key for item in self._store.get(keys) if item is not None]
            return Group(partitions + _of_day(there, day), some[-1] if some else None, more=len(named) > len(some))
        start = f"{at.after}#~" if at.after else None  # behind every shard of the account
        end = f"{at.last}#~" if at.last else None
        budget.left -= 1
        limit = TOGETHER if at.last is None else MAX_KEYS_PER_GET  # the group of a page before may have grown meanwhile
        items = self._store.query(f"{layout.LOG_DAYS}{day}", after=start, before=end, limit=limit)
        keys = [item.key for item in items]
        more = at.last is not None
        if len(keys) == TOGETHER and at.last is None:  # the last account may have further partitions
            more, keys = True, [key for key in keys if _account(key) != _account(keys[-1])]
        if not keys:
            return Group(partitions, at.last, more)
        budget.left -= 1
        existing = self._accounts.several({_account(key) for key in keys})
        known = [key for key in keys if _account(key) in existing]
        return Group(partitions + _of_day(known, day), at.last or _account(keys[-1]), more)

    def _merged(self, partitions: Sequence[str], before: str | None, budget: Budget) -> Iterator[Item]:
        """Items of these partitions, newest first, until the budget is spent."""
        streams = [self._partition(partition, before, budget) for partition in partitions]
        for item in heapq.merge(*streams, key=lambda item: item.key.sort, reverse=True):
            if budget.exhausted:
                return  # an unread entry of another partition may be newer than what follows
            yield item

    def _partition(self, partition: str, before: str | None, budget: Budget) -> Iterator[Item]:
        while True:
            if budget.left == 0:
                budget.exhausted = True
                return
            budget.left -= 1
            items = self._store.query(partition, before=before, limit=READ_ITEMS, descending=True)
            yield from items
            if len(items) < READ_ITEMS:
                return
            before = items[-1].key.sort

    def _check_possible(self, query: Query, asked: Wanted) -> None:
        """Raises Invalid when nothing was found because the query names something that never was."""
        account_id, server_id, tool = query["integrated_account_id"], query["mcp_server_id"], query["tool_name"]
        if account_id is not None and self._store.get([layout.account(account_id)]) == [None]:
            raise _nothing("integrated_account_id", account_id, "account", "; GET /integrated-account lists them")
        if server_id is not None and not self._servers.is_known(server_id, asked.account_ids):
            raise _nothing(
                "mcp_server_id", server_id, "MCP server", "; GET /integrated-account/ACCOUNT_ID/mcp lists them"
            )
        tools = self._accounts.tool_names()
        if tool is not None and tool not in tools:
            raise _nothing("tool_name", tool, "tool", did_you_mean(tool, tools, instead="a server lists its tools"))


def _account(key: Key) -> str:
    """The account of an item of LOG_DAYS."""
    return key.sort.rpartition("#")[0]


def _of_day(keys: Iterable[Key], day: str) -> list[str]:
    """The partitions of log entries that items of LOG_DAYS list."""
    return [layout.log(_account(key), int(key.sort.rpartition("#")[2]), day) for key in keys]


def _reached(then: Position | None) -> dict[str, Json] | None:
    """How far a page has looked: everything newer on the day was seen, of the accounts up to `account`."""
    if then is None:
        return None
    time = then.before.partition("#")[0] if then.before is not None else None
    return {"day": then.day.isoformat(), "time": time, "after_account": then.after or None}


def _nothing(name: str, value: str, what: str, hint: str) -> Invalid:
    return Invalid(f"query: {name} is {shown(value)}; there is no {what} of this name and no log entry of one{hint}")
