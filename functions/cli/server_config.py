"""The config of a server in the words of the command line: its options, and the `config` object that they state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from functions.cli import completers
from functions.cli.command import Shared, option, repeated, switch
from functions.cli.commands.account import pairs
from functions.cli.invocation import UsageError
from functions.gateway import json_text
from functions.gateway.grants import ConfirmBy, OutputSchemas, Profile, Views
from functions.gateway.json_text import Json

Clearable = Literal["pins", "write_ids", "fixed", "defaults", "rate_limit", "confirm"]
"""Members of a config that can be emptied."""


@dataclass(frozen=True, kw_only=True)
class ConfigOptions(Shared):
    """The options of a command that takes a config."""

    methods: str | None = option("read, write, custom, or exact method names", "M,...", completer=completers.methods)
    tags: str | None = option("show only tools with one of these tags", "T,...", completer=completers.tags)
    profile: Profile | None = option(
        "core: the few tools marked as such; discovery: three tools that find and call the others (default: full)",
        show_choices=True,
    )
    output_schemas: OutputSchemas | None = option(
        "how much of each output schema is listed (default: full)", show_choices=True
    )
    views: Views | None = option(
        "which clients are told of the pages that show results (default: those that declare them)", show_choices=True
    )
    require_api_token: bool | None = switch(
        "require an API token with the scope connect on every call", "--no-require-api-token"
    )
    oauth: bool | None = switch("let people sign in with that API token in a browser (default: yes)", "--no-oauth")
    pin: tuple[str, ...] = repeated("force this id on every call, e.g. user_id=usr_98765", "NAME=ID")
    write_id: tuple[str, ...] = repeated(
        "let writes of a pinned server name this other id too, e.g. run_id=run_1; * means every id", "NAME=ID"
    )
    fixed: tuple[str, ...] = repeated("force an argument; TOOL may be *, VALUE may be JSON", "TOOL.ARGUMENT=VALUE")
    strict: bool | None = switch('hide the tools that an argument fixed with "*" cannot reach', "--no-strict")
    default: tuple[str, ...] = repeated("set an argument that the caller leaves out", "TOOL.ARGUMENT=VALUE")
    rate_limit: str | None = option(
        "calls per minute, and calls at once (default: those of ten seconds)", "CALLS[/BURST]"
    )
    confirm: str | None = option(
        "refuse calls until they are confirmed: destructive, or names of tools",
        "TOOL,...",
        completer=completers.tool_list,
    )
    confirm_by: ConfirmBy | None = option(
        "code: the repeat with the code of the refusal; person: an approval in the console too (default: code)",
        show_choices=True,
    )


def config_of(options: ConfigOptions) -> dict[str, Json]:
    """The members of `config` that the options state. An empty list removes a selection. Raises UsageError."""
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
    if options.rate_limit:
        config["rate_limit"] = _rate(options.rate_limit)
    if options.confirm is not None:
        config["confirm"] = [word.strip() for word in options.confirm.split(",") if word.strip()]
    if options.confirm_by is not None:
        config["confirm_by"] = options.confirm_by
    return config


def _rate(text: str) -> dict[str, int]:
    """`60` or `60/10` as calls per minute and burst."""
    calls, slash, burst = text.partition("/")
    if not all(part.isascii() and part.isdigit() for part in ([calls, burst] if slash else [calls])):
        raise UsageError(f"--rate-limit {text}: write CALLS or CALLS/BURST, e.g. 60/10")
    return {"calls_per_minute": int(calls)} | ({"burst": int(burst)} if slash else {})


def _lists(option: str, words: Sequence[str]) -> dict[str, list[str]]:
    """`name=value` words as {name: [value, ...]}."""
    listed: dict[str, list[str]] = {}
    for word in words:
        for name, value in pairs(option, [word]).items():
            listed.setdefault(name, []).append(value)
    return listed


def _by_tool(option: str, words: Sequence[str]) -> dict[str, dict[str, Json]]:
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
