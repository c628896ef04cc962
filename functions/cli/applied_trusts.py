"""The part `trusts` of the file of `postern apply` and `postern export`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from functions.admin_api.trusts import presets
from functions.cli.invocation import UsageError
from functions.cli.management_api import ManagementApi, path
from functions.cli.steps import Step, shown
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean

KEYS = ("name", "issuer", "audience", "claims", "accounts", "mint")
"""Keys of one entry under `trusts`."""

NEEDED = {
    "name": (str, "a text"),
    "claims": (dict, "an object"),
    "accounts": (list, "a list"),
    "mint": (dict, "an object"),
}
"""Keys that an entry has, and what their values are."""

FIXED = ("issuer", "audience")
"""What a trust keeps for its life."""

NO_LIMITS: Mapping[str, Json] = {"methods": [], "tags": [], "pins": {}}
"""What `mint` is without these keys."""


def problems(where: str, entry: Mapping[str, Json]) -> Iterator[str]:
    """What is wrong with the values of an entry, as far as the file alone shows it."""
    for key, (kind, named) in NEEDED.items():
        if not isinstance(entry.get(key), kind) or not entry[key]:
            yield f"{where}.{key} is missing, or is not {named}"
        elif key == "accounts" and not _is_texts(entry[key]):
            yield f"{where}.accounts must list names or ids of accounts"
        elif key == "claims":
            for name, values in entry[key].items():
                if not isinstance(name, str) or not _is_texts(values):
                    yield f'{where}.claims.{name} must be a list of texts, e.g. ["74"]'
    for key in FIXED:
        if not isinstance(entry.get(key), str | None):
            yield f"{where}.{key} must be a text"


def exported(api: ManagementApi, names: Mapping[str, str]) -> list[dict[str, Json]]:
    """Every trust as an entry of the file. `names` has the name of each account by its id."""
    entries = []
    for trust in sorted(api.all("/trust"), key=lambda one: str(one["name"])):
        mint = {key: value for key, value in trust["mint"].items() if value != NO_LIMITS.get(key)}
        accounts = [names.get(account_id, account_id) for account_id in trust["account_ids"]]
        kept = {key: trust[key] for key in ("name", "issuer", "audience", "claims")}
        entries.append({**kept, "accounts": accounts, "mint": mint})
    return entries


def plan(api: ManagementApi, entries: Sequence[Mapping[str, Json]], *, prune: bool) -> list[Step]:
    """The changes between what is and what is wished. Raises UsageError."""
    names = [entry["name"] for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"the trust {min(twice)} stands in the file twice")
    present = {trust["name"]: trust for trust in api.all("/trust")}
    accounts = api.all("/integrated-account") if entries else []
    ids = {account["name"]: account["id"] for account in accounts} | {one["id"]: one["id"] for one in accounts}
    steps = []
    for entry in entries:
        unknown = [named for named in entry["accounts"] if named not in ids]
        if unknown:
            raise UsageError(f'there is no account "{unknown[0]}"{did_you_mean(str(unknown[0]), ids)}')
        body = {key: value for key, value in entry.items() if key != "accounts" and value is not None}
        issuer = presets.url(entry.get("issuer") or "github")
        body["account_ids"] = list(dict.fromkeys(ids[named] for named in entry["accounts"]))
        body["issuer"] = issuer
        body["claims"] = presets.complete(issuer, entry["claims"])
        trust = present.pop(entry["name"], None)
        if trust is None:
            lines = [f"    {key}: {shown(value)}" for key, value in body.items() if key != "name"]
            steps.append(Step("+", "trust", entry["name"], lines, "POST", "/trust", body))
        elif (step := _change(trust, body)) is not None:
            steps.append(step)
    if prune:
        steps += [Step("-", "trust", name, (), "DELETE", path("trust", trust["id"])) for name, trust in present.items()]
    return steps


def _is_texts(values: Json) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _change(trust: Mapping[str, Json], body: Mapping[str, Json]) -> Step | None:
    """What makes the trust as it is wished; None when it is. Raises UsageError."""
    for key in FIXED:
        if key in body and body[key] != trust[key]:
            raise UsageError(
                f"the trust {trust['name']} has the {key} {trust[key]}, which cannot be changed; remove the trust "
                f"first (postern trust remove {trust['id']})"
            )
    wished = {**body, "mint": {**NO_LIMITS, **body["mint"]}}
    changed = {key: body[key] for key in ("claims", "account_ids", "mint") if wished[key] != trust[key]}
    if not changed:
        return None
    lines = [f"    {key}: {shown(trust[key])} -> {shown(value)}" for key, value in changed.items()]
    return Step("~", "trust", trust["name"], lines, "PATCH", path("trust", trust["id"]), changed)
