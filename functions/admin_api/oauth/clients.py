"""Which client asks: one that names its own document by a URL (CIMD), or one that registered itself (RFC 7591)."""

from __future__ import annotations

from dataclasses import dataclass

from functions.gateway.wording import shown

MAX_NAME_CHARS = 100
"""Characters of a client's name that a person is shown."""

UNNAMED = "A client without a name"


@dataclass(frozen=True, slots=True)
class Client:
    """A client. Each is public: it has no secret, and PKCE binds a code to the one that asked for it.

    `verified`  the host that vouches for the client, "" for a client that registered itself.
    """

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    verified: str = ""


def readable_name(name: object) -> str:
    """A client's own name as a person may see it: one line of printable characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in name).split()) if isinstance(name, str) else ""
    return (text if len(text) <= MAX_NAME_CHARS else text[: MAX_NAME_CHARS - 1] + "…") or UNNAMED


def unknown(client_id: str) -> str:
    """What a person and a client read about an id that nobody has."""
    return (
        f"The client {shown(client_id)} is not known here: its registration was never made or has expired. Remove the "
        "server from the client and add it again"
    )
