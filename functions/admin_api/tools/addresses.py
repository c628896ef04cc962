"""The address of each tool over plain HTTP.

::

    GET    /proxy/{resource}              list        POST  /proxy/{resource}           create
    GET    /proxy/{resource}/{id}         get         PATCH /proxy/{resource}/{id}      update (PUT too)
    DELETE /proxy/{resource}/{id}         delete      POST  /proxy/{resource}/{method}  any method by its name
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from functions.gateway.errors import NotFound
from functions.gateway.wording import cut, did_you_mean, shown
from tool_catalog.catalog import Catalog, Tool

VERBS: Mapping[str, str] = {"list": "GET", "get": "GET", "create": "POST", "update": "PATCH", "delete": "DELETE"}
"""Verb of each standard method; any other method is a POST to its name."""

BY_ID = ("get", "update", "delete")
"""Standard methods whose address ends with the id of one object."""

ALSO_KNOWN_AS = {"PUT": "PATCH", "HEAD": "GET"}
"""Verbs that stand for another verb."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a tool is called. Behind the resource stands an id, the name of a method, or nothing.

    `id_argument`  the tool's argument that the id in the path fills.
    """

    verb: str
    resource: str
    id_argument: str | None = None
    method: str | None = None

    def __str__(self) -> str:
        """Verb and path, e.g. GET /proxy/memories/{id}."""
        last = f"{{{self.id_argument}}}" if self.id_argument else self.method
        return f"{self.verb} /proxy/{self.resource}" + (f"/{last}" if last else "")

    def matches(self, verb: str, tail: str) -> bool:
        """True for a request with this verb and this text behind the resource."""
        if verb != self.verb:
            return False
        return bool(tail) if self.id_argument else tail == (self.method or "")


def address(tool: Tool) -> Address:
    """The address of a tool."""
    verb = VERBS.get(tool.method)
    if verb is None:
        return Address("POST", tool.resource, method=tool.method)
    return Address(verb, tool.resource, id_argument=_id_argument(tool) if tool.method in BY_ID else None)


def find(catalog: Catalog, verb: str, resource: str, tail: str) -> tuple[Tool, Address]:
    """The tool that a request calls, and the address under which it does. Raises NotFound with the valid addresses."""
    tools = [tool for tool in catalog.tools.values() if tool.resource == resource]
    if not tools:
        resources = sorted({tool.resource for tool in catalog.tools.values()})
        raise NotFound(f"there is no resource {shown(resource)}{did_you_mean(resource, resources)}")
    asked = ALSO_KNOWN_AS.get(verb, verb)
    for tool in tools:
        for served in (address(tool), Address("POST", resource, method=tool.method)):
            if served.matches(asked, tail):
                return tool, served
    path = f"{verb} /proxy/{resource}" + (f"/{cut(tail)}" if tail else "")
    raise NotFound(f"{path} is not served; valid: {', '.join(str(address(tool)) for tool in tools)}")


def _id_argument(tool: Tool) -> str | None:
    """`id` if the tool has it, otherwise the last path argument that is not filled from the account's context."""
    in_path = [parameter for parameter in tool.request.parameters if parameter.location == "path"]
    arguments = [parameter.argument for parameter in in_path if parameter.argument and parameter.context is None]
    if "id" in arguments:
        return "id"
    return arguments[-1] if arguments else None
