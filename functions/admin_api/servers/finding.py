"""Finds servers by id or name, in one account or in any, and by labels and expiry, one bounded page at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.admin_api import names
from functions.admin_api.ids import ID
from functions.admin_api.labels import Selector
from functions.admin_api.partitions import READ_AT_ONCE
from functions.admin_api.servers.item import ServerItem
from functions.gateway.errors import Conflict, Invalid, NotFound
from functions.gateway.grants import is_live
from functions.gateway.wording import one_of, shown
from functions.stores import layout
from functions.stores.store import MAX_KEYS_PER_GET, Item, Key, Store

READS = 60
"""Reads of the store that one page may cost, those of the list of accounts included. Then the page ends early, with a
cursor that continues it."""

SEPARATOR = "~"
"""Between the parts of a cursor: the account and the server that a page reached. No id holds it."""


END = "z" * 64
"""The second part of the cursor behind an account that was read to its end: no id is greater."""


@dataclass(slots=True)
class Budget:
    """Reads left."""

    left: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which servers to find. `expires_before` None also finds those that never expire."""

    selector: Selector
    expires_before: datetime | None = None

    def matches(self, server: ServerItem) -> bool:
        """True for a server that is asked for."""
        ends = server.expires_at
        soon = self.expires_before is None or (ends is not None and ends <= self.expires_before)
        return soon and self.selector.matches(server.labels)


@dataclass(frozen=True, slots=True)
class Found:
    """Live servers in order, and the cursor of the next page (None = no more)."""

    servers: list[ServerItem]
    next_cursor: str | None


class Finding:
    """`clock` gives the present in UTC."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def id_of(self, account_id: str, named: str) -> str:
        """The id of the live server that has this id, otherwise of the one that has this name. Raises NotFound."""
        known = [layout.server(account_id, named)] if ID.fullmatch(named) else []
        items = self._store.get([*known, layout.server_name(account_id, named)])
        found = self._of(items[: len(known)], items[len(known) :])
        if not found:
            raise no_server(account_id, named)
        return found[0].id

    def anywhere(self, named: str, account_ids: Sequence[str]) -> tuple[str, str]:
        """The account and the id of the live server with this id or name in these accounts (empty = in any).

        Raises NotFound, and Conflict for a name that servers of several accounts have.
        """
        [owner] = self._store.get([layout.server_account(named)]) if ID.fullmatch(named) else [None]
        owners = [str(owner.body["account_id"])] if owner is not None else []
        direct = [layout.server(one, named) for one in owners if not account_ids or one in account_ids]
        holders = self._store.query(layout.server_names(named), limit=READ_AT_ONCE)
        allowed = [item for item in holders if not account_ids or item.key.sort in account_ids]
        found = self._of(self._store.get(direct), allowed)
        by_id = [server for server in found if server.id == named]
        if not found:
            raise no_server(names.ANY, named)
        if len(found) > 1 and not by_id:
            where = [f"{server.id} of account {server.account_id}" for server in found]
            count = len(found) if len(holders) < READ_AT_ONCE else f"{READ_AT_ONCE} or more"
            raise Conflict(f"{count} MCP servers have the name {shown(named)}; use an id: {one_of(where)}")
        server = (by_id or found)[0]
        return server.account_id, server.id

    def page(self, account_ids: Sequence[str], wanted: Wanted, cursor: str | None, limit: int) -> Found:
        """At most `limit` live servers behind the cursor, in order of account and id.

        A page may be short, even empty, and still have a cursor. Raises Invalid for a cursor of something else.
        """
        first, _, after = cursor.partition(SEPARATOR) if cursor is not None else ("", "", "")
        if cursor is not None and not (ID.fullmatch(first) and ID.fullmatch(after)):
            raise Invalid("this listing did not return this cursor; leave it out to start from the first page")
        now = self._clock()
        found: list[ServerItem] = []
        budget = Budget(READS)
        last = cursor
        for account_id in self._from(account_ids, first, budget):
            start = after if account_id == first else None
            while True:
                if budget.left <= 0:
                    return Found(found, last)
                budget.left -= 1
                items = self._store.query(layout.servers(account_id), after=start or None, limit=READ_AT_ONCE)
                for server in map(ServerItem.from_item, items):
                    if is_live(server, now) and wanted.matches(server):
                        if len(found) == limit:
                            return Found(found, last)
                        found.append(server)
                    last = f"{server.account_id}{SEPARATOR}{server.id}"
                if len(items) < READ_AT_ONCE:
                    break
                start = items[-1].key.sort
            last = f"{account_id}{SEPARATOR}{END}"
        return Found(found, last if budget.left <= 0 else None)

    def _from(self, account_ids: Sequence[str], first: str, budget: Budget) -> Iterator[str]:
        """These accounts (empty = all), from `first` on."""
        if account_ids:
            yield from (account_id for account_id in account_ids if account_id >= first)
            return
        if first:
            yield first
        after = first or None
        while budget.left > 0:
            budget.left -= 1
            items = self._store.query(layout.ACCOUNTS, after=after, limit=READ_AT_ONCE)
            yield from (item.key.sort for item in items)
            if len(items) < READ_AT_ONCE:
                return
            after = items[-1].key.sort

    def named(self, account_id: str, wanted: Sequence[str]) -> dict[str, ServerItem]:
        """The live servers of the account that have one of these names, by name."""
        keys = [layout.server_name(account_id, name) for name in wanted]
        holders = [names.holder(item) for part in _parts(keys) for item in self._store.get(part)]
        servers = [layout.server(account_id, server_id) for server_id in holders if server_id]
        return {server.name: server for server in self._live(servers)}

    def is_known(self, server_id: str, account_ids: Collection[str] | None) -> bool:
        """True while the store has the server, live or not, in one of these accounts (None = in any)."""
        [owner] = self._store.get([layout.server_account(server_id)])
        return owner is not None and (account_ids is None or owner.body["account_id"] in account_ids)

    def _of(self, direct: Sequence[Item | None], holders: Sequence[Item | None]) -> list[ServerItem]:
        """The live servers among the items of servers with this id, and those that hold the name in other accounts."""
        now = self._clock()
        servers = [ServerItem.from_item(item) for item in direct if item is not None]
        found = [server for server in servers if is_live(server, now)]
        accounts = {server.account_id for server in found}
        others = [
            layout.server(item.key.sort, names.holder(item))
            for item in holders
            if item is not None and item.key.sort not in accounts
        ]
        return [*found, *self._live(others)]

    def _live(self, keys: Sequence[Key]) -> Iterator[ServerItem]:
        now = self._clock()
        for part in _parts(keys):
            for item in self._store.get(part):
                if item is not None and is_live(server := ServerItem.from_item(item), now):
                    yield server


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    return (keys[start : start + MAX_KEYS_PER_GET] for start in range(0, len(keys), MAX_KEYS_PER_GET))


def no_server(account_id: str, named: str) -> NotFound:
    """The error for an id or a name that no live server has."""
    if account_id == names.ANY:
        return NotFound(
            f"this deployment has no live MCP server {shown(named)}; GET /integrated-account/-/mcp lists those of "
            "every account"
        )
    return NotFound(
        f"account {shown(account_id)} has no live MCP server {shown(named)}; "
        "GET /integrated-account/ACCOUNT_ID/mcp lists the servers of an account"
    )
