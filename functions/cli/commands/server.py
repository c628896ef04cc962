"""`postern server`: mint, list, get, update, rotate, extend, revoke and preview MCP servers."""

from __future__ import annotations

import argparse
from typing import Any, get_args

from functions.cli.api_words import in_cli_words
from functions.cli.commands.account import pairs
from functions.cli.durations import duration, expiry, until
from functions.cli.invocation import Failed, Invocation, UsageError
from functions.cli.management_api import ANY_ACCOUNT, ManagementApi, open_api, path
from functions.cli.tables import count, details, table
from functions.cli.terminal import printable
from functions.gateway import json_text
from functions.gateway.grants import ConfirmBy, OutputSchemas, Profile, Views
from functions.gateway.json_text import Json
from functions.gateway.wording import one_of

MAX_COUNT = 1_000
"""Servers of one `create --count`: more than a fleet of agents, and a typo stays cheap."""


def add(commands: Any, remote: argparse.ArgumentParser) -> None:
    """Add the command and its verbs."""
    verbs = commands.add_parser("server", help="manage MCP servers, i.e. the URLs that agents use").add_subparsers(
        metavar="VERB", required=True
    )
    of_account = argparse.ArgumentParser(add_help=False, parents=[remote])
    of_account.add_argument(
        "--account", metavar="ACCOUNT", help="the account, by id or name (default: any; to mint, the local or only one)"
    )
    selecting = argparse.ArgumentParser(add_help=False, parents=[of_account])
    selecting.add_argument("ids", metavar="SERVER", nargs="*", help="an id or a name")
    selecting.add_argument("--label", action="append", metavar="KEY[=VALUE]", help="every server with this label")
    selecting.add_argument("--all", action="store_true", help="every live server")
    selecting.add_argument("--yes", "-y", action="store_true", help="do not ask before several servers are changed")

    one = verbs.add_parser("create", parents=[of_account], help="mint an MCP URL; it is shown once")
    one.add_argument("--name", help="a name that no other server of the account has (default: the id)")
    one.add_argument(
        "--count",
        type=_count,
        metavar="N",
        help=f"mint the servers NAME-1 to NAME-N, at most {MAX_COUNT}; a name that a live server has is left out",
    )
    one.add_argument("--label", action="append", metavar="KEY=VALUE", help="a label, e.g. team=support; repeatable")
    _config_options(one)
    add_expiry(one)
    one.add_argument("--quiet", "-q", action="store_true", help="print only the URL")
    one.set_defaults(run=_create)

    one = verbs.add_parser("list", parents=[of_account], help="list the live servers")
    one.add_argument("--label", action="append", metavar="KEY[=VALUE]", help="only servers with this label; repeatable")
    one.add_argument("--expires-within", metavar="DURATION", help="only servers that expire within this time, e.g. 24h")
    one.set_defaults(run=_list)

    one = verbs.add_parser("get", parents=[of_account], help="show one server")
    one.add_argument("id", metavar="SERVER")
    one.set_defaults(run=_get)

    one = verbs.add_parser("update", parents=[of_account], help="change a server; its URL stays the same")
    one.add_argument("id", metavar="SERVER")
    one.add_argument("--name")
    one.add_argument("--label", action="append", metavar="KEY=VALUE", help="set a label; repeatable")
    one.add_argument("--unlabel", action="append", metavar="KEY", help="remove a label; repeatable")
    _config_options(one)
    one.add_argument(
        "--clear",
        action="append",
        choices=["pins", "write_ids", "fixed", "defaults", "rate_limit", "confirm"],
        help="remove every entry of this; repeatable",
    )
    add_expiry(one).add_argument(
        "--never", action="store_true", help="remove the expiry; the server works until it is revoked"
    )
    one.set_defaults(run=_update)

    one = verbs.add_parser("rotate", parents=[selecting], help="give servers new URLs; the old ones stop working")
    one.add_argument(
        "--grace", metavar="DURATION", help="how long the old URL still works, e.g. 10m (default: not at all)"
    )
    one.add_argument(
        "--made-before", metavar="TIME", help="leave servers alone whose URL is newer; goes on after an interruption"
    )
    one.add_argument("--quiet", "-q", action="store_true", help="print only the URL")
    one.set_defaults(run=_rotate)

    one = verbs.add_parser("extend", parents=[selecting], help="move the expiry of servers; no life gets shorter")
    add_expiry(one)
    one.set_defaults(run=_extend)

    one = verbs.add_parser("revoke", parents=[selecting], help="remove servers; their URLs stop working immediately")
    one.set_defaults(run=_revoke)

    one = verbs.add_parser(
        "preview", parents=[of_account], help="list the tools that a config would show, without minting"
    )
    _config_options(one)
    one.set_defaults(run=_preview)


