"""What a shell offers for a value that only the endpoint knows: names of servers, accounts, tags and tools.

A shell that waits is worse than one that offers nothing, so every lookup is short, and whatever fails offers nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functions.cli.management_api import ManagementApi

SECONDS = 3.0
"""How long one lookup may take. A local endpoint needs some 50 ms, a deployed one a second when it starts cold."""

Offered = list[tuple[str, str]]
"""Values, each with what a shell may show beside it."""


@dataclass(frozen=True)
class _Where:
    endpoint: str | None
    api_token: str | None = field(repr=False)


def _typed(context: Any, name: str) -> str | None:
    """The value of another option that was typed before."""
    found = context.get(name)
    return found.raw if found is not None else None


@contextmanager
def _api(context: Any) -> Iterator[ManagementApi]:
    from functions.cli.invocation import Invocation
    from functions.cli.management_api import open_api
    from functions.cli.terminal import Terminal

    options = _Where(_typed(context, "--endpoint"), _typed(context, "--api-token"))
    terminal = Terminal(sys.stdin, sys.stderr, sys.stderr, as_json=True)
    with open_api(Invocation(options, os.environ, terminal, lambda: datetime.now(UTC)), timeout=SECONDS) as api:
        yield api


def _of_endpoint(find: Callable[[ManagementApi, Any], Offered]) -> Callable[[Any], Offered]:
    """A completer that asks the endpoint."""

    def complete(context: Any) -> Offered:
        with _api(context) as api:
            return find(api, context)

    return complete


def _several(find: Callable[[ManagementApi, Any], Offered]) -> Callable[[Any], Offered]:
    """A completer of values with commas between them: the last one is completed."""

    def complete(context: Any) -> Offered:
        before, comma, _ = context.incomplete.rpartition(",")
        taken = before.split(",")
        with _api(context) as api:
            return [(before + comma + value, text) for value, text in find(api, context) if value not in taken]

    return complete


def _accounts(api: ManagementApi, _: Any) -> Offered:
    """Every id, and every name that needs no quotes."""
    found = [(account["id"], account["name"] or "") for account in api.all("/integrated-account")]
    return [*found, *((name, id_) for id_, name in found if name and " " not in name)]


def _servers(api: ManagementApi, context: Any) -> Offered:
    from functions.cli.management_api import ANY_ACCOUNT, path

    found = api.all(path("integrated-account", _typed(context, "--account") or ANY_ACCOUNT, "mcp"))
    return [(server["name"], server["id"]) for server in found]


def _labels(api: ManagementApi, _: Any) -> Offered:
    from functions.cli.management_api import ANY_ACCOUNT, path

    found = api.all(path("integrated-account", ANY_ACCOUNT, "mcp"))
    labels = {f"{key}={value}" for server in found for key, value in server["labels"].items()}
    return [(label, "") for label in sorted(labels)]


def _tools_of(api: ManagementApi, context: Any) -> list[dict[str, Any]]:
    from functions.cli.tool_clients import account_tools

    return account_tools(api, api.account_id(_typed(context, "--account")))


def _tools(api: ManagementApi, context: Any) -> Offered:
    return [(tool["name"], tool.get("title") or "") for tool in _tools_of(api, context)]


def _tags(api: ManagementApi, context: Any) -> Offered:
    return [(tag, "") for tag in sorted({tag for tool in _tools_of(api, context) for tag in tool["tags"]})]


def _methods(api: ManagementApi, context: Any) -> Offered:
    exact = {tool["method"] for tool in _tools_of(api, context)}
    return [(method, "") for method in ("read", "write", "custom", *sorted(exact))]


def _integrations(api: ManagementApi, _: Any) -> Offered:
    return [(one["name"], one["label"]) for one in api.get("/integration")["result"]]


def _api_tokens(api: ManagementApi, _: Any) -> Offered:
    return [(token["id"], token["name"]) for token in api.all("/api-token")]


def _trusts(api: ManagementApi, _: Any) -> Offered:
    return [(trust["name"], trust["id"]) for trust in api.all("/trust")]


accounts = _of_endpoint(_accounts)
servers = _of_endpoint(_servers)
labels = _of_endpoint(_labels)
tools = _of_endpoint(_tools)
integrations = _of_endpoint(_integrations)
api_tokens = _of_endpoint(_api_tokens)
trusts = _of_endpoint(_trusts)
tags = _several(_tags)
methods = _several(_methods)
tool_list = _several(_tools)


def endpoints(_: Any) -> Offered:
    """The names of endpoints."""
    from functions.cli.endpoints import read

    return [(name, one.endpoint) for name, one in read(os.environ).items()]
