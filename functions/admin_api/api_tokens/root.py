"""The root API token: the one that a deployment starts with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from functions.admin_api.api_tokens.item import ApiTokenItem
from functions.admin_api.api_tokens.service import FORMAT, ROOT_ID
from functions.admin_api.aws import aws_client, error_code
from functions.gateway.errors import Unavailable
from functions.gateway.grants import API_TOKEN_PREFIX, ApiToken, digest, mint_api_token
from functions.stores import layout
from functions.stores.store import Delete, Put, Store, StoreConflict

KEPT_SECONDS = 300.0
"""How long the root token from Secrets Manager is cached; a rotated token takes effect within this time."""


def bootstrap(store: Store, now: datetime, random: Callable[[int], bytes], value: str | None = None) -> str | None:
    """Make the first API token, which manages everything. Repeating it changes nothing.

    `value`  the token to accept (`pst_` and 43 characters of base64url), in place of an earlier one. None makes one
             unless there is one already.
    Returns the token, or None when there is already one whose value nobody knows any more. Raises ValueError.
    """
    if value is not None and not FORMAT.fullmatch(value):
        raise ValueError(f"the root API token must be {API_TOKEN_PREFIX} and 43 characters of A-Z, a-z, 0-9, - and _")
    while True:
        [entry] = store.get([layout.api_token_entry(ROOT_ID)])
        earlier = ApiTokenItem.from_item(entry) if entry is not None else None
        if earlier is not None and value is None:
            return None
        if earlier is not None and value is not None and earlier.digest == digest(value):
            return value
        secret = value or mint_api_token(random)
        root = ApiTokenItem(ApiToken(ROOT_ID, "root", ("manage",), (), (), now, None), digest(secret))
        changes = root.puts(if_version=earlier.version if earlier is not None else 0)
        changes.append(Put(root.name_key, {"id": ROOT_ID}))
        if earlier is not None:
            changes.append(Delete(layout.api_token(earlier.digest)))
        try:
            store.write(changes)
        except StoreConflict:
            continue  # another process made or replaced it at the same moment
        return secret


class SecretsManagerRoot:
    """The root API token in the secret `secret_id` of Secrets Manager, read on first use and cached for KEPT_SECONDS.

    `monotonic`  seconds on a clock that never goes back.
    """

    def __init__(self, secret_id: str, monotonic: Callable[[], float], client: Any = None) -> None:
        self._secret_id = secret_id
        self._monotonic = monotonic
        self._client = client
        self._kept: tuple[float, str] | None = None

    def __call__(self) -> str | None:
        """The token. Raises Unavailable when it cannot be read and none is cached."""
        from botocore.exceptions import BotoCoreError, ClientError

        now = self._monotonic()
        if self._kept is not None and now - self._kept[0] < KEPT_SECONDS:
            return self._kept[1]
        try:
            if self._client is None:
                self._client = aws_client("secretsmanager")
            secret: str = self._client.get_secret_value(SecretId=self._secret_id)["SecretString"]
        except (BotoCoreError, ClientError) as error:
            if self._kept is not None:
                return self._kept[1]
            raise Unavailable(
                f"the root API token cannot be read: Secrets Manager returned {error_code(error)}; check "
                "POSTERN_ROOT_API_TOKEN_SECRET and the role's permission on it",
                retry_after=5,
            ) from error
        self._kept = (now, secret.strip())
        return self._kept[1]
