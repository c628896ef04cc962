"""`postern server`: mint, list, get, update, rotate, extend, revoke and preview MCP servers."""

from __future__ import annotations

from dataclasses import dataclass

from functions.cli import completers
from functions.cli.api_words import in_cli_words
from functions.cli.command import (
    Remote,
    Shared,
    argument,
    declaration,
    flag,
    number,
    option,
    remaining,
    repeated,
)
from functions.cli.commands.account import pairs
from functions.cli.durations import Expiry, duration, expiry, until
from functions.cli.invocation import Failed, Invocation, UsageError
from functions.cli.management_api import ANY_ACCOUNT, ManagementApi, open_api, path
from functions.cli.server_config import Clearable, ConfigOptions, config_of
from functions.cli.tables import Details, Table, count
from functions.cli.terminal import Terminal, printable
from functions.gateway import json_text
from functions.gateway.json_text import Json
from functions.gateway.wording import one_of

MAX_COUNT = 1_000
"""Servers of one `create --count`: more than a fleet of agents, and a typo stays cheap."""


SERVER = declaration("server")


@dataclass(frozen=True, kw_only=True)
class OfAccount(Remote):
    """In which account."""

    account: str | None = option(
        "the account, by id or name (default: any; to mint, the local or only one)",
        "ACCOUNT",
        completer=completers.accounts,
    )


@dataclass(frozen=True, kw_only=True)
class Selecting(OfAccount):
    """Which servers are changed."""

    ids: tuple[str, ...] = remaining("SERVER", "an id or a name", completer=completers.servers)
    label: tuple[str, ...] = repeated("every server with this label", "KEY[=VALUE]", completer=completers.labels)
    all: bool = flag("every live server")
    yes: bool = flag("do not ask before several servers are changed", "-y")


@dataclass(frozen=True, kw_only=True)
class Config(ConfigOptions, OfAccount):
    """The config of a server, and the account that it is for."""


@dataclass(frozen=True, kw_only=True)
class Quiet(Shared):
    """A command that prints URLs."""

    quiet: bool = flag("print only the URL", "-q")


@dataclass(frozen=True, kw_only=True)
class Create(Config, Expiry, Quiet):
    """The words of `server create`."""

    name: str | None = option("a name that no other server of the account has (default: the id)")
    count: int | None = option(
        f"mint the servers NAME-1 to NAME-N, at most {MAX_COUNT}; a name that a live server has is left out",
        "N",
        read=number(1, MAX_COUNT),
    )
    label: tuple[str, ...] = repeated("a label, e.g. team=support; repeatable", "KEY=VALUE")


@dataclass(frozen=True, kw_only=True)
class List(OfAccount):
    """The words of `server list`."""

    label: tuple[str, ...] = repeated(
        "only servers with this label; repeatable", "KEY[=VALUE]", completer=completers.labels
    )
    expires_within: str | None = option("only servers that expire within this time, e.g. 24h", "DURATION")


@dataclass(frozen=True, kw_only=True)
class Get(OfAccount):
    """The words of `server get`."""

    id: str = argument("SERVER", completer=completers.servers)


@dataclass(frozen=True, kw_only=True)
class EndConsent(OfAccount):
    """The words of `server end-consent`."""

    id: str = argument("SERVER", completer=completers.servers)
    consent_id: str = argument("CONSENT_ID")


@dataclass(frozen=True, kw_only=True)
class Update(Config, Expiry):
    """The words of `server update`."""

    id: str = argument("SERVER", completer=completers.servers)
    name: str | None = option("another name")
    label: tuple[str, ...] = repeated("set a label; repeatable", "KEY=VALUE")
    unlabel: tuple[str, ...] = repeated("remove a label; repeatable", "KEY")
    clear: tuple[Clearable, ...] = repeated("remove every entry of this; repeatable", show_choices=True)
    never: bool = flag("remove the expiry; the server works until it is revoked", either="expiry")


@dataclass(frozen=True, kw_only=True)
class Rotate(Selecting, Quiet):
    """The words of `server rotate`."""

    grace: str | None = option("how long the old URL still works, e.g. 10m (default: not at all)", "DURATION")
    made_before: str | None = option("leave servers alone whose URL is newer; goes on after an interruption", "TIME")


@dataclass(frozen=True, kw_only=True)
class Extend(Selecting, Expiry):
    """The words of `server extend`."""


def _account_path(api: ManagementApi, invocation: Invocation[OfAccount], *more: str) -> str:
    """Of the one account in which something is made or tried."""
    return path("integrated-account", api.account_id(invocation.options.account), "mcp", *more)


