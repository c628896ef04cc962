"""The words of the management API as the words of the command line: an error names options and commands, not paths.

The endpoint writes its messages for HTTP. What it names has one counterpart here, so one table turns a message around.
With `--json` an error stays the object of the endpoint.
"""

from __future__ import annotations

import re

COMMANDS = (
    (r"GET /integrated-account/-/mcp", "`postern server list`"),
    (r"GET /integrated-account/ACCOUNT_ID/mcp", "`postern server list --account ACCOUNT`"),
    (r"DELETE /integrated-account/([A-Za-z0-9_-]+)", r"`postern account remove \1`"),
    (r"GET /integrated-account", "`postern account list`"),
    (r"GET /api-token", "`postern api-token list`"),
    (r"POST /api-token", "`postern api-token create`"),
    (r"GET /trust", "`postern trust list`"),
    (r"GET /openapi\.json", "the page docs/management-api.md"),
    (r"PATCH it,", "change it with `postern account update`,"),
    (r"under credentials\b", "with --credential"),
)
"""What a message may name of HTTP -> the command that does it. The first pattern that fits wins."""

OPTIONS = {
    "query: integrated_account_id": "--account",
    "query: mcp_server_id": "--server",
    "query: api_token_id": "--token-id",
    "query: principal": "--who",
    "query: tool_name": "--tool",
    "query: client_name": "--client",
    "query: expires_within": "--expires-within",
    "query: label": "--label",
    "query: created_at[gt]": "--since",
    "query: created_at[lt]": "--until",
    "created_at[gt]": "--since",
    "created_at[lt]": "--until",
    "query: ": "--",
    "config.require_api_token_auth": "--require-api-token",
    "config.oauth": "--oauth",
    "config.methods": "--methods",
    "config.tags": "--tags",
    "config.pins": "--pin",
    "config.write_ids": "--write-id",
    "config.fixed": "--fixed",
    "config.defaults": "--default",
    "config.rate_limit": "--rate-limit",
    "config.confirm_by": "--confirm-by",
    "config.confirm": "--confirm",
    "credentials.": "--credential ",
    "claims.": "--claim ",
    "mint.max_lifetime_seconds": "--mint-for",
    "mint.pins": "--mint-pin",
    "context.": "--context ",
    "base_url": "--base-url",
    "account_ids": "--accounts",
    "server_ids": "--servers",
    "grace_seconds": "--grace",
    "expires_at is": "--expires-in or --expires-at is",
    "expires_at must": "--expires-in or --expires-at must",
}
"""A member or a parameter of the API -> the option that sets it. A longer name stands before its beginning."""

_MEMBER = re.compile("|".join(rf"(?<![\w.-]){re.escape(name)}" for name in OPTIONS))


def in_cli_words(message: str) -> str:
    """The message with the commands and the options of the command line in place of paths and members."""
    for pattern, command in COMMANDS:
        message = re.sub(pattern, command, message)
    return _MEMBER.sub(lambda found: OPTIONS[found[0]], message)
