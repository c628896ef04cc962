"""The key of every kind of item. README.md lists the attributes and the members of each body.

Only the control plane writes accounts, servers, tokens and API tokens. What reports calls (last use, log entries,
account states) is written by the log subscriber of a deployment, and by the data plane of a laptop.
"""

from __future__ import annotations

import zlib

from functions.stores.store import Key

ACCOUNTS = "ACCOUNTS"
API_TOKENS = "API_TOKENS"
TRUSTS = "TRUSTS"

SERVERS = "SERVERS#"
"""How the partitions of servers begin; the account is behind it."""

SERVER_NAMES = "SERVER_NAMES#"
"""How the partitions of the names of servers begin; the name is behind it."""

NOTICE_PARTITIONS = tuple(f"NOTICES#{shard}" for shard in range(4))
"""Partitions of what the webhook of the deployment is to hear. Each takes 1,000 writes a second, and a mint makes two
of them: a transaction counts twice."""

ACCOUNT_COPIES = 4
"""Copies of what all calls of an account read. A partition takes 3,000 strongly consistent reads a second, and DynamoDB
cannot split an item; four partitions take 12,000 calls a second, as much as a new table."""

LOG = "LOG#"
"""How the partitions of log entries begin; the UTC day is behind the last `#`."""

LOG_DAYS = "LOG_DAYS#"
"""How the partitions begin that list the partitions of log entries of one UTC day."""

LOG_SHARDS = 4
"""Partitions of log entries of one account and day. One takes 1,000 writes a second; four take what the 1,000
concurrent executions of an AWS account can make."""

WRITTEN_BY_CALLS = ("USE#", "STATE#", LOG, LOG_DAYS)
"""How the partitions begin of what reports calls."""


def account(account_id: str) -> Key:
    """An integrated account; listed in partition ACCOUNTS."""
    return Key(ACCOUNTS, account_id)


def servers(account_id: str) -> str:
    """Partition of an account's MCP servers."""
    return f"{SERVERS}{account_id}"


def server(account_id: str, server_id: str) -> Key:
    """The item that the control plane keeps of an MCP server."""
    return Key(servers(account_id), server_id)


def account_name(name: str) -> Key:
    """Which account has this name."""
    return Key("ACCOUNT_NAMES", name)


def server_names(name: str) -> str:
    """Partition of a name of servers: one item for each account with a server of this name."""
    return f"{SERVER_NAMES}{name}"


def server_name(account_id: str, name: str) -> Key:
    """Which server of the account has this name."""
    return Key(server_names(name), account_id)


def server_account(server_id: str) -> Key:
    """Which account a server belongs to, so that its id is enough to find it."""
    return Key(f"SERVER_ACCOUNT#{server_id}")


def api_token_name(name: str) -> Key:
    """Which API token has this name."""
    return Key("API_TOKEN_NAMES", name)


def token(digest: str) -> Key:
    """The grant: what one token opens. The data plane finds it by the digest of the token."""
    return Key(f"TOKEN#{digest}")


def granted_accounts(handle: str) -> list[Key]:
    """What all grants of an account have in common, once in each of its copies, which change together."""
    return [Key(f"ACCOUNT#{handle}#{copy}") for copy in range(ACCOUNT_COPIES)]


def granted_account(handle: str, digest: str) -> Key:
    """The copy that the calls of one token read: its first characters are the handle, its digest chooses the copy."""
    return granted_accounts(handle)[int(digest[:8], 16) % ACCOUNT_COPIES]


def api_token(digest: str) -> Key:
    """An API token, found by its digest."""
    return Key(f"API_TOKEN#{digest}")


def api_token_entry(token_id: str) -> Key:
    """The list entry of an API token (its digest and no secret); listed in partition API_TOKENS."""
    return Key(API_TOKENS, token_id)


def trust(trust_id: str) -> Key:
    """The list entry of a trust; listed in partition TRUSTS."""
    return Key(TRUSTS, trust_id)


def trusted_audience(digest: str) -> Key:
    """A trust, found by the digest of the audience of an identity token."""
    return Key(f"TRUST#{digest}")


def trust_name(name: str) -> Key:
    """Which trust has this name."""
    return Key("TRUST_NAMES", name)


def sign_in(digest: str) -> Key:
    """A sign-in link of the console, found by the digest of its code."""
    return Key(f"SIGN_IN#{digest}")


def consent(principal: str, consent_id: str) -> Key:
    """What a person allowed an OAuth client; those of one principal are listed together."""
    return Key(f"CONSENT#{principal}", consent_id)


def consents(server_id: str) -> str:
    """Partition of the entries that name the consents for a server."""
    return f"CONSENTS#{server_id}"


def consent_entry(server_id: str, consent_id: str) -> Key:
    """Whose consent for the server has this id."""
    return Key(consents(server_id), consent_id)


def oauth_client(client_id: str) -> Key:
    """An OAuth client that registered itself."""
    return Key(f"OAUTH_CLIENT#{client_id}")


def oauth_code(digest: str) -> Key:
    """An authorization code, found by its digest."""
    return Key(f"OAUTH_CODE#{digest}")


def oauth_request(digest: str) -> Key:
    """The request of a person who is at the identity provider, found by the digest of its state."""
    return Key(f"OAUTH_REQUEST#{digest}")


def oauth_mark(endpoint: str) -> Key:
    """How far the requests of an open endpoint are ahead of the clock."""
    return Key(f"OAUTH_MARK#{endpoint}")


def use(server_id: str) -> Key:
    """When a server was last used; at most one write a minute."""
    return Key(f"USE#{server_id}")


def call_mark(server_id: str) -> Key:
    """How far the calls of a server with a limit of its own are ahead of the clock; rewritten by each call."""
    return Key(f"CALLS#{server_id}")


def confirmation(server_id: str, digest: str) -> Key:
    """What is known of a confirmation code: that a person is asked, that one approved it, or that it was used."""
    return Key(f"CONFIRM#{server_id}#{digest}")


def account_state(account_id: str) -> Key:
    """What a call showed about an account, e.g. `needs_reauth` after a 401 from the upstream."""
    return Key(f"STATE#{account_id}")


def notices(subject: str) -> str:
    """The partition of the notices of a server or an account."""
    return NOTICE_PARTITIONS[zlib.crc32(subject.encode("utf-8", "replace")) % len(NOTICE_PARTITIONS)]


def noticed(account_id: str) -> Key:
    """Of which credential of the account the webhook has heard that it was refused."""
    return Key(f"NOTICED#{account_id}")


def log_shard(request_id: str) -> int:
    """Which of the partitions of its account and day holds the entry of a request."""
    return zlib.crc32(request_id.encode("utf-8", "replace")) % LOG_SHARDS


def log(account_id: str, shard: int, day: str) -> str:
    """A partition of the log entries of an account on one UTC day, e.g. 2026-12-31."""
    return f"{LOG}{account_id}#{shard}#{day}"


def log_day(account_id: str, shard: int, day: str) -> Key:
    """That there are log entries in a partition; listed in partition LOG_DAYS of the day."""
    return Key(f"{LOG_DAYS}{day}", f"{account_id}#{shard}")


LOG_FRESHNESS = Key("LOG_FRESHNESS")
"""The newest log entry that the log subscriber has stored, and when."""


def decisions(day: str) -> str:
    """Partition of the decisions of one UTC day (2026-12-31), of all accounts."""
    return f"DECISIONS#{day}"


def idempotency(account_id: str, digest: str) -> Key:
    """The stored answer of a write with an idempotency key."""
    return Key(f"IDEMPOTENCY#{account_id}#{digest}")