def add_expiry(parser: argparse.ArgumentParser) -> Any:
    """Add `--expires-in` and `--expires-at`, and return their mutually exclusive group."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--expires-in", metavar="DURATION", help="expire after this time, e.g. 90s, 15m, 2h, 7d")
    group.add_argument("--expires-at", metavar="TIME", help="expire at this time, e.g. 2026-12-31T23:59:59Z")
    return group


def _config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", metavar="M,...", help="read, write, custom, or exact method names")
    parser.add_argument("--tags", metavar="T,...", help="show only tools with one of these tags")
    parser.add_argument(
        "--profile",
        choices=get_args(Profile),
        help="core: the few tools marked as such; discovery: three tools that find and call the others (default: full)",
    )
    parser.add_argument(
        "--output-schemas",
        choices=get_args(OutputSchemas),
        help="how much of each output schema is listed (default: full)",
    )
    parser.add_argument(
        "--views",
        choices=get_args(Views),
        help="which clients are told of the pages that show results (default: those that declare them)",
    )
    parser.add_argument(
        "--require-api-token",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="require an API token with the scope connect on every call",
    )
    parser.add_argument(
        "--oauth",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let people sign in with that API token in a browser (default: yes)",
    )
    parser.add_argument(
        "--pin", action="append", metavar="NAME=ID", help="force this id on every call, e.g. user_id=usr_98765"
    )
    parser.add_argument(
        "--write-id",
        action="append",
        metavar="NAME=ID",
        help="let writes of a pinned server name this other id too, e.g. run_id=run_1; * means every id",
    )
    parser.add_argument(
        "--fixed",
        action="append",
        metavar="TOOL.ARGUMENT=VALUE",
        help="force an argument; TOOL may be *, VALUE may be JSON",
    )
    parser.add_argument(
        "--strict",
        action=argparse.BooleanOptionalAction,
        default=None,
        help='hide the tools that an argument fixed with "*" cannot reach',
    )
    parser.add_argument(
        "--default", action="append", metavar="TOOL.ARGUMENT=VALUE", help="set an argument that the caller leaves out"
    )
    parser.add_argument(
        "--rate-limit",
        metavar="CALLS[/BURST]",
        help="calls per minute, and calls at once (default: those of ten seconds)",
    )
    parser.add_argument(
        "--confirm",
        metavar="TOOL,...",
        help="refuse calls until they are confirmed: destructive, or names of tools",
    )
    parser.add_argument(
        "--confirm-by",
        choices=get_args(ConfirmBy),
        help="code: the repeat with the code of the refusal; person: an approval in the console too (default: code)",
    )


def _config(options: argparse.Namespace) -> dict[str, Json]:
    """The keys that were given. An empty list removes the selection. Raises UsageError."""
    config: dict[str, Json] = {}
    for name in ("methods", "tags"):
        text = getattr(options, name)
        if text is not None:
            config[name] = [word.strip() for word in text.split(",") if word.strip()]
    for name in ("profile", "output_schemas", "views"):
        if getattr(options, name) is not None:
            config[name] = getattr(options, name)
    if options.require_api_token is not None:
        config["require_api_token_auth"] = options.require_api_token
    if options.oauth is not None:
        config["oauth"] = options.oauth
    if options.pin:
        config["pins"] = pairs("--pin", options.pin)
    if options.write_id:
        config["write_ids"] = _lists("--write-id", options.write_id)
    if options.fixed:
        config["fixed"] = _by_tool("--fixed", options.fixed)
    if options.strict is not None:
        config["strict"] = options.strict
    if options.default:
        config["defaults"] = _by_tool("--default", options.default)
    if options.confirm is not None:
        config["confirm"] = [word.strip() for word in options.confirm.split(",") if word.strip()]
    if options.confirm_by is not None:
        config["confirm_by"] = options.confirm_by
    if options.rate_limit:
        config["rate_limit"] = _rate(options.rate_limit)
    return config


def _rate(text: str) -> dict[str, int]:
    """`60` or `60/10` as calls per minute and burst."""
    calls, slash, burst = text.partition("/")
    if not all(part.isascii() and part.isdigit() for part in ([calls, burst] if slash else [calls])):
        raise UsageError(f"--rate-limit {text}: write CALLS or CALLS/BURST, e.g. 60/10")
    return {"calls_per_minute": int(calls)} | ({"burst": int(burst)} if slash else {})


def _lists(option: str, words: list[str]) -> dict[str, list[str]]:
    """`name=value` words as {name: [value, ...]}."""
    listed: dict[str, list[str]] = {}
    for word in words:
        for name, value in pairs(option, [word]).items():
            listed.setdefault(name, []).append(value)
    return listed


def _by_tool(option: str, words: list[str]) -> dict[str, dict[str, Json]]:
    """`tool.argument=value` words as {tool: {argument: value}}. A value is read as JSON if it is JSON, else as text."""
    found: dict[str, dict[str, Json]] = {}
    for place, text in pairs(option, words).items():
        tool, dot, argument = place.partition(".")
        if not dot or not tool or not argument:
            raise UsageError(f'{option} {place}: write TOOL.ARGUMENT=VALUE, e.g. "*.infer=false"')
        try:
            value = json_text.decode(text)
        except ValueError:
            value = text
        found.setdefault(tool, {})[argument] = value
    return found


def _account_path(api: ManagementApi, invocation: Invocation, *more: str) -> str:
    """Of the one account in which something is made or tried."""
    return path("integrated-account", api.account_id(invocation.options.account), "mcp", *more)


def _servers_path(invocation: Invocation, *more: str) -> str:
    """Of the servers of the account that was named, or of every account."""
    return path("integrated-account", invocation.options.account or ANY_ACCOUNT, "mcp", *more)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_COUNT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MAX_COUNT}")
    return int(text)


def _create(invocation: Invocation) -> None:
    options = invocation.options
    config = _config(options)
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


def _create_several(invocation: Invocation, api: ManagementApi, body: dict[str, Json]) -> None:
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
        _show_urls(invocation, [entry for entry in answer["result"] if entry["outcome"] == "minted"])
    _note_not_fixed(invocation, answer["not_fixed"])
    terminal.note(
        f"Minted {count(minted, 'server')}"
        + (f"; {count(kept, 'name')} had a live server and was left out" if kept == 1 else "")
        + (f"; {kept} names had a live server and were left out" if kept > 1 else "")
        + ". The URLs are secrets and are shown only once."
    )


def _show_urls(invocation: Invocation, entries: list[Json]) -> None:
    """One line for each new URL."""
    terminal = invocation.terminal
    for entry in entries:
        if terminal.as_json:
            terminal.line(json_text.text(entry))
        elif invocation.options.quiet:
            terminal.line(entry["url"])
        else:
            terminal.line(f"{entry['id']}  {printable(entry['name'])}  {entry['url']}")


def _note_not_fixed(invocation: Invocation, not_fixed: dict[str, list[str]]) -> None:
    """Say which tools are called without an argument that was fixed for every tool."""
    for argument, tools in not_fixed.items():
        invocation.terminal.note(
            f"*.{argument} is not fixed for {count(len(tools), 'tool')} without that argument: {one_of(tools)}. "
            "--strict hides them."
        )


def _show_minted(invocation: Invocation, minted: Json) -> None:
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
    terminal.result(minted, details([*shown, ("url", minted["url"])]))
    _note_not_fixed(invocation, minted["not_fixed"])
    terminal.note(
        "The URL is a secret and is shown only once. For lines to paste: postern snippet --client cursor --url URL"
    )


def _list(invocation: Invocation) -> None:
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
    text = table(("id", "name", "account", "labels", "tools", "methods", "tags", "pins", "expires", "last used"), rows)
    invocation.terminal.result(servers, text if servers else "no servers; mint one with: postern server create")


def _filters(invocation: Invocation) -> dict[str, str | list[str]]:
    options = invocation.options
    within = {"expires_within": options.expires_within} if options.expires_within else {}
    return {"label": options.label or [], **within}


def _show(invocation: Invocation, server: Json) -> None:
    shown = {**server, **server["config"], "expires_at": until(server["expires_at"], invocation.clock())}
    not_fixed = shown.pop("not_fixed", {})
    del shown["config"]
    invocation.terminal.result(server, details(list(shown.items())))
    _note_not_fixed(invocation, not_fixed)


def _get(invocation: Invocation) -> None:
    with open_api(invocation) as api:
        _show(invocation, api.get(api.server(invocation.options.account, invocation.options.id)))


def _update(invocation: Invocation) -> None:
    options = invocation.options
    body: dict[str, Json] = {}
    if options.name:
        body["name"] = options.name
    labels: dict[str, Json] = dict.fromkeys(options.unlabel or ())
    if labels := {**labels, **pairs("--label", options.label or ())}:
        body["labels"] = labels
    cleared: dict[str, Json] = dict.fromkeys(options.clear or ())
    if "confirm" in cleared:
        cleared["confirm_by"] = None  # it has no effect alone, and the API says so
    if config := {**cleared, **_config(options)}:
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


def _rotate(invocation: Invocation) -> None:
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
        _change_several(invocation, api, body, "rotated")


def _extend(invocation: Invocation) -> None:
    _one_way(invocation)
    expires_at = expiry(invocation.options, invocation.clock())
    if expires_at is None:
        raise UsageError("say until when: --expires-in or --expires-at")
    with open_api(invocation) as api:
        _change_several(invocation, api, {"action": "extend", "expires_at": expires_at}, "extended")


def _one_way(invocation: Invocation) -> list[str]:
    """The servers that were named. Raises UsageError unless they are given in exactly one way."""
    options = invocation.options
    if sum(map(bool, (options.ids, options.label, options.all))) != 1:
        raise UsageError("say which servers in exactly one way: SERVER ..., --label or --all")
    return list(dict.fromkeys(options.ids))


def _change_several(invocation: Invocation, api: ManagementApi, body: dict[str, Json], done: str) -> None:
    """Change the named or selected servers, some fifty with each request, and print what became of each."""
    options, terminal = invocation.options, invocation.terminal
    body |= {"servers": _one_way(invocation)} if options.ids else {"labels": options.label or [], "all": options.all}
    if not options.ids and not options.yes:
        found = api.all(_servers_path(invocation), {"label": options.label or []})
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
            _show_urls(invocation, [entry for entry in answer["result"] if entry["url"]])
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


def _show_outcomes(invocation: Invocation, entries: list[Json], done: str) -> None:
    for entry in entries:
        if invocation.terminal.as_json:
            invocation.terminal.line(json_text.text(entry))
        elif entry["outcome"] != "failed":
            word = done if entry["outcome"] == "done" else "unchanged"
            ends = f", expires {until(entry['expires_at'], invocation.clock())}" if done == "extended" else ""
            invocation.terminal.line(f"{entry['id']}  {printable(entry['name'])}  {word}{ends}")


def _revoke(invocation: Invocation) -> None:
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


def _preview(invocation: Invocation) -> None:
    with open_api(invocation) as api:
        found = api.post(_account_path(api, invocation, "preview"), {"config": _config(invocation.options)})
    shown = ("name", "method", "access", "destructive", "tags", "tokens")
    rows = [[tool[name] for name in shown] for tool in found["tools"]]
    total = f"{count(found['tool_count'], 'tool')}; the listing costs a model about {found['tokens']:,} tokens"
    invocation.terminal.result(found, f"{table(shown, rows)}\n{total}")
    _note_not_fixed(invocation, found["not_fixed"])
