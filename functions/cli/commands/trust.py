"""`postern trust`: which identity tokens of other systems, e.g. of GitHub Actions, may mint servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from functions.cli import completers
from functions.cli.command import Remote, argument, declaration, option, repeated
from functions.cli.commands.account import pairs
from functions.cli.durations import duration
from functions.cli.invocation import Invocation, UsageError
from functions.cli.management_api import open_api, path
from functions.cli.tables import Details, Table
from functions.gateway.json_text import Json
from functions.gateway.wording import one_of

TRUST = declaration("trust")

GITHUB = {"repository": "repository", "repository_id": "repository_id", "ref": "ref", "environment": "environment"}
GITHUB |= {"workflow": "workflow_ref", "event": "event_name"}
"""Option -> the claim of GitHub whose values it gives."""


@dataclass(frozen=True, kw_only=True)
class Allowed(Remote):
    """The words for what a trust allows."""

    repository: tuple[str, ...] = repeated("a repository on GitHub whose workflows may mint", "OWNER/NAME")
    repository_id: tuple[str, ...] = repeated("its id, which no later repository of the name has", "ID")
    ref: tuple[str, ...] = repeated("only runs of this branch or tag, e.g. refs/heads/main", "REF")
    environment: tuple[str, ...] = repeated("only jobs of this environment", "NAME")
    workflow: tuple[str, ...] = repeated("only this workflow, e.g. o/r/.github/workflows/ci.yml@refs/heads/main", "REF")
    event: tuple[str, ...] = repeated("only runs of this event (default: what strangers cannot cause)", "EVENT")
    claim: tuple[str, ...] = repeated("only tokens with this claim; a claim may have several values", "NAME=VALUE")
    mint_methods: str = option("at most these methods", "M,...", default="")
    mint_tags: str = option("at most tools with these tags", "T,...", default="", completer=completers.tags)
    mint_pin: tuple[str, ...] = repeated("always this pin", "ID=VALUE")


@dataclass(frozen=True, kw_only=True)
class Create(Allowed):
    """The words of `trust create`."""

    name: str = option("any text, for people", required=True)
    accounts: str = option(
        "the accounts whose servers may be minted", "ID,...", required=True, completer=completers.accounts
    )
    mint_for: str = option("the longest life of a server, e.g. 1h", "DURATION", required=True)
    issuer: str = option("github (default), gitlab, or the https URL of another issuer", "ISSUER", default="github")
    audience: str | None = option("what the workload asks its token for (default: made for the trust)")


@dataclass(frozen=True, kw_only=True)
class Update(Allowed):
    """The words of `trust update`."""

    trust: str = argument("TRUST", completer=completers.trusts)
    accounts: str = option(
        "the accounts, in place of those before", "ID,...", default="", completer=completers.accounts
    )
    mint_for: str | None = option(
        "the longest life of a server; with another limit on what may be minted, they replace all of them", "DURATION"
    )


@dataclass(frozen=True, kw_only=True)
class Named(Remote):
    """The words of `trust get` and `trust remove`."""

    trust: str = argument("TRUST", completer=completers.trusts)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _claims(options: Allowed) -> dict[str, Json]:
    """The claims that the options list. Raises UsageError."""
    claims: dict[str, list[str]] = {}
    for name, claim in GITHUB.items():
        given: Sequence[str] = getattr(options, name)
        if given:
            claims[claim] = list(given)
    for word in options.claim:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise UsageError(f'--claim is "{word}"; write NAME=VALUE, e.g. --claim repository_owner_id=65')
        claims.setdefault(name, []).append(value)
    return dict(claims)


def _mint(options: Allowed, longest: str | None) -> dict[str, Json] | None:
    """What may be minted; None where no option says it. Raises UsageError."""
    if longest is None:
        if options.mint_methods or options.mint_tags or options.mint_pin:
            raise UsageError("--mint-for is missing; give the longest life of a server, e.g. --mint-for 1h")
        return None
    return {
        "methods": _words(options.mint_methods),
        "tags": _words(options.mint_tags),
        "pins": pairs("--mint-pin", options.mint_pin),
        "max_lifetime_seconds": int(duration(longest).total_seconds()),
    }


@TRUST.verb("create", Create, "let workloads mint servers with their identity tokens")
def _create(invocation: Invocation[Create]) -> None:
    options = invocation.options
    body: dict[str, Json] = {
        "name": options.name,
        "issuer": options.issuer,
        "claims": _claims(options),
        "account_ids": _words(options.accounts),
        "mint": _mint(options, options.mint_for),
    }
    if options.audience is not None:
        body["audience"] = options.audience
    with open_api(invocation) as api:
        made = api.post("/trust", body)
    invocation.terminal.result(made, _details(made))
    invocation.terminal.note("The workload asks for its identity token with this audience. Neither is a stored secret.")


@TRUST.verb("list", Remote, "list every trust")
def _list(invocation: Invocation[Remote]) -> None:
    with open_api(invocation) as api:
        trusts = api.all("/trust")
    rows = [
        [trust["id"], trust["name"], trust["issuer"], _shown(trust["claims"]), trust["account_ids"]] for trust in trusts
    ]
    invocation.terminal.result(trusts, Table(("id", "name", "issuer", "claims", "accounts"), rows))


@TRUST.verb("get", Named, "show one trust")
def _get(invocation: Invocation[Named]) -> None:
    with open_api(invocation) as api:
        trust = api.get(path("trust", invocation.options.trust))
    invocation.terminal.result(trust, _details(trust))


@TRUST.verb("update", Update, "replace the claims, the accounts or what may be minted")
def _update(invocation: Invocation[Update]) -> None:
    options = invocation.options
    body: dict[str, Json] = {
        "claims": _claims(options),
        "account_ids": _words(options.accounts),
        "mint": _mint(options, options.mint_for),
    }
    body = {name: value for name, value in body.items() if value}
    if not body:
        raise UsageError("nothing to change; give claims, e.g. --repository, or --accounts, or --mint-for")
    with open_api(invocation) as api:
        before = api.get(path("trust", options.trust))
        if "mint" in body and not (options.mint_methods or options.mint_tags or options.mint_pin):
            body["mint"] = {**before["mint"], "max_lifetime_seconds": body["mint"]["max_lifetime_seconds"]}
        trust = api.patch(path("trust", before["id"]), body)
    invocation.terminal.result(trust, _details(trust))
    if wider := _dropped(before, trust):
        invocation.terminal.note(f"The trust is wider than before, because it no longer has {one_of(wider)}")


def _dropped(before: Json, after: Json) -> list[str]:
    """The claims and limits of a trust that are no longer there."""
    claims = {name: values for name, values in before["claims"].items() if name not in after["claims"]}
    limits = [f"the limit on {name}" for name in ("methods", "tags", "pins") if before["mint"][name]]
    kept = [f"the limit on {name}" for name in ("methods", "tags", "pins") if after["mint"][name]]
    return [*_shown(claims), *(limit for limit in limits if limit not in kept)]


@TRUST.verb("remove", Named, "remove a trust; it admits nobody immediately")
def _remove(invocation: Invocation[Named]) -> None:
    with open_api(invocation) as api:
        gone = api.delete(path("trust", invocation.options.trust))
    invocation.terminal.result(gone, f"Trust {gone['id']} is removed; servers that were minted under it expire")


def _details(trust: Json) -> Details:
    return Details([*{**trust, "claims": _shown(trust["claims"])}.items()])


def _shown(claims: Json) -> list[str]:
    return [f"{name}={value}" for name, values in claims.items() for value in values]
