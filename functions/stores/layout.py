"""Keys of every kind of item; the attributes are in README.md.

Only the control plane writes accounts, servers, tokens and API tokens. The data plane writes what tells of calls (use,
log, account state), so its role may write nothing else.
"""

from __future__ import annotations

from functions.stores.store import Key

ACCOUNTS = "ACCOUNTS"
API_TOKENS = "API_TOKENS"


def account(account_id: str) -> Key:
    """An integrated account; listed in partition ACCOUNTS."""
    return Key(ACCOUNTS, account_id)


def servers(account_id: str) -> str:
    """Partition of an account's MCP servers."""
    return f"SERVERS#{account_id}"


def server(account_id: str, server_id: str) -> Key:
    """The control plane's record of an MCP server."""
    return Key(servers(account_id), server_id)


def token(digest: str) -> Key:
    """What the data plane reads: the server behind a token, found by the token's digest."""
    return Key(f"TOKEN#{digest}")


def api_token(digest: str) -> Key:
    """An API token, found by its digest."""
    return Key(f"API_TOKEN#{digest}")


def api_token_entry(token_id: str) -> Key:
    """The list entry of an API token (its digest and no secret); listed in partition API_TOKENS."""
    return Key(API_TOKENS, token_id)


def use(server_id: str) -> Key:
    """When a server was last used; at most one write a minute."""
    return Key(f"USE#{server_id}")


def account_state(account_id: str) -> Key:
    """What a call showed about an account (`needs_reauth` after an upstream 401)."""
    return Key(f"STATE#{account_id}")


def log(account_id: str, day: str) -> str:
    """Partition of an account's calls of one UTC day (2026-12-31)."""
    return f"LOG#{account_id}#{day}"


def idempotency(account_id: str, digest: str) -> Key:
    """The kept answer of a write with an idempotency key."""
    return Key(f"IDEMPOTENCY#{account_id}#{digest}")
