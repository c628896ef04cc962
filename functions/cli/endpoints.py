"""Names for the endpoints that one person uses, each with its address and its API token.

They are in `endpoints.json` of the user's folder for settings, mode 0600. A named API token is sent only to the
endpoint that stands next to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from functions.cli.client_files import replace
from functions.cli.invocation import Failed, UsageError
from functions.gateway import json_text
from functions.gateway.wording import did_you_mean

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a name looks like. An address has a dot or a colon, so it is never taken for a name."""

FILE = Path("postern", "endpoints.json")


@dataclass(frozen=True)
class Named:
    """One endpoint."""

    endpoint: str
    api_token: str = field(repr=False)


def file(environment: Mapping[str, str]) -> Path:
    """Where the names are. Raises Failed for a user without a home."""
    settings = environment.get("XDG_CONFIG_HOME", "")
    home = environment.get("HOME", "")
    if not Path(settings).is_absolute() and not home:
        raise Failed("there is no home folder for names of endpoints; set HOME or XDG_CONFIG_HOME")
    return (Path(settings) if Path(settings).is_absolute() else Path(home, ".config")) / FILE


def read(environment: Mapping[str, str]) -> dict[str, Named]:
    """Every named endpoint by its name. Raises Failed for a file that cannot be read."""
    path = file(environment)
    try:
        found = json_text.decode(path.read_bytes())
        return {name: Named(one["endpoint"], one["api_token"]) for name, one in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failed(f"{path} cannot be read ({type(error).__name__}); mend it, or remove it") from None


def one(environment: Mapping[str, str], name: str) -> Named:
    """The endpoint of this name. Raises UsageError."""
    known = read(environment)
    if name not in known:
        hint = did_you_mean(name, sorted(known)) if known else "; name one with `postern endpoint add`"
        raise UsageError(f'there is no endpoint "{name}"{hint}')
    return known[name]


def write(environment: Mapping[str, str], named: Mapping[str, Named]) -> None:
    """Replace the file. Only its owner can read it."""
    path = file(environment)
    document = {name: {"endpoint": one.endpoint, "api_token": one.api_token} for name, one in sorted(named.items())}
    replace(path, json_text.readable(document) + "\n")
    path.chmod(0o600)
