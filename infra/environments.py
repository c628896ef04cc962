"""Environments: their names, their stacks and their parameters; and what is refused before anything is built.

A name, a parameter, a value or a combination that CloudFormation would refuse after an upload of 27 MB is refused here,
by the same rules: those of template.yaml.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra import template

Json = Any

NAMED = ("dev", "staging", "prod")
USAGE = "infra/deploy.sh dev|staging|prod|ephemeral-NAME [Parameter=value ...] [--yes | --plan | --execute CHANGE_SET]"


class Refused(Exception):
    """The command cannot be carried out. `problems` says everything that is wrong with it."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Environment:
    """One deployment. `parameters` are those that the environment sets and those of the command line."""

    name: str
    section: str
    parameters: Mapping[str, str]

    @property
    def stack(self) -> str:
        """The name of its stack, and the folder of its artefacts."""
        return f"postern-{self.name}"

    @property
    def asks(self) -> bool:
        """True where a person must confirm the changes."""
        return self.section == "prod"

    @property
    def is_protected(self) -> bool:
        """True where the stack cannot be deleted by one command."""
        return self.section in ("staging", "prod")

    def effective(self, previous: Mapping[str, str]) -> dict[str, str]:
        """Every parameter of the deployment: what is set, otherwise what the stack has, otherwise the default."""
        defaults = {name: str(entry["Default"]) for name, entry in template.load()["Parameters"].items()}
        known = {name: value for name, value in previous.items() if name in defaults}
        return {**defaults, **known, **self.parameters}


def read(name: str, overrides: Sequence[str] = ()) -> Environment:
    """The environment of this name. Raises Refused with everything that is wrong."""
    section = "ephemeral" if name.startswith("ephemeral-") else name
    if section not in (*NAMED, "ephemeral"):
        raise Refused(f'unknown environment "{name}"; usage: {USAGE}')
    pattern = template.load()["Parameters"]["Environment"]
    if not re.fullmatch(pattern["AllowedPattern"], name) or name.endswith("-"):
        raise Refused(f'"{name}" cannot be the name of an environment: {pattern["ConstraintDescription"]}')
    with (template.ROOT / "infra" / "samconfig.toml").open("rb") as file:
        own = tomllib.load(file)[section]["deploy"]["parameters"]["parameter_overrides"].split()
    problems = [f'"{override}" is not Parameter=value' for override in overrides if not re.match(r"[^=]+=", override)]
    if problems:
        raise Refused(*problems)
    parameters = dict(override.split("=", 1) for override in (*own, *overrides)) | {"Environment": name}
    problems = [problem for key, value in parameters.items() for problem in wrong(key, value)]
    if problems:
        raise Refused(*problems)
    return Environment(name, section, parameters)


def wrong(name: str, value: str) -> Iterator[str]:
    """What is wrong with one parameter."""
    declared = template.load()["Parameters"]
    if name not in declared:
        near = difflib.get_close_matches(name, declared, 1)
        yield f'unknown parameter "{name}"; ' + (
            f'did you mean "{near[0]}"?' if near else f"valid: {', '.join(declared)}"
        )
        return
    rule = declared[name]
    if "AllowedValues" in rule and value not in map(str, rule["AllowedValues"]):
        yield f'{name} is "{value}"; valid: {", ".join(map(str, rule["AllowedValues"]))}'
    elif "AllowedPattern" in rule and not re.fullmatch(rule["AllowedPattern"], value):
        yield f'{name} is "{value}"; it must be {rule["ConstraintDescription"]}'
    elif rule["Type"] == "Number":
        least, most = rule.get("MinValue", "any"), rule.get("MaxValue", "any")
        number = re.fullmatch(r"-?[0-9]+", value)
        if not number or int(value) < rule.get("MinValue", int(value)) or int(value) > rule.get("MaxValue", int(value)):
            yield f'{name} is "{value}"; valid: a whole number from {least} to {most}'


def broken_rules(parameters: Mapping[str, str]) -> list[str]:
    """What the rules of the template say about these parameters together."""
    found = []
    for rule in template.load()["Rules"].values():
        if _true(rule.get("RuleCondition", True), parameters):
            found += [
                assertion["AssertDescription"]
                for assertion in rule["Assertions"]
                if not _true(assertion["Assert"], parameters)
            ]
    return found


def _true(expression: Json, parameters: Mapping[str, str]) -> bool:
    """A condition of a rule, evaluated as CloudFormation does."""
    if not isinstance(expression, dict):
        return bool(expression)
    [(function, operands)] = expression.items()
    match function:
        case "Fn::Not":
            return not _true(operands[0], parameters)
        case "Fn::And":
            return all(_true(operand, parameters) for operand in operands)
        case "Fn::Or":
            return any(_true(operand, parameters) for operand in operands)
        case "Fn::Equals":
            return _value(operands[0], parameters) == _value(operands[1], parameters)
        case "Fn::Contains":
            return _value(operands[1], parameters) in map(str, operands[0])
        case _:
            raise AssertionError(f"template.yaml has a rule with {function}, which is not evaluated here")


def _value(operand: Json, parameters: Mapping[str, str]) -> str:
    return parameters[operand["Ref"]] if isinstance(operand, dict) else str(operand)
