"""Trusts: made, listed, changed and removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from functions.admin_api import names
from functions.admin_api.accounts.lookup import AccountLookup, check_known
from functions.admin_api.api_tokens.mint_limits import MintLimits
from functions.admin_api.conflicts import settle
from functions.admin_api.contract import Page
from functions.admin_api.ids import ID, new_id
from functions.admin_api.trusts import contract, presets
from functions.admin_api.trusts.item import TrustItem, by_audience
from functions.gateway.addresses import check_base_url
from functions.gateway.errors import Conflict, Invalid, NotFound, invalid
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.wording import one_of, shown
from functions.stores import layout
from functions.stores.store import MAX_CHANGES_PER_WRITE, Change, Put, Store

MAX_TRUSTS = 100
"""Trusts of a deployment, so that one read finds all of them. Two made at the same moment may both be the last."""

CHECKED = {
    "iss": "issuer",
    "aud": "audience",
    "exp": "the expiry, which is always checked",
    "iat": "the time of issue, which is always checked",
    "nbf": "the beginning, which is always checked",
}
"""Claims that a trust does not list, and what says what they must be."""


class Trusts:
    """`settings` say which addresses an issuer may have. `clock` gives the present in UTC, `random(n)` n bytes."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        accounts: AccountLookup,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._random = random

    def create(self, body: contract.TrustCreate, origin: str) -> contract.Trust:
        """Make a trust. `origin` is where this API is reached, which its audience begins with. Raises Invalid,
        Conflict."""
        if len(self._store.query(layout.TRUSTS, limit=MAX_TRUSTS)) == MAX_TRUSTS:
            raise Conflict(f"there are {MAX_TRUSTS} trusts, which is the limit; remove one, or list more values in one")
        issuer = self._issuer(body.issuer)
        _check_claims(body.claims, presets.of(issuer))
        check_known(self._store, body.account_ids)
        mint = MintLimits.from_json(body.mint.model_dump())
        mint.check_names(self._accounts.catalogs_of(body.account_ids))
        trust_id, now = new_id("tru", self._random), self._clock()
        trust = TrustItem(
            id=trust_id,
            name=body.name,
            issuer=issuer,
            audience=body.audience or f"{self._settings.management_url or origin}/trust/{trust_id}",
            claims=presets.complete(issuer, body.claims),
            account_ids=tuple(dict.fromkeys(body.account_ids)),
            mint=mint,
            created_at=now,
            updated_at=now,
        )
        settle(
            f"the name {shown(trust.name)}",
            lambda: self._store.write([*trust.puts(if_version=0), self._take_name(trust)]),
        )
        return _view(trust)

    def page(self, limit: int, after: str | None) -> Page[contract.Trust]:
        """Trusts in order of id."""
        items = self._store.query(layout.TRUSTS, after=after, limit=limit + 1)
        trusts = [_view(TrustItem.from_item(item)) for item in items[:limit]]
        return Page[contract.Trust](result=trusts, next_cursor=trusts[-1].id if len(items) > limit else None)

    def view(self, named: str) -> contract.Trust:
        """One trust by its id or name. Raises NotFound."""
        return _view(self._load(named))

    def update(self, named: str, body: contract.TrustUpdate) -> contract.Trust:
        """Replace what the body names, for the next identity token. Raises Invalid, NotFound, Conflict."""
        trust_id, given = self._load(named).id, body.model_fields_set
        if "account_ids" in given:
            check_known(self._store, body.account_ids)

        def change() -> TrustItem:
            trust = self._load(trust_id)
            if "claims" in given:
                _check_claims(body.claims, presets.of(trust.issuer))
            after = replace(
                trust,
                claims=presets.complete(trust.issuer, body.claims) if "claims" in given else trust.claims,
                account_ids=tuple(dict.fromkeys(body.account_ids)) if "account_ids" in given else trust.account_ids,
                mint=MintLimits.from_json(body.mint.model_dump()) if "mint" in given else trust.mint,
                updated_at=self._clock(),
            )
            if "mint" in given:
                after.mint.check_names(self._accounts.catalogs_of(after.account_ids))
            self._store.write(after.puts(if_version=trust.version))
            return after

        return _view(settle(f"trust {trust_id}", change))

    def remove(self, named: str) -> contract.RemovedTrust:
        """Remove a trust, which admits nobody when this returns. Raises NotFound, Conflict."""
        trust_id = self._load(named).id

        def gone() -> str:
            trust = self._load(trust_id)
            [name] = self._store.get([trust.name_key])
            self._store.write(trust.removal(name))
            return trust.name

        return contract.RemovedTrust(id=trust_id, name=settle(f"trust {trust_id}", gone))

    def account_removed(self, account_id: str) -> list[str]:
        """Remove the trusts that were for this account alone, and remove it from the limits of the others. Otherwise a
        later account with the id would inherit them. Returns the ids of the removed trusts."""
        return settle("the trusts", partial(self._forget, account_id))

    def _forget(self, account_id: str) -> list[str]:
        items = self._store.query(layout.TRUSTS, limit=2 * MAX_TRUSTS)
        trusts = [trust for item in items if account_id in (trust := TrustItem.from_item(item)).account_ids]
        named = self._store.get([trust.name_key for trust in trusts]) if trusts else []
        removed: list[str] = []
        changes: list[Change] = []
        for trust, name in zip(trusts, named, strict=True):
            others = tuple(other for other in trust.account_ids if other != account_id)
            if not others:
                removed.append(trust.id)
            limited = replace(trust, account_ids=others)
            more = limited.puts(if_version=trust.version) if others else trust.removal(name)
            if len(changes) + len(more) > MAX_CHANGES_PER_WRITE:
                self._store.write(changes)
                changes = []
            changes += more
        if changes:
            self._store.write(changes)
        return removed

    def _issuer(self, given: str) -> str:
        """The URL of the issuer. Raises Invalid."""
        if given in presets.PRESETS:
            return presets.url(given)
        try:
            check_base_url(given, private=self._settings.private_upstreams)
        except Invalid:
            raise Invalid(
                f"issuer is {shown(given)}; valid: {one_of(tuple(presets.PRESETS))}, or an https URL on the public "
                "internet, exactly as the claim iss has it"
            ) from None
        return given

    def _load(self, named: str) -> TrustItem:
        """The trust that has this id, otherwise the one that has this name. Raises NotFound."""
        [name] = self._store.get([layout.trust_name(named)])
        for trust_id in (named, names.holder(name)):
            [stored] = self._store.get([layout.trust(trust_id)]) if ID.fullmatch(trust_id) else [None]
            if stored is not None:
                return TrustItem.from_item(stored)
        raise NotFound(f"there is no trust {shown(named)}; GET /trust lists them")

    def _take_name(self, trust: TrustItem) -> Put:
        """The change that gives the trust its name. Raises Conflict when another trust has the name or the audience."""
        named, other = self._store.get([trust.name_key, by_audience(trust.audience)])
        if other is not None:
            raise Conflict(f"the trust {other.body['id']} has the audience {shown(trust.audience)}; choose another one")
        if names.holder(named) or (ID.fullmatch(trust.name) and self._store.get([layout.trust(trust.name)]) != [None]):
            raise Conflict(f"there is already a trust with the name {shown(trust.name)}; choose another name")
        return names.take(trust.name_key, named, trust.id)


def _check_claims(claims: dict[str, list[str]], preset: presets.Preset) -> None:
    """Raises Invalid, with every reason, for claims that this issuer would put into the tokens of strangers."""
    problems = [
        f"claims.{name}: a trust does not list this claim; its value is {CHECKED[name]}"
        for name in claims
        if name in CHECKED
    ]
    owners = set(claims) & set(preset.owners)
    if preset.owners and not owners:
        problems.append(
            f"claims says nothing of whose workload it is, and {preset.issuer} signs tokens for everybody; list one "
            f"of {one_of(preset.owners)}"
        )
    vague = [subject for subject in claims.get("sub", ()) if not presets.says_whose(subject, preset)]
    if owners == {"sub"} and vague:
        problems.append(
            f"claims.sub: {shown(vague[0])} says nothing of whose workload it is, and anybody can have this subject; "
            f"list one with {one_of([f'{name}:...' for name in preset.subjects])}"
        )
    if problems:
        raise invalid(problems)


def _view(trust: TrustItem) -> contract.Trust:
    body: dict[str, Json] = trust.to_json()
    return contract.Trust.model_validate(body)
