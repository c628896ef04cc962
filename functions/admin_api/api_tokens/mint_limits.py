"""What an API token with the scope `mint` may make: at most these tools, always these pins, not longer than this."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.gateway import selection
from functions.gateway.errors import Forbidden, invalid
from functions.gateway.grants import ServerConfig, write_time
from functions.gateway.wording import one_of, unknown_names
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

    def check_names(self, catalogs: Collection[Catalog]) -> None:
        """Raises Invalid, with every problem, for a name that none of these catalogues has. It would limit nothing
        that exists, and whoever mints could only guess why every server is refused."""
        methods = [*selection.METHOD_GROUPS, *_all(one.methods for one in catalogs)]
        tools = _all(one.tools for one in catalogs)
        problems = [
            *unknown_names("mint.methods", self.methods, methods, also=tools),
            *unknown_names("mint.tags", self.tags, _all(one.tags for one in catalogs)),
            *unknown_names("mint.pins", self.pins, _all(one.pinnable for one in catalogs)),
        ]
        if problems and catalogs:
            raise invalid(problems)

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


def _all(names: Iterable[Collection[str]]) -> list[str]:
    """Each of the names once, in their order."""
    return list(dict.fromkeys(name for some in names for name in some))
