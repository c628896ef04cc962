"""Integrations: what can be connected, as the compiled catalogues describe it."""

from __future__ import annotations

from collections.abc import Mapping

from functions.admin_api.integrations import contract
from functions.gateway import discovery
from functions.gateway.errors import NotFound
from functions.gateway.grants import Profile
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown
from tool_catalog.catalog import Catalog


class Integrations:
    """`catalogs` maps the name of each integration to its catalogue."""

    def __init__(self, catalogs: Mapping[str, Catalog]) -> None:
        self._catalogs = catalogs

    def all(self) -> contract.Integrations:
        """Every integration, in order of name."""
        return contract.Integrations(result=[_view(self._catalogs[name]) for name in sorted(self._catalogs)])

    def view(self, name: str) -> contract.Integration:
        """One integration. Raises NotFound."""
        if name not in self._catalogs:
            raise NotFound(f"there is no integration {shown(name)}{did_you_mean(name, sorted(self._catalogs))}")
        return _view(self._catalogs[name])


def _view(catalog: Catalog) -> contract.Integration:
    tools = tuple(catalog.tools.values())
    core = [tool for tool in tools if tool.core]
    tokens: dict[Profile, int] = {"core": sum(tool.tokens for tool in core)} if core else {}
    tokens |= {"full": sum(tool.tokens for tool in tools), "discovery": discovery.tokens(tools)}
    return contract.Integration(
        name=catalog.integration,
        label=catalog.label,
        base_url=catalog.base_url,
        credentials=_fields(catalog.credentials),
        context=_fields(catalog.context),
        verifies_credentials=catalog.probe is not None,
        methods=list(catalog.methods),
        tags=list(catalog.tags),
        pinnable=list(catalog.pinnable),
        tool_count=len(catalog.tools),
        core_tool_count=len(core),
        profiles=list(tokens),
        tokens=tokens,
    )


def _fields(described: Mapping[str, Mapping[str, Json]]) -> list[contract.IntegrationField]:
    return [
        contract.IntegrationField(
            name=name,
            description=field["description"],
            required=field.get("required", True),
            secret=field.get("secret", True),
            example=field.get("example"),
        )
        for name, field in described.items()
    ]
