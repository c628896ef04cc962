"""A tool as one server shows it: schema narrowed, validators ready, made once per process for each set of rules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

from functions.gateway import forced, pins
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json, canonical, decode, encode, spaced
from functions.gateway.pins import refusals
from functions.gateway.pins.narrowed import Narrowed
from functions.gateway.value_classes import Identity, dataclass
from functions.gateway.wording import shown
from tool_catalog.catalog import WAIT, Tool

ALL = "all"
"""The argument by which a caller of a destructive tool says that everything is meant. It is never sent upstream."""

TOOLS_KEPT = 512
"""Prepared tools kept per process: a few servers' worth, about 10 kB each."""


@dataclass(frozen=True, eq=False)
class PreparedTool:
    """One tool as one server shows it.

    `definition`  the MCP tool object, its input schema in the form that every host takes.
    `accepted`    the input schema that calls are checked against: the shown one, and the pinned ids. A caller may pass
                  a pinned id; the call is refused only if its value differs from the pin.
    `pins`        what the server pins, where it has an effect on this tool.
    `confirmed`   the server asks for a confirmation of each call.
    """

    tool: Tool
    definition: Mapping[str, Json]
    accepted: Mapping[str, Json]
    pins: Mapping[str, str]
    confirmed: bool = False

    @cached_property
    def wire(self) -> bytes:
        """The definition as compact UTF-8 JSON."""
        return encode(self.definition)

    @cached_property
    def validator(self) -> Any:
        """A jsonschema-rs validator of what is accepted."""
        import jsonschema_rs

        return jsonschema_rs.Draft202012Validator(dict(self.accepted), validate_formats=True)

    @cached_property
    def rule_validators(self) -> list[tuple[Any, str]]:
        """Validators of the record's own checks, each with its message; arguments that match one are refused."""
        import jsonschema_rs

        return [(jsonschema_rs.Draft202012Validator(dict(rule.schema)), rule.message) for rule in self.tool.checks]

    @cached_property
    def answer_validator(self) -> Any:
        """A validator of the output schema."""
        import jsonschema_rs

        return jsonschema_rs.Draft202012Validator(dict(self.tool.definition.get("outputSchema", {})))

    def hint(self, name: str, value: Json) -> str | None:
        """What to do with an argument that the tool does not take; None where its schemas and pins do not say."""
        if name in self.tool.definition["inputSchema"]["properties"]:
            return f"{shown(name)} is fixed by this server; leave it out"
        if name in self.pins:
            return f"{shown(name)} is pinned to {shown(self.pins[name])} by this server; leave it out"
        if (outer := self.outer(name)) is not None:
            return f"{shown(name)} is not a top-level argument; nest it: {_form({outer: {name: value}})}"
        if isinstance(value, dict) and value and value.keys() <= self.accepted["properties"].keys():
            return f"{shown(name)} is not an argument of this tool; give its members at the top level: {_form(value)}"
        return None

    def outer(self, name: str) -> str | None:
        """The one object argument that has a member of this name; None where none has, or several have."""
        found = [
            argument
            for argument, schema in self.accepted["properties"].items()
            if isinstance(schema, dict) and name in schema.get("properties", {})
        ]
        return found[0] if len(found) == 1 else None


FORM_CHARS = 200
"""Characters of a form of the caller's own values that a hint shows."""


def _form(value: Json) -> str:
    form = spaced(value)
    return form if len(form) <= FORM_CHARS else form[:FORM_CHARS] + "..."


def prepare(tool: Tool, config: ServerConfig) -> PreparedTool:
    """The tool as this server shows it; prepared once per process for each set of forced arguments."""
    confirmed = _is_confirmed(tool, config)
    if not config.pins and not config.fixed and not config.defaults:
        return _prepare(Identity(tool), (), (), b"{}", (), confirmed=confirmed)
    return _prepare(
        Identity(tool),
        tuple(config.pins.items()) if tool.pin else (),
        tuple(sorted(forced.fixed(tool, config))),
        canonical(forced.defaults(tool, config)),
        tuple(config.write_ids.items()) if config.pins else (),
        confirmed=confirmed,
    )


