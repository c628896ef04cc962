"""What an API token with the scope `mint` may make: at most these tools, always these pins, not longer than this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.gateway import selection
from functions.gateway.errors import Forbidden
from functions.gateway.grants import ServerConfig, write_time
from functions.gateway.wording import one_of
from tool_catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class MintLimits:
    """The limits of one API token. Empty `methods` and `tags` allow every tool; `pins` must be in every server."""

    methods: tuple[str, ...]
    tags: tuple[str, ...]
    pins: Mapping[str, str]
    max_lifetime: timedelta

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> MintLimits:
        """The limits in the stored form of an API token."""
        return cls(
            methods=tuple(body["methods"]),
            tags=tuple(body["tags"]),
            pins=body["pins"],
            max_lifetime=timedelta(seconds=body["max_lifetime_seconds"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Inverse of `from_json`."""
        return {
            "methods": list(self.methods),
            "tags": list(self.tags),
            "pins": dict(self.pins),
            "max_lifetime_seconds": int(self.max_lifetime.total_seconds()),
        }

    def check(
        self,
        catalog: Catalog,
        config: ServerConfig,
        expires_at: datetime | None,
        now: datetime,
        *,
        who: str,
        kind: str,
    ) -> None:
        """Raises Forbidden, with every reason, for a server that is more than `who` may make, which is a token or a
        trust (`kind`)."""
        most = ServerConfig(methods=self.methods, tags=self.tags, pins=config.pins)
        allowed = {tool.name for tool in selection.visible(catalog, most)}
        beyond = [tool.name for tool in selection.visible(catalog, config) if tool.name not in allowed]
        problems = []
        if beyond:
            problems.append(f"config shows tools that it may not give: {one_of(beyond)}")
        wrong = {name: value for name, value in self.pins.items() if config.pins.get(name) != value}
        if wrong:
            needed = ", ".join(f"{name}={value}" for name, value in wrong.items())
            problems.append(f"config.pins must hold {needed}")
        if self.pins and config.write_ids:
            problems.append(f"config.write_ids must be empty, because the {kind} has pins")
        last = now + self.max_lifetime
        if expires_at is None or expires_at > last:
            problems.append(f"expires_at must be a time until {write_time(last)}")
        if problems:
            raise Forbidden(f"{who} may not mint this server: {'; '.join(problems)}")
