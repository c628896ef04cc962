"""The consents of a server: who signed in with which client, and the end of one of them.

The item of a consent lies under its principal, where the data plane finds it by an access token. An entry under the
server names it, so that an operator finds it by the server. Both are written and removed in one write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from functions.admin_api.contract import Page
from functions.admin_api.oauth.contract import ConsentView, EndedConsent
from functions.admin_api.servers.finding import Finding
from functions.gateway.consents import API_TOKEN_PRINCIPAL, Consent
from functions.gateway.errors import NotFound
from functions.gateway.grants import ApiToken, epoch, is_live, write_time
from functions.gateway.wording import shown
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Key, Put, Store

ID = re.compile(r"[A-Za-z0-9_-]{22}")
"""The id of a consent; any other text is not looked up."""


def puts(consent: Consent, if_version: int) -> list[Change]:
    """The changes that write a consent with its entry, unless it was changed meanwhile (0 = unless it exists)."""
    ends = epoch(consent.expires_at)
    entry = layout.consent_entry(consent.server_id, consent.id)
    return [
        Put(consent.key, consent.to_json(), ends, if_version),
        Put(entry, {"principal": consent.principal}, ends),
    ]


def removal(consent: Consent) -> list[Change]:
    """The changes that end a consent: its tokens open nothing from then on."""
    return [Delete(consent.key), Delete(layout.consent_entry(consent.server_id, consent.id))]


class Consents:
    """`clock` returns the present in UTC."""

    def __init__(self, store: Store, finding: Finding, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._finding = finding
        self._clock = clock

    def page(self, account_id: str, named: str, limit: int, after: str | None) -> Page[ConsentView]:
        """The live consents of a server in the order of their ids. A page may be short. Raises NotFound."""
        server_id = self._finding.id_of(account_id, named)
        entries = self._store.query(layout.consents(server_id), after=after, limit=limit + 1)
        live = self._live(entries[:limit])
        return Page[ConsentView](
            result=[ConsentView(**_view(consent)) for consent in live],
            next_cursor=entries[limit - 1].key.sort if len(entries) > limit else None,
        )

    def end(self, account_id: str, named: str, consent_id: str) -> EndedConsent:
        """End one consent of a server; its tokens are dead when this returns. Raises NotFound."""
        server_id = self._finding.id_of(account_id, named)
        known = ID.fullmatch(consent_id) is not None
        entry = self._store.get([layout.consent_entry(server_id, consent_id)]) if known else []
        live = self._live([item for item in entry if item is not None])
        if not live:
            raise NotFound(f"server {server_id} has no consent {shown(consent_id)}; it has ended, or never was")
        [consent] = live
        self._store.write(removal(consent))
        return EndedConsent(**_view(consent))

    def _live(self, entries: Sequence[Item]) -> list[Consent]:
        """The consents of these entries that still open something."""
        now = self._clock()
        items = self._read([layout.consent(entry.body["principal"], entry.key.sort) for entry in entries])
        consents = [Consent.from_json(item.body, item.version) for item in items if item is not None]
        api_tokens = {one.principal for one in consents if one.principal.startswith(API_TOKEN_PRINCIPAL)}
        behind = self._read([layout.api_token_entry(principal) for principal in sorted(api_tokens)])
        ended = api_tokens - {
            item.key.sort for item in behind if item is not None and is_live(ApiToken.from_json(item.body), now)
        }
        return [consent for consent in consents if is_live(consent, now) and consent.principal not in ended]

    def _read(self, keys: Sequence[Key]) -> list[Item | None]:
        return self._store.get(keys) if keys else []


def _view(consent: Consent) -> dict[str, str]:
    return {
        "id": consent.id,
        "principal": consent.principal,
        "person": consent.person,
        "client_id": consent.client_id,
        "client_name": consent.client_name,
        "created_at": write_time(consent.created_at),
        "expires_at": write_time(consent.expires_at),
    }