def is_unchanged(config: ServerConfig) -> bool:
    """True when a server of this config changes no definition of any tool."""
    return config.output_schemas == "full" and not (config.pins or config.fixed or config.defaults or config.confirm)


def wire(tool: Tool, config: ServerConfig) -> bytes:
    """The definition of the prepared tool, as JSON.

    Where the server changes nothing, these are the catalogue's own bytes: nothing is decoded or prepared for them.
    """
    if config.output_schemas != "full":
        from functions.gateway import output_schemas  # other servers need none of it

        return encode(output_schemas.listed(prepare(tool, config).definition, config.output_schemas))
    changed = (config.pins and tool.pin) or config.fixed or config.defaults or _is_confirmed(tool, config)
    if not changed:
        compiled = tool.wire
        if compiled is not None:
            return compiled
    return prepare(tool, config).wire


def _is_confirmed(tool: Tool, config: ServerConfig) -> bool:
    """True when the server asks for a confirmation of this tool's calls."""
    if not config.confirm:
        return False
    from functions.gateway import confirmation  # other servers need none of it

    return confirmation.needed(tool, config)


@lru_cache(maxsize=TOOLS_KEPT)
def _prepare(
    key: Identity,
    pinned: tuple[tuple[str, str], ...],
    fixed: tuple[str, ...],
    defaults: bytes,
    write_ids: tuple[tuple[str, tuple[str, ...]], ...],
    *,
    confirmed: bool,
) -> PreparedTool:
    [tool], supplied = key.values, decode(defaults)
    schema: dict[str, Json] = tool.definition["inputSchema"]
    displayed = tool.listed

    def narrow(properties: Mapping[str, Json]) -> Narrowed:
        left = {name: value for name, value in properties.items() if name not in fixed}
        return pins.hide(tool, dict(pinned), left, write_ids=dict(write_ids))

    # What calls are checked against and what a model sees are two schemas, and both are narrowed.
    narrowed, properties = narrow(schema["properties"]), displayed["inputSchema"]["properties"]
    listed = {
        name: {**value, "default": supplied[name]} if name in supplied else value
        for name, value in narrow(properties).shown.items()
    }
    optional = {*fixed, *narrowed.filled, *supplied}
    required = [name for name in schema.get("required", ()) if name not in optional]
    if listed == properties and required == list(schema.get("required", ())) and not confirmed:
        return PreparedTool(tool, displayed, schema, dict(pinned))
    accepted = dict(narrowed.accepted)
    if tool.destructive and not required and (pinned or not listed.keys() - {WAIT}) and ALL not in accepted:
        whose = f"Everything of {refusals.listed(dict(pinned))}" if pinned else "Everything that this server fills in"
        text = f"{whose}. Needed where no other argument is given."
        accepted[ALL] = listed[ALL] = {"type": "boolean", "enum": [True], "description": text}
    if confirmed:
        from functions.gateway import confirmation

        code = confirmation.argument(tool)
        accepted[code] = listed[code] = confirmation.schema()
    base = {name: value for name, value in schema.items() if name != "required"}
    if required:
        base["required"] = required
    description = tool.definition["description"]
    if pinned:
        description += (
            f" This server is pinned to {refusals.listed(dict(pinned))}: it fills that in on every call, so leave it "
            "out; other ids are refused."
        )
    from functions.gateway.portable_schema import portable  # what is listed as compiled needs none of it

    return PreparedTool(
        tool,
        {
            **tool.definition,
            "description": description,
            "inputSchema": portable({**base, "properties": listed}),
        },
        {**base, "properties": accepted},
        dict(pinned),
        confirmed=confirmed,
    )