def _servers_path(invocation: Invocation[OfAccount], *more: str) -> str:
    """Of the servers of the account that was named, or of every account."""
    return path("integrated-account", invocation.options.account or ANY_ACCOUNT, "mcp", *more)


@SERVER.verb("create", Create, "mint an MCP URL; it is shown once")
def _create(invocation: Invocation[Create]) -> None:
    options = invocation.options
    config = config_of(options)
    for name in ("methods", "tags"):
        if config.get(name) == []:  # an unset variable in a script must not mint a server that shows everything
            raise UsageError(f"--{name} is empty; leave the option out to select all")
    body = {"config": config, "expires_at": expiry(options, invocation.clock())}
    if options.name:
        body["name"] = options.name
    if options.label:
        body["labels"] = pairs("--label", options.label)
    with open_api(invocation) as api:
        if options.count is not None:
            _create_several(invocation, api, body)
            return
        minted = api.post(_account_path(api, invocation), body)
    _show_minted(invocation, minted)


def _create_several(invocation: Invocation[Create], api: ManagementApi, body: dict[str, Json]) -> None:
    """Mint NAME-1 to NAME-N, some fifty with each request, and print each at once, so that a failure loses no URL.

    A repeated command mints only what is missing: a name that a live server has is left out.
    """
    options, terminal = invocation.options, invocation.terminal
    asked = {**body, "name": options.name or "server", "count": options.count}
    minted, kept = 0, 0
    number: int | None = 1
    while number is not None:
        try:
            answer = api.post(_account_path(api, invocation, "bulk-create"), {**asked, "from_number": number})
        except Failed as problem:
            if not minted:
                raise
            raise Failed(f"{problem}\n{count(minted, 'server')} were minted before; repeat the command") from None
        minted, kept, number = minted + answer["minted"], kept + answer["kept"], answer["next_number"]
        _show_urls(terminal, [entry for entry in answer["result"] if entry["outcome"] == "minted"], quiet=options.quiet)
    _note_not_fixed(invocation, answer["not_fixed"])
    terminal.note(
        f"Minted {count(minted, 'server')}"
        + (f"; {count(kept, 'name')} had a live server and was left out" if kept == 1 else "")
        + (f"; {kept} names had a live server and were left out" if kept > 1 else "")
        + ". The URLs are secrets and are shown only once."
    )


def _show_urls(terminal: Terminal, entries: list[Json], *, quiet: bool) -> None:
    """One line for each new URL."""
    for entry in entries:
        if terminal.as_json:
            terminal.line(json_text.text(entry))
        elif quiet:
            terminal.line(entry["url"])
        else:
            terminal.line(f"{entry['id']}  {printable(entry['name'])}  {entry['url']}")


def _note_not_fixed(invocation: Invocation[Shared], not_fixed: dict[str, list[str]]) -> None:
    """Say which tools are called without an argument that was fixed for every tool."""
    for name, tools in not_fixed.items():
        invocation.terminal.note(
            f"*.{name} is not fixed for {count(len(tools), 'tool')} without that argument: {one_of(tools)}. "
            "--strict hides them."
        )


def _show_minted(invocation: Invocation[Quiet], minted: Json) -> None:
    terminal = invocation.terminal
    if invocation.options.quiet:
        terminal.line(minted["url"])
        return
    ends = until(minted["expires_at"], invocation.clock())
    shown = [
        ("id", minted["id"]),
        ("name", minted["name"]),
        ("account", minted["integrated_account_id"]),
        ("tools", minted["tool_count"]),
        ("config", {name: value for name, value in minted["config"].items() if value}),
        ("expires", ends),
    ]
    if minted["previous_token_expires_at"] is not None:
        shown.append(("old URL", until(minted["previous_token_expires_at"], invocation.clock())))
    terminal.result(minted, Details([*shown, ("url", minted["url"])]))
    _note_not_fixed(invocation, minted["not_fixed"])
    terminal.note(
        "The URL is a secret and is shown only once. For lines to paste: postern snippet --client cursor --url URL"
    )


@SERVER.verb("list", List, "list the live servers")
def _list(invocation: Invocation[List]) -> None:
    with open_api(invocation) as api:
        servers = api.all(_servers_path(invocation), _filters(invocation))
    now = invocation.clock()
    rows = [
        [
            server["id"],
            server["name"],
            server["integrated_account_id"],
            server["labels"],
            server["tool_count"],
            server["config"]["methods"],
            server["config"]["tags"],
            server["config"]["pins"],
            until(server["expires_at"], now),
            server["last_used_at"],
        ]
        for server in servers
    ]
    text = Table(("id", "name", "account", "labels", "tools", "methods", "tags", "pins", "expires", "last used"), rows)
    invocation.terminal.result(servers, text if servers else "no servers; mint one with: postern server create")


