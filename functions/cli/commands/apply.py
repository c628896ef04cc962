"""`postern apply` and `postern export`: servers and trusts as a YAML file, and what it takes to make them so.

The file is the wish, and the endpoint the state: `apply` shows the difference, asks, and carries it out one change at a
time. It can be repeated; what is as the file says stays untouched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

from functions.cli import applied_trusts, completers
from functions.cli.command import Remote, argument, declaration, flag, option, repeated
from functions.cli.invocation import Failed, Invocation, UsageError
from functions.cli.management_api import ANY_ACCOUNT, ManagementApi, open_api, path
from functions.cli.steps import Step, shown
from functions.cli.tables import count
from functions.cli.terminal import printable
from functions.gateway import json_text
from functions.gateway.grants import ServerConfig, write_time
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean

KEYS = ("name", "account", "count", "labels", "config", "expires_at")
"""Keys of one entry under `servers`."""

MAX_COUNT = 1_000
"""Servers of one entry with `count`."""


DEFAULTS = ServerConfig().to_json()
"""The config of a server for which nothing was chosen."""


@dataclass(frozen=True)
class Wish:
    """One server as the file wants it. `expires_at` is "" where the file leaves it open."""

    account_id: str
    name: str
    labels: Mapping[str, str]
    config: Mapping[str, Json]
    expires_at: str | None


APPLY = declaration("apply")
EXPORT = declaration("export")


@dataclass(frozen=True, kw_only=True)
class Apply(Remote):
    """The words of `apply`."""

    file: str = argument("FILE", "e.g. servers.yaml; - reads standard input")
    dry_run: bool = flag("show the changes and make none")
    prune: bool = flag(
        "revoke the other servers of the accounts in the file, and remove the other trusts if it has trusts"
    )
    secrets: str | None = option("where the URLs of new servers go, one JSON object per line, mode 0600", "FILE")
    yes: bool = flag("do not ask before changes are made", "-y")


@dataclass(frozen=True, kw_only=True)
class Export(Remote):
    """The words of `export`."""

    account: str | None = option("only servers of this account", "ACCOUNT", completer=completers.accounts)
    label: tuple[str, ...] = repeated("only servers with this label", "KEY[=VALUE]", completer=completers.labels)


@APPLY.alone(Apply)
def _apply(invocation: Invocation[Apply]) -> None:
    options, terminal = invocation.options, invocation.terminal
    document = _read(invocation)
    with open_api(invocation) as api:
        steps = []
        if "trusts" in document:
            steps += applied_trusts.plan(api, document["trusts"], prune=options.prune)
        if "servers" in document:
            steps += _plan(api, _wishes(api, document["servers"]), prune=options.prune)
        for step in steps:
            terminal.line(
                json_text.text({"change": step.sign, "account": step.where, "name": step.name})
                if terminal.as_json
                else "\n".join([f"{step.sign} {printable(step.name)} ({step.where})", *step.shown])
            )
        signs = [step.sign for step in steps if not step.of_a_trust]
        if "trusts" in document:
            of_trusts = [step.sign for step in steps if step.of_a_trust]
            terminal.note(
                f"{count(of_trusts.count('+'), 'trust')} to make, {of_trusts.count('~')} to change, "
                f"{of_trusts.count('-')} to remove"
            )
        if "servers" in document:
            terminal.note(f"{signs.count('+')} to mint, {signs.count('~')} to change, {signs.count('-')} to revoke")
        if options.dry_run or not steps:
            return
        if "+" in signs and options.secrets is None:
            raise UsageError("the file has new servers; give --secrets FILE, where their URLs go")
        if not options.yes:
            terminal.confirm(f"{count(len(steps), 'change')} will be made. Go on?", "--yes")
        with _secrets(options.secrets) as secrets:
            _carry_out(api, steps, secrets)
    terminal.note(f"Made {count(len(steps), 'change')}.")


def _carry_out(api: ManagementApi, steps: Sequence[Step], secrets: TextIO | None) -> None:
    for number, step in enumerate(steps):
        try:
            made = api.request(step.verb, step.path, body=step.body)[0]
        except Failed as problem:
            raise Failed(
                f"{step.name}: {problem}\n{count(number, 'change')} of {len(steps)} were made; repeat the command to "
                "go on"
            ) from None
        if step.sign == "+" and not step.of_a_trust and secrets is not None:
            kept = {
                "name": made["name"],
                "account": made["integrated_account_id"],
                "id": made["id"],
                "url": made["url"],
            }
            secrets.write(json_text.text(kept) + "\n")
            secrets.flush()


@contextmanager
def _secrets(name: str | None) -> Iterator[TextIO | None]:
    """The file for the URLs, open to be continued. Raises Failed for one that others can read."""
    if name is None:
        yield None
        return
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(descriptor, "a", encoding="utf-8") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise Failed(f"{name} can be read by other users; run: chmod 600 {name}")
        yield file


def _read(invocation: Invocation[Apply]) -> dict[str, list[dict[str, Json]]]:
    """The entries of the file by its parts. Raises UsageError with every problem."""
    import yaml  # late: no other command needs it

    name = invocation.options.file
    text = invocation.terminal.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}" if place is not None else ""
        raise UsageError(f"{name} is not YAML{where}") from None
    if (
        not isinstance(document, dict)
        or not document
        or not all(part in PARTS and isinstance(entries, list) for part, entries in document.items())
    ):
        raise UsageError(
            f"{name} must have one key, servers, with a list; it can have trusts, with a list, as well or alone"
        )
    problems = [
        problem
        for part, entries in document.items()
        for number, entry in enumerate(entries)
        for problem in _problems(part, number, entry)
    ]
    if problems:
        raise UsageError(f"{name}: " + "; ".join(problems))
    return document


def _problems(part: str, number: int, entry: Json) -> Iterator[str]:
    keys, of_values = PARTS[part]
    where = f"{part}.{number}"
    if not isinstance(entry, dict):
        yield f"{where} is not an object"
        return
    for key in entry:
        if key not in keys:
            yield f"{where}.{key}: unknown key{did_you_mean(str(key), keys)}"
    yield from of_values(where, entry)


def _server_problems(where: str, entry: Mapping[str, Json]) -> Iterator[str]:
    if not isinstance(entry.get("name"), str) or not entry["name"]:
        yield f"{where}.name is missing"
    amount = entry.get("count", 1)
    if not isinstance(amount, int) or isinstance(amount, bool) or not 1 <= amount <= MAX_COUNT:
        yield f"{where}.count must be a whole number from 1 to {MAX_COUNT}"
    for key in ("labels", "config"):
        if not isinstance(entry.get(key, {}), dict):
            yield f"{where}.{key} is not an object"
    ends = entry.get("expires_at")
    if not (ends is None or isinstance(ends, str) or (isinstance(ends, datetime) and ends.tzinfo is not None)):
        yield f"{where}.expires_at must be a time with its offset, e.g. 2026-12-31T23:59:59Z, or null for never"


PARTS: Mapping[str, tuple[Sequence[str], Callable[[str, Mapping[str, Json]], Iterator[str]]]] = {
    "trusts": (applied_trusts.KEYS, applied_trusts.problems),
    "servers": (KEYS, _server_problems),
}
"""Part of the file -> the keys of an entry, and what finds the problems of its values."""


def _wishes(api: ManagementApi, entries: Sequence[dict[str, Json]]) -> list[Wish]:
    """The servers of the entries. Raises UsageError for a name that stands twice."""
    accounts = api.all("/integrated-account") if any(entry.get("account") for entry in entries) else []
    ids: dict[str | None, str] = {account["name"]: account["id"] for account in accounts}
    ids |= {account["id"]: account["id"] for account in accounts}
    wishes: dict[tuple[str, str], Wish] = {}
    for entry in entries:
        named = entry.get("account")
        if named is None and None not in ids:
            ids[None] = api.account_id(None)
        if named not in ids:
            valid = [account["name"] for account in accounts]
            raise UsageError(f'there is no account "{named}"{did_you_mean(str(named), valid)}')
        ends = entry.get("expires_at", "")
        for name in _names(entry):
            wish = Wish(
                account_id=ids[named],
                name=name,
                labels={str(key): str(value) for key, value in (entry.get("labels") or {}).items()},
                config=entry.get("config") or {},
                expires_at=write_time(ends) if isinstance(ends, datetime) else ends,
            )
            if (wish.account_id, name) in wishes:
                raise UsageError(f"the server {name} of account {wish.account_id} stands in the file twice")
            wishes[wish.account_id, name] = wish
    return list(wishes.values())


def _names(entry: Mapping[str, Json]) -> list[str]:
    if "count" not in entry:
        return [entry["name"]]
    return [f"{entry['name']}-{number}" for number in range(1, entry["count"] + 1)]


def _plan(api: ManagementApi, wishes: Sequence[Wish], *, prune: bool) -> list[Step]:
    """The changes between what is and what is wished."""
    account_ids = list(dict.fromkeys(wish.account_id for wish in wishes))
    present = {
        (account_id, server["name"]): server
        for account_id in account_ids
        for server in api.all(path("integrated-account", account_id, "mcp"))
    }
    steps = []
    for wish in wishes:
        server = present.pop((wish.account_id, wish.name), None)
        if server is None:
            steps.append(_mint(wish))
        elif (step := _change(wish, server)) is not None:
            steps.append(step)
    if prune:
        steps += [
            Step("-", account_id, name, (), "DELETE", path("integrated-account", account_id, "mcp", server["id"]))
            for (account_id, name), server in present.items()
        ]
    return steps


def _mint(wish: Wish) -> Step:
    body: dict[str, Json] = {"name": wish.name, "labels": dict(wish.labels), "config": dict(wish.config)}
    if wish.expires_at:
        body["expires_at"] = wish.expires_at
    where = path("integrated-account", wish.account_id, "mcp")
    lines = [f"    {key}: {shown(value)}" for key, value in body.items() if key != "name" and value]
    return Step("+", wish.account_id, wish.name, lines, "POST", where, body)


def _change(wish: Wish, server: Mapping[str, Json]) -> Step | None:
    """What makes the server as it is wished; None when it is."""
    body: dict[str, Json] = {}
    lines = []
    labels = {
        key: wish.labels.get(key)
        for key in {**server["labels"], **wish.labels}
        if wish.labels.get(key) != server["labels"].get(key)
    }
    if labels:
        body["labels"] = labels
        lines += [f"    labels.{key}: {shown(server['labels'].get(key))} -> {shown(labels[key])}" for key in labels]
    config = {
        key: wish.config.get(key)
        for key in {**server["config"], **wish.config}
        if not _is_alike(_or_default(key, wish.config.get(key)), server["config"].get(key))
    }
    if config:
        body["config"] = config
        lines += [f"    config.{key}: {shown(server['config'].get(key))} -> {shown(config[key])}" for key in config]
    if wish.expires_at != "" and wish.expires_at != server["expires_at"]:
        body["expires_at"] = wish.expires_at
        lines.append(f"    expires_at: {shown(server['expires_at'])} -> {shown(wish.expires_at)}")
    if not body:
        return None
    where = path("integrated-account", wish.account_id, "mcp", server["id"])
    return Step("~", wish.account_id, wish.name, lines, "PATCH", where, body)


def _or_default(key: str, value: Json) -> Json:
    """The value of a key of a config; its default for null, and where the file leaves it out."""
    return DEFAULTS.get(key) if value is None else value


def _is_alike(wished: Json, present: Json) -> bool:
    """True for equal values. A rate limit may leave its burst to the endpoint."""
    if isinstance(wished, dict) and isinstance(present, dict) and "calls_per_minute" in wished:
        return all(present.get(key) == value for key, value in wished.items())
    return bool(wished == present)


@EXPORT.alone(Export)
def _export(invocation: Invocation[Export]) -> None:
    import yaml  # late: no other command needs it

    options = invocation.options
    with open_api(invocation) as api:
        names = {account["id"]: account["name"] for account in api.all("/integrated-account")}
        where = path("integrated-account", options.account or ANY_ACCOUNT, "mcp")
        servers = api.all(where, {"label": list(options.label)})
        whole = not (options.account or options.label) and "listTrusts" in api.get("/me")["operations"]
        trusts = applied_trusts.exported(api, names) if whole else []
    entries = []
    for server in sorted(servers, key=lambda one: (one["integrated_account_id"], one["name"])):
        entry = {"name": server["name"], "account": names.get(server["integrated_account_id"])}
        entry |= {"labels": server["labels"]} if server["labels"] else {}
        config = {key: value for key, value in server["config"].items() if value != DEFAULTS.get(key)}
        entry |= {"config": config} if config else {}
        entries.append({**entry, "expires_at": server["expires_at"]})
    document: dict[str, Json] = {"servers": entries}
    if trusts:
        document = {"trusts": trusts, **document}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    invocation.terminal.result(document, text.rstrip("\n"))
