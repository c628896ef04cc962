"""The log of calls and decisions: newest first, filtered, one page at a time.

gateway/audit.py describes a call, decisions.py a decision. Both are in partitions of one UTC day; the log merges them
by time.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.log.export import FORMATS
from functions.admin_api.log.query import Position, Wanted, start, wanted
from functions.admin_api.names import ANY
from functions.admin_api.parameters import Query
from functions.admin_api.servers.finding import Finding
from functions.admin_api.texts import Text
from functions.gateway.errors import Invalid, NotFound
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown
from functions.stores import layout
from functions.stores.store import MAX_KEYS_PER_GET, Item, Store

READS = 60
"""Reads of the store that one request may cost, or two for each account if that is more. Then the page ends early,
with a cursor that continues it."""

READ_ITEMS = 100
"""Entries in one read."""


@dataclass(slots=True)
class Budget:
    """Reads left; `exhausted` is set once a read was not made because none was left."""

    left: int
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Entries, newest first, and the cursor of the next page (None = no more)."""

    entries: list[dict[str, Json]]
    next_cursor: str | None


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
        if not found.entries and found.next_cursor is None and query["next_cursor"] is None:
            self._check_possible(query, asked)
        if query["format"] == "json":
            return {"result": found.entries, "next_cursor": found.next_cursor}
        media_type, written = FORMATS[query["format"]]
        headers = {"next-cursor": found.next_cursor} if found.next_cursor else {}
        return Text(written(found.entries), media_type, headers)

    def _with_ids(self, query: Query, allowed: Sequence[str]) -> Query:
        """The query with the ids of what it names. What is gone has an id only. Raises Conflict."""
        found = dict(query.values)
        if found["mcp_server_id"] is not None:
            account_id = found["integrated_account_id"]
            within = [account_id] if account_id else self._servers.accounts(ANY, allowed)
            with contextlib.suppress(NotFound):
                found["mcp_server_id"] = self._servers.anywhere(found["mcp_server_id"], within)[1]
        for name in ("api_token_id", "principal"):
            if found[name] is not None:
                with contextlib.suppress(NotFound):
                    found[name] = self._api_tokens.view(found[name]).id
        return replace(query, values=found)

    def _find(self, asked: Wanted, limit: int, at: Position) -> Found:
        account_ids = sorted(asked.account_ids) if asked.account_ids is not None else self._accounts.ids()
        partitions = [] if asked.kind == "decision" else [(layout.log, account_id) for account_id in account_ids]
        budget = Budget(max(READS, 2 * len(account_ids)))
        first_day = asked.since.astimezone(UTC).date()
        found: list[dict[str, Json]] = []
        day, before = at.day, at.before
        last: Position | None = None
        while day >= first_day:
            names = [named(account_id, day.isoformat()) for named, account_id in partitions]
            names += [layout.decisions(day.isoformat())] if asked.kind != "call" else []
            for item in self._day(names, before, budget):
                last = Position(day, item.key.sort)
                if asked.matches(item.body):
                    found.append(item.body)
                    if len(found) == limit:
                        return Found(found, last.cursor())
            if budget.exhausted:
                reached = last if last is not None and last.day == day else Position(day, before)
                return Found(found, reached.cursor())
            day, before = day - timedelta(days=1), None
        return Found(found, None)

    def _day(self, partitions: Sequence[str], before: str | None, budget: Budget) -> Iterator[Item]:
        """Items of one day over its partitions, newest first, until the budget is spent."""
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
        if server_id is not None and not self._is_server(server_id, asked):
            raise _nothing(
                "mcp_server_id", server_id, "MCP server", "; GET /integrated-account/ACCOUNT_ID/mcp lists them"
            )
        tools = self._accounts.tool_names()
        if tool is not None and tool not in tools:
            raise _nothing("tool_name", tool, "tool", did_you_mean(tool, tools, instead="a server lists its tools"))

    def _is_server(self, server_id: str, asked: Wanted) -> bool:
        account_ids = sorted(asked.account_ids) if asked.account_ids is not None else self._accounts.ids()
        keys = [layout.server(account_id, server_id) for account_id in account_ids]
        parts = [keys[start : start + MAX_KEYS_PER_GET] for start in range(0, len(keys), MAX_KEYS_PER_GET)]
        return any(item is not None for part in parts for item in self._store.get(part))


def _nothing(name: str, value: str, what: str, hint: str) -> Invalid:
    return Invalid(f"query: {name} is {shown(value)}; there is no {what} of this name and no log entry of one{hint}")