def _filters(invocation: Invocation[List]) -> dict[str, str | list[str]]:
    options = invocation.options
    within = {"expires_within": options.expires_within} if options.expires_within else {}
    return {"label": list(options.label), **within}


def _show(invocation: Invocation[Shared], server: Json) -> None:
    shown = {**server, **server["config"], "expires_at": until(server["expires_at"], invocation.clock())}
    not_fixed = shown.pop("not_fixed", {})
    del shown["config"]
    invocation.terminal.result(server, Details(list(shown.items())))
    _note_not_fixed(invocation, not_fixed)


@SERVER.verb("get", Get, "show one server")
def _get(invocation: Invocation[Get]) -> None:
    with open_api(invocation) as api:
        _show(invocation, api.get(api.server(invocation.options.account, invocation.options.id)))


@SERVER.verb("update", Update, "change a server; its URL stays the same")
def _update(invocation: Invocation[Update]) -> None:
    options = invocation.options
    body: dict[str, Json] = {}
    if options.name:
        body["name"] = options.name
    labels: dict[str, Json] = dict.fromkeys(options.unlabel)
    if labels := {**labels, **pairs("--label", options.label)}:
        body["labels"] = labels
    cleared: dict[str, Json] = dict.fromkeys(options.clear)
    if "confirm" in cleared:
        cleared["confirm_by"] = None  # it has no effect alone, and the API says so
    if config := {**cleared, **config_of(options)}:
        body["config"] = config
    expires_at = expiry(options, invocation.clock())
    if expires_at is not None or options.never:
        body["expires_at"] = expires_at
    if not body:
        raise UsageError(
            "nothing to change; give --name, --label, --unlabel, an option of the config, --expires-in, --expires-at "
            "or --never"
        )
    with open_api(invocation) as api:
        _show(invocation, api.patch(api.server(options.account, options.id), body))


@SERVER.verb("rotate", Rotate, "give servers new URLs; the old ones stop working")
def _rotate(invocation: Invocation[Rotate]) -> None:
    options = invocation.options
    grace = int(duration(options.grace).total_seconds()) if options.grace else 0
    if len(_one_way(invocation)) == 1 and options.made_before is None:
        with open_api(invocation) as api:
            minted = api.post(f"{api.server(options.account, options.ids[0])}/rotate", {"grace_seconds": grace})
        _show_minted(invocation, minted)
        return
    body: dict[str, Json] = {"action": "rotate", "grace_seconds": grace}
    if options.made_before is not None:
        body["tokens_before"] = options.made_before
    with open_api(invocation) as api:
        _change_several(invocation, api, body, "rotated", quiet=options.quiet)


@SERVER.verb("extend", Extend, "move the expiry of servers; no life gets shorter")
def _extend(invocation: Invocation[Extend]) -> None:
    _one_way(invocation)
    expires_at = expiry(invocation.options, invocation.clock())
    if expires_at is None:
        raise UsageError("say until when: --expires-in or --expires-at")
    with open_api(invocation) as api:
        _change_several(invocation, api, {"action": "extend", "expires_at": expires_at}, "extended")


def _one_way(invocation: Invocation[Selecting]) -> list[str]:
    """The servers that were named. Raises UsageError unless they are given in exactly one way."""
    options = invocation.options
    if sum(map(bool, (options.ids, options.label, options.all))) != 1:
        raise UsageError("say which servers in exactly one way: SERVER ..., --label or --all")
    return list(dict.fromkeys(options.ids))


