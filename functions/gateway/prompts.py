"""Prompts: workflows that a person starts by name, which hosts show as commands. The text is the record's own.

A server offers a prompt only if it shows every tool that the prompt names. An argument that the server pins is filled
in and not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown
from tool_catalog.catalog import DISCOVERY_NAMES, Catalog, Prompt, PromptArgument

MOST_VALUES = 100
"""Values of one completion, the limit of the protocol."""

_FIELD = re.compile(r"\{([a-z0-9_]+)\}")

_THROUGH_CALL_TOOL = f"\nCall each tool that is named here through {DISCOVERY_NAMES[2]}.\n"


class WrongPrompt(ValueError):
    """There is no such prompt here, or its arguments do not fit; the message says what does."""


def offered(catalog: Catalog, offers: Callable[[str], bool]) -> list[Prompt]:
    """The prompts of a server; `offers` says whether it offers a tool of this name."""
    return [prompt for prompt in catalog.prompts.values() if all(map(offers, prompt.tools))]


def definition(prompt: Prompt, config: ServerConfig) -> dict[str, Json]:
    """The MCP prompt object."""
    return {
        "name": prompt.name,
        "title": prompt.title,
        "description": prompt.description,
        "arguments": [
            {"name": argument.name, "description": argument.description, "required": argument.default is None}
            for argument in _asked(prompt, config)
        ],
    }


def find(prompts: list[Prompt], name: str) -> Prompt:
    """The prompt of that name. Raises WrongPrompt."""
    for prompt in prompts:
        if prompt.name == name:
            return prompt
    known = [prompt.name for prompt in prompts]
    hint = did_you_mean(name, known, instead=f"prompts: {', '.join(known)}" if known else "this server has none")
    raise WrongPrompt(f"no prompt {shown(name)} on this server{hint}")


def missing(prompt: Prompt, config: ServerConfig, given: Mapping[str, str]) -> dict[str, str]:
    """The arguments that must be given and are not, name -> description."""
    return {
        argument.name: argument.description
        for argument in _asked(prompt, config)
        if argument.default is None and not given.get(argument.name)
    }


def text(prompt: Prompt, config: ServerConfig, given: Mapping[str, str]) -> str:
    """The text of the prompt with the arguments in it. Raises WrongPrompt."""
    asked = _asked(prompt, config)
    names = [argument.name for argument in asked]
    problems = [
        f"{shown(name)} is pinned to {shown(config.pins[name])} by this server; leave it out"
        if name in config.pins
        else f"unknown argument {shown(name)}{did_you_mean(name, names)}"
        for name, value in given.items()
        if name not in names and config.pins.get(name) != value
    ]
    lacking = missing(prompt, config, given)
    problems += [f"missing argument {shown(name)}: {description}" for name, description in lacking.items()]
    if problems:
        raise WrongPrompt("; ".join(problems))
    values = {argument.name: given.get(argument.name) or argument.default or "" for argument in prompt.arguments}
    filled = _FIELD.sub(lambda field: {**values, **config.pins}[field[1]], prompt.text)
    return filled + _THROUGH_CALL_TOOL if config.profile == "discovery" else filled


def completion(prompt: Prompt, config: ServerConfig, argument: str, begun: str) -> list[str]:
    """The values of an argument that begin with what was typed; the record lists them. Raises WrongPrompt."""
    asked = _asked(prompt, config)
    for one in asked:
        if one.name == argument:
            return [value for value in one.values if value.startswith(begun)][:MOST_VALUES]
    hint = did_you_mean(argument, [one.name for one in asked])
    raise WrongPrompt(f"prompt {shown(prompt.name)} has no argument {shown(argument)}{hint}")


def _asked(prompt: Prompt, config: ServerConfig) -> list[PromptArgument]:
    """The arguments that the server does not fill in."""
    return [argument for argument in prompt.arguments if argument.name not in config.pins]
