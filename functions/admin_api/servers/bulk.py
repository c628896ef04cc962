"""Many servers at once: mint them, or revoke, extend, rotate and label those that are named or selected.

One request takes a bounded number of steps and returns how far it came; the client goes on from there. Each server is
one change of its own, so a request that breaks off has finished some servers and not touched the others. A repeated
request leaves alone what is already done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from functions.admin_api import names
from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.expiry import check_future
from functions.admin_api.labels import read_selector
from functions.admin_api.servers import contract
from functions.admin_api.servers.finding import Finding, Wanted
from functions.admin_api.servers.item import ServerItem, written
from functions.admin_api.servers.service import Servers
from functions.gateway.errors import Invalid, NotFound, PosternError, Refused, Unavailable
from functions.gateway.grants import read_time, write_time
from functions.stores.store import StoreError

STEPS = 50
"""Servers that one request changes: on AWS each takes some 0.1 s (the table, the key, a schedule), and an answer is due
within 30 s."""

Outcome = Literal["done", "unchanged", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One server to change. `problem` says why it was not found."""

    named: str
    account_id: str = ""
    server_id: str = ""
    problem: Refused | None = None


class Bulk:
    """`clock` gives the present in UTC."""

    def __init__(self, servers: Servers, finding: Finding, clock: Callable[[], datetime]) -> None:
        self._servers = servers
        self._finding = finding
        self._clock = clock

    def create(
        self, account_id: str, body: contract.ServersCreate, operator: Operator, mcp_url: str
    ) -> contract.CreatedServers:
        """Mint the servers that are missing. Raises NotFound, Invalid, Forbidden."""
        if not names.is_name(f"{body.name}-1"):
            raise Invalid(f"name: {names.NAME_RULE}")
        minting = self._servers.minting(account_id, body, operator)
        numbers = range(body.from_number, body.count + 1)
        taken = self._finding.named(account_id, [f"{body.name}-{number}" for number in numbers])
        result: list[contract.CreatedServer] = []
        minted = 0
        not_fixed: dict[str, list[str]] = {}
        next_number = None
        for number in numbers:
            if minted == STEPS:
                next_number = number
                break
            name = f"{body.name}-{number}"
            if name in taken:
                result.append(_kept(taken[name]))
                continue
            try:
                made = self._servers.mint(minting, name, mcp_url)
            except (PosternError, StoreError):
                if minted == 0:
                    raise
                next_number = number  # the URLs that were minted are shown now or never
                break
            minted += 1
            not_fixed = made.not_fixed
            result.append(
                contract.CreatedServer(
                    name=name,
                    outcome="minted",
                    id=made.id,
                    expires_at=made.expires_at,
                    token=made.token,
                    url=made.url,
                )
            )
        return contract.CreatedServers(
            integrated_account_id=account_id,
            result=result,
            minted=minted,
            kept=len(result) - minted,
            next_number=next_number,
            labels=body.labels,
            not_fixed=not_fixed,
        )

    def change(self, account_ids: Sequence[str], body: contract.ServersChange, mcp_url: str) -> contract.ChangedServers:
        """Change the servers that the body names or selects. Raises Invalid; what fails for one server is in the
        answer."""
        now = self._clock()
        self._check(body, now)
        tokens_before = body.tokens_before or now
        steps, next_cursor = self._steps(account_ids, body)
        result = [self._changed(step, body, tokens_before, mcp_url) for step in steps]
        return contract.ChangedServers(
            action=body.action,
            result=result,
            done=_count(result, "done"),
            unchanged=_count(result, "unchanged"),
            failed=_count(result, "failed"),
            tokens_before=write_time(tokens_before) if body.action == "rotate" else None,
            next_cursor=next_cursor,
        )

    def _check(self, body: contract.ServersChange, now: datetime) -> None:
        ways = [name for name in ("servers", "labels", "all") if getattr(body, name)]
        if len(ways) != 1:
            raise Invalid(
                f"say which servers in exactly one way: servers, labels or all; given: {', '.join(ways) or 'none'}"
            )
        if (body.action == "extend") != (body.expires_at is not None):
            raise Invalid('expires_at: the action "extend" needs it, and no other action has it')
        if (body.action == "label") != bool(body.set_labels):
            raise Invalid('set_labels: the action "label" needs it, and no other action has it')
        if body.action != "rotate" and (body.grace_seconds or body.tokens_before is not None):
            raise Invalid('grace_seconds and tokens_before belong to the action "rotate"')
        check_future(body.expires_at, now)

    def _steps(self, account_ids: Sequence[str], body: contract.ServersChange) -> tuple[list[Step], str | None]:
        """The servers of this request, and the cursor of the next one."""
        if not body.servers:
            wanted = Wanted(read_selector(body.labels, "labels"))
            found = self._finding.page(account_ids, wanted, body.cursor, STEPS)
            return [Step(server.id, server.account_id, server.id) for server in found.servers], found.next_cursor
        start = int(body.cursor) if body.cursor is not None and body.cursor.isdigit() and len(body.cursor) < 5 else 0
        if body.cursor is not None and not 0 < start < len(body.servers):
            raise Invalid("cursor: no answer to this request returned it; leave it out to start again")
        listed = list(dict.fromkeys(body.servers))
        steps = list(self._named(account_ids, listed[start : start + STEPS]))
        return steps, str(start + STEPS) if start + STEPS < len(listed) else None

    def _named(self, account_ids: Sequence[str], listed: Sequence[str]) -> Iterator[Step]:
        for named in listed:
            try:
                yield Step(named, *self._finding.anywhere(named, account_ids))
            except Refused as problem:
                yield Step(named, problem=problem)

    def _changed(
        self, step: Step, body: contract.ServersChange, tokens_before: datetime, mcp_url: str
    ) -> contract.ChangedServer:
        """Change one server, whatever happens to it."""
        try:
            if step.problem is not None:
                raise step.problem
            return self._act(step, body, tokens_before, mcp_url)
        except (PosternError, StoreError) as error:  # what was done before must be in the answer
            gone = body.action == "revoke" and isinstance(error, NotFound)
            if isinstance(error, StoreError):
                error = Unavailable("the store failed; repeat the request", retry_after=1)
            return contract.ChangedServer(
                id=step.server_id,
                name=step.named,
                integrated_account_id=step.account_id,
                outcome="unchanged" if gone else "failed",
                status=int(error.status),
                message=error.message,
                expires_at=None,
                labels={},
            )

    def _act(
        self, step: Step, body: contract.ServersChange, tokens_before: datetime, mcp_url: str
    ) -> contract.ChangedServer:
        where = (step.account_id, step.server_id)
        if body.action == "revoke":
            gone = self._servers.delete(*where)
            return contract.ChangedServer(
                **gone.model_dump(exclude={"removed"}), outcome="done", status=200, message=None, expires_at=None
            )
        before = self._servers.view(*where)
        match body.action:
            case "extend":
                assert body.expires_at is not None
                later = before.expires_at is not None and read_time(before.expires_at) < body.expires_at
                later_end = {"expires_at": write_time(body.expires_at)}
                change = contract.ServerUpdate.model_validate(later_end) if later else None
            case "label":
                kept = {key: before.labels.get(key) for key in body.set_labels}
                change = contract.ServerUpdate(labels=body.set_labels) if kept != body.set_labels else None
            case "rotate":
                if read_time(before.token_made_at) >= tokens_before:
                    return _entry(before, "unchanged")
                return _entry(self._servers.rotate(*where, body.grace_seconds, mcp_url), "done")
        if change is None:
            return _entry(before, "unchanged")
        return _entry(self._servers.update(*where, change), "done")


def _entry(server: contract.McpServer, outcome: Outcome) -> contract.ChangedServer:
    secrets = server.model_dump(include={"token", "url", "previous_token_expires_at"})
    return contract.ChangedServer(
        id=server.id,
        name=server.name,
        integrated_account_id=server.integrated_account_id,
        outcome=outcome,
        status=200,
        message=None,
        expires_at=server.expires_at,
        labels=server.labels,
        **secrets,
    )


def _kept(server: ServerItem) -> contract.CreatedServer:
    return contract.CreatedServer(
        name=server.name, outcome="kept", id=server.id, expires_at=written(server.expires_at), token=None, url=None
    )


def _count(result: Sequence[contract.ChangedServer], outcome: Outcome) -> int:
    return sum(server.outcome == outcome for server in result)
