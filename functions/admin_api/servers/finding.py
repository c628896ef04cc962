"""Finds servers by id or name, in one account or in any, and by labels and expiry, one bounded page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.admin_api import names
from functions.admin_api.ids import ID
from functions.admin_api.labels import Selector
from functions.admin_api.servers.item import ServerItem
from functions.gateway.errors import Conflict, Invalid, NotFound
from functions.gateway.grants import is_live
from functions.gateway.wording import one_of, shown
from functions.stores import layout
from functions.stores.partition import READ_AT_ONCE
from functions.stores.store import MAX_KEYS_PER_GET, Key, Store

READS = 60
"""Reads of the store that one page may cost. Then the page ends early, with a cursor that continues it."""

SEPARATOR = "~"
"""Between the parts of a cursor: the account and the server that a page reached. No id holds it."""


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
    """`account_ids` lists the ids of all accounts. `clock` gives the present in UTC."""

    def __init__(self, store: Store, account_ids: Callable[[], list[str]], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._account_ids = account_ids
        self._clock = clock

    def accounts(self, account_id: str, allowed: Sequence[str]) -> list[str]:
        """The accounts that a path names: this one or, for `-`, each of the `allowed` ones (empty = all)."""
        return [account_id] if account_id != names.ANY else sorted(allowed) or self._account_ids()

    def id_of(self, account_id: str, named: str) -> str:
        """The id of the live server that has this id, otherwise of the one that has this name. Raises NotFound."""
        found = self._in_accounts([account_id], named)
        if not found:
            raise no_server(account_id, named)
        return found[0].id

    def anywhere(self, named: str, account_ids: Sequence[str]) -> tuple[str, str]:
        """The account and the id of the live server with this id or name in any of these accounts.

        Raises NotFound, and Conflict for a name that servers of several accounts have.
        """
        found = self._in_accounts(account_ids, named)
        by_id = [server for server in found if server.id == named]
        if not found:
            raise no_server(names.ANY, named)
        if len(found) > 1 and not by_id:
            where = [f"{server.id} of account {server.account_id}" for server in found]
            raise Conflict(f"{len(found)} MCP servers have the name {shown(named)}; use an id: {one_of(where)}")
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
        reached: ServerItem | None = None
        reads = 0
        for account_id in account_ids:
            start = after if account_id == first else None
            if account_id < first:
                continue
            while True:
                if reads == READS:
                    last = f"{reached.account_id}{SEPARATOR}{reached.id}" if reached is not None else cursor
                    return Found(found, last)
                reads += 1
                items = self._store.query(layout.servers(account_id), after=start or None, limit=READ_AT_ONCE)
                for server in map(ServerItem.from_item, items):
                    if is_live(server, now) and wanted.matches(server):
                        if len(found) == limit:
                            return Found(found, f"{found[-1].account_id}{SEPARATOR}{found[-1].id}")
                        found.append(server)
                    reached = server
                if len(items) < READ_AT_ONCE:
                    break
                start = items[-1].key.sort
        return Found(found, None)

    def named(self, account_id: str, wanted: Sequence[str]) -> dict[str, ServerItem]:
        """The live servers of the account that have one of these names, by name."""
        keys = [layout.server_name(account_id, name) for name in wanted]
        holders = [names.holder(item) for part in _parts(keys) for item in self._store.get(part)]
        servers = [layout.server(account_id, server_id) for server_id in holders if server_id]
        return {server.name: server for server in self._live(servers)}

    def _in_accounts(self, account_ids: Sequence[str], named: str) -> list[ServerItem]:
        keys = [layout.server(account_id, named) for account_id in account_ids] if ID.fullmatch(named) else []
        keys += [layout.server_name(account_id, named) for account_id in account_ids]
        servers, holders = [], []
        for part in _parts(keys):
            for item in self._store.get(part):
                if item is not None and item.key.partition.startswith(layout.SERVERS):
                    servers.append(ServerItem.from_item(item))
                elif item is not None:
                    account_id = item.key.partition.removeprefix(layout.SERVER_NAMES)
                    holders.append(layout.server(account_id, names.holder(item)))
        now = self._clock()
        direct = [server for server in servers if is_live(server, now)]
        known = {(server.account_id, server.id) for server in direct}
        by_name = [server for server in self._live(holders) if (server.account_id, server.id) not in known]
        return [*direct, *(server for server in by_name if server.account_id not in {one.account_id for one in direct})]

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
