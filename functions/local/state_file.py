"""`local.json` in the state folder: the secrets of this laptop's endpoint and the server of each upstream.

The command line reads the file to find the endpoint, and a restart to print the same URL. Only its owner may read it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from functions.gateway import json_text
from functions.gateway.grants import mint_api_token
from functions.gateway.json_text import Json
from functions.local.errors import LocalError

NAME = "local.json"


@dataclass(slots=True)
class StateFile:
    """What a restart needs.

    `servers`   upstream key -> {"account_id", "server_id", "token", "seen"}, for every upstream ever connected.
    `personal`  account id -> {"server_id", "token"} of the server that `postern run` pins to `user_id`.
    """

    path: Path
    api_token: str = field(repr=False)
    memory_api_key: str = field(repr=False)
    servers: dict[str, dict[str, str]] = field(repr=False)
    user_id: str
    personal: dict[str, dict[str, str]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> StateFile:
        """The contents of the file, or fresh secrets when there is no file. Raises LocalError."""
        try:
            kept = json_text.decode(path.read_bytes())
            secret, memory_api_key, servers = kept["api_token"], kept["memory_api_key"], kept["servers"]
            user_id, personal = kept.get("user_id") or _user_id(), kept.get("personal", {})
            return cls(path, secret, memory_api_key, servers, user_id, personal)
        except FileNotFoundError:
            api_token, memory_api_key = mint_api_token(secrets.token_bytes), f"m0-local-{secrets.token_urlsafe(24)}"
            return cls(path, api_token, memory_api_key, {}, _user_id(), {})
        except json_text.NotJson as error:
            reason = f"is not valid JSON ({error})"
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        except (KeyError, TypeError):
            reason = "is not a state file of Postern"
        raise LocalError(f"{path} {reason}; move the file away to start with new secrets")

    def write(self, shown: dict[str, Json]) -> None:
        """Replace the file in one step, together with what `postern serve` has `shown`."""
        content = {
            **shown,
            "api_token": self.api_token,
            "memory_api_key": self.memory_api_key,
            "servers": self.servers,
            "user_id": self.user_id,
            "personal": self.personal,
        }
        aside = self.path.with_suffix(f".{os.getpid()}")
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(json_text.readable(content) + "\n")
        aside.replace(self.path)


def _user_id() -> str:
    """The id of this laptop's user in the memory: an id of their own, which says nothing about them."""
    return f"me_{secrets.token_hex(4)}"
