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
    """`servers`: upstream key -> {"account_id", "server_id", "token", "seen"}, for every upstream ever connected."""

    path: Path
    api_token: str = field(repr=False)
    memory_api_key: str = field(repr=False)
    servers: dict[str, dict[str, str]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> StateFile:
        """The contents of the file, or fresh secrets when there is no file. Raises LocalError."""
        try:
            kept = json_text.decode(path.read_bytes())
            return cls(path, kept["api_token"], kept["memory_api_key"], kept["servers"])
        except FileNotFoundError:
            return cls(path, mint_api_token(secrets.token_bytes), f"m0-local-{secrets.token_urlsafe(24)}", {})
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
        }
        aside = self.path.with_suffix(f".{os.getpid()}")
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(json_text.readable(content) + "\n")
        aside.replace(self.path)