def _change_several(
    invocation: Invocation[Selecting], api: ManagementApi, body: dict[str, Json], done: str, *, quiet: bool = False
) -> None:
    """Change the named or selected servers, some fifty with each request, and print what became of each."""
    options, terminal = invocation.options, invocation.terminal
    body |= {"servers": _one_way(invocation)} if options.ids else {"labels": list(options.label), "all": options.all}
    if not options.ids and not options.yes:
        found = api.all(_servers_path(invocation), {"label": list(options.label)})
        terminal.confirm(f"{count(len(found), 'server')} will be {done}. Go on?", "--yes")
    counts = {"done": 0, "unchanged": 0, "failed": 0}
    problems = []
    while True:
        try:
            answer = api.post(_servers_path(invocation, "bulk"), body)
        except Failed as problem:
            rest = f" with --made-before {body['tokens_before']}" if counts["done"] and "tokens_before" in body else ""
            raise Failed(f"{problem}\n{counts['done']} were {done} before; repeat the command{rest}") from None
        for outcome in counts:
            counts[outcome] += answer[outcome]
        if body["action"] == "rotate":
            body["tokens_before"] = answer["tokens_before"]
            _show_urls(terminal, [entry for entry in answer["result"] if entry["url"]], quiet=quiet)
        else:
            _show_outcomes(invocation, answer["result"], done)
        problems += [entry for entry in answer["result"] if entry["outcome"] == "failed"]
        if answer["next_cursor"] is None:
            break
        body["cursor"] = answer["next_cursor"]
    terminal.note(f"{counts['done']} {done}, {counts['unchanged']} unchanged, {counts['failed']} failed")
    if problems:
        reasons = "".join(f"\n  - {printable(in_cli_words(str(entry['message'])))}" for entry in problems)
        raise Failed(f"{len(problems)} of {sum(counts.values())} servers were not {done}:{reasons}")


def _show_outcomes(invocation: Invocation[Shared], entries: list[Json], done: str) -> None:
    for entry in entries:
        if invocation.terminal.as_json:
            invocation.terminal.line(json_text.text(entry))
        elif entry["outcome"] != "failed":
            word = done if entry["outcome"] == "done" else "unchanged"
            ends = f", expires {until(entry['expires_at'], invocation.clock())}" if done == "extended" else ""
            invocation.terminal.line(f"{entry['id']}  {printable(entry['name'])}  {word}{ends}")


@SERVER.verb("revoke", Selecting, "remove servers; their URLs stop working immediately")
def _revoke(invocation: Invocation[Selecting]) -> None:
    terminal = invocation.terminal
    named = _one_way(invocation)
    problems: list[Failed] = []
    with open_api(invocation) as api:
        if not named:
            _change_several(invocation, api, {"action": "revoke"}, "revoked")
            return
        for one in named:
            try:
                gone = api.delete(api.server(invocation.options.account, one))
            except Failed as problem:  # the others must not depend on one that is already revoked
                problems.append(problem)
                continue
            text = f"server {gone['id']} is revoked; {count(gone['removed']['tokens'], 'URL')} stopped working"
            if len(named) > 1 and terminal.as_json:
                terminal.line(json_text.text(gone))
            else:
                terminal.result(gone, text)
    if len(named) == 1 and problems:
        raise problems[0]
    if problems:
        reasons = "".join(f"\n  - {problem}" for problem in problems)
        raise Failed(f"{len(problems)} of {len(named)} servers were not revoked:{reasons}")


@SERVER.verb("consents", Get, "list who signed in to a server, and with which client")
def _consents(invocation: Invocation[Get]) -> None:
    with open_api(invocation) as api:
        consents = api.all(f"{api.server(invocation.options.account, invocation.options.id)}/consent")
    now = invocation.clock()
    shown = ("id", "person", "client_name", "client_id", "created_at")
    rows = [[*(consent[name] for name in shown), until(consent["expires_at"], now)] for consent in consents]
    table = Table(("id", "person", "client", "client id", "since", "expires"), rows)
    invocation.terminal.result(consents, table)


@SERVER.verb("end-consent", EndConsent, "end what a person allowed a client; its tokens stop working immediately")
def _end_consent(invocation: Invocation[EndConsent]) -> None:
    options = invocation.options
    with open_api(invocation) as api:
        ended = api.delete(f"{api.server(options.account, options.id)}{path('consent', options.consent_id)}")
    text = f"{printable(ended['client_name'])} no longer acts for {printable(ended['person'])} on this server"
    invocation.terminal.result(ended, text)


@SERVER.verb("preview", Config, "list the tools that a config would show, without minting")
def _preview(invocation: Invocation[Config]) -> None:
    with open_api(invocation) as api:
        found = api.post(_account_path(api, invocation, "preview"), {"config": config_of(invocation.options)})
    shown = ("name", "method", "access", "destructive", "tags", "tokens")
    rows = [[tool[name] for name in shown] for tool in found["tools"]]
    total = f"{count(found['tool_count'], 'tool')}; the listing costs a model about {found['tokens']:,} tokens"
    invocation.terminal.result(found, Table(shown, rows), total)
    _note_not_fixed(invocation, found["not_fixed"])
