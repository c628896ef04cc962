"""The operator behind an API token, and what it may do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from functions.admin_api.api_tokens.mint_limits import MintLimits
from functions.gateway.errors import Forbidden
from functions.gateway.wording import shown


@dataclass(frozen=True, slots=True)
class Operator:
    """`id` is that of the API token or the name of a workload, and `scopes` what the operator may do.

    `trust_id` is the trust that admitted a workload (trusts/identities.py), "" for an API token.

    `account_ids` are the only accounts that the operator may touch. Empty means every account, and also what belongs to
    no account: new accounts and API tokens.
    """

    id: str
    scopes: tuple[str, ...]
    account_ids: tuple[str, ...] = ()
    name: str = ""
    expires_at: datetime | None = None
    mint: MintLimits | None = None
    trust_id: str = ""

    @property
    def kind(self) -> str:
        """What admitted it."""
        return "trust" if self.trust_id else "token"

    @property
    def called(self) -> str:
        """What an error calls it."""
        return f"trust {self.trust_id}" if self.trust_id else "this API token"

    @property
    def mint_limits(self) -> MintLimits | None:
        """What it may mint; None = any server."""
        return None if "manage" in self.scopes else self.mint

    @property
    def revokes(self) -> str | None:
        """Whose servers it may revoke: its own; None = those of anybody."""
        return None if "manage" in self.scopes else self.id

    def may(self, admitted: Collection[str], *, unlimited: bool, workloads: bool) -> bool:
        """True for an operation that admits these scopes, that is for tokens without limits if `unlimited`, and for
        workloads only if `workloads`."""
        return (
            bool(set(self.scopes) & set(admitted))
            and not (unlimited and self.account_ids)
            and (workloads or not self.trust_id)
        )

    def check_scope(self, admitted: Collection[str], *, workloads: bool) -> None:
        """Raises Forbidden unless the token has one of these scopes. `workloads`: an identity token will do."""
        if self.trust_id and not workloads:
            raise Forbidden(
                "an identity token mints MCP servers and revokes those that it minted; this operation needs an API "
                f"token with the scope {' or '.join(admitted)}"
            )
        if not set(self.scopes) & set(admitted):
            raise Forbidden(
                f"API token {self.id} has the scope {' and '.join(self.scopes)}; this operation needs the scope "
                f"{' or '.join(admitted)}"
            )

    def check_account(self, account_id: str) -> None:
        """Raises Forbidden for an account outside the token's limits."""
        if self.account_ids and account_id not in self.account_ids:
            raise Forbidden(
                f"{self.called} is limited to the accounts {', '.join(self.account_ids)}; it does not allow "
                f"{shown(account_id)}"
            )

    def check_unlimited(self, action: str) -> None:
        """Raises Forbidden when the token is limited to accounts."""
        if self.account_ids:
            raise Forbidden(
                f"this API token is limited to the accounts {', '.join(self.account_ids)} and may not {action}; "
                "use an API token without limits"
            )


NOBODY = Operator(id="", scopes=())
"""Who asks for an operation that needs no API token."""
