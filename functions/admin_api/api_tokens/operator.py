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
    """`id` is that of the API token, and `scopes` what the token is for.

    `account_ids` are the only accounts that the operator may touch. Empty means every account, and also what belongs to
    no account: new accounts and API tokens.
    """

    id: str
    scopes: tuple[str, ...]
    account_ids: tuple[str, ...] = ()
    name: str = ""
    expires_at: datetime | None = None
    mint: MintLimits | None = None

    @property
    def mint_limits(self) -> MintLimits | None:
        """What it may mint; None = any server."""
        return None if "manage" in self.scopes else self.mint

    def may(self, admitted: Collection[str], *, unlimited: bool) -> bool:
        """True for an operation that admits these scopes, and that is for tokens without limits if `unlimited`."""
        return bool(set(self.scopes) & set(admitted)) and not (unlimited and self.account_ids)

    def check_scope(self, admitted: Collection[str]) -> None:
        """Raises Forbidden unless the token has one of these scopes."""
        if not set(self.scopes) & set(admitted):
            raise Forbidden(
                f"API token {self.id} has the scope {' and '.join(self.scopes)}; this operation needs the scope "
                f"{' or '.join(admitted)}"
            )

    def check_account(self, account_id: str) -> None:
        """Raises Forbidden for an account outside the token's limits."""
        if self.account_ids and account_id not in self.account_ids:
            raise Forbidden(
                f"this API token is limited to the accounts {', '.join(self.account_ids)}; it does not allow "
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
