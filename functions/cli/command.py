"""How a command declares the words it takes: once, as the typed fields of a dataclass.

    @dataclass(frozen=True, kw_only=True)
    class Get(Remote):
        id: str = argument("SERVER")

    @GROUP.verb("get", Get, "show one server")
    def _get(invocation: Invocation[Get]) -> None: ...

cyclopts parses the words, completes them and shows the help from this. A dataclass inherits the words that commands
share.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from cyclopts import App, Group, Parameter

from functions.cli import completers
from functions.cli.help import epilogue
from functions.cli.invocation import Invocation, Misuse

ARGUMENTS = Group("Arguments", sort_key=1)
OPTIONS = Group("Options", sort_key=2)
SHARED = Group("Endpoint and output", sort_key=3)
"""The parts of a command's help, in their order."""

DEFAULTS = Parameter(negative=(), show_default=False, show_choices=False, json_list=False, json_dict=False)
"""An option has no second form unless it declares one, and a text that starts with [ or { stays a text."""

WORD, WORDS, OPTION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
)

Completer = Callable[[Any], Any]
Read = Callable[[str], Any]
Options = TypeVar("Options", bound="Shared")
Run = Callable[[Invocation[Options]], int | None]


@dataclass(frozen=True)
class Declared:
    """What one field is on the command line. Of the options with the same `either`, at most one can be given."""

    parameter: Parameter
    kind: Any
    either: str = ""


def argument(name: str, text: str = "", *, optional: bool = False, default: Any = None, **more: Any) -> Any:
    """A word at its place. `more` is as in `option`."""
    declared = Declared(_parameter(text, (name,), group=ARGUMENTS, **more), WORD)
    return dataclasses.field(**({"default": default} if optional else {}), metadata={"declared": declared})


def remaining(name: str, text: str = "", **more: Any) -> Any:
    """All words that are left. `more` is as in `option`."""
    declared = Declared(_parameter(text, (name,), group=ARGUMENTS, **more), WORDS)
    return dataclasses.field(default=(), metadata={"declared": declared})


def option(
    text: str = "",
    metavar: str | None = None,
    *,
    alias: str | None = None,
    name: str | None = None,
    default: Any = None,
    required: bool = False,
    either: str = "",
    **more: Any,
) -> Any:
    """An option with a value.

    `choices` are the only valid values; `read` turns the text into the value, and raises ValueError with what is
    valid; `completer` returns the values that a shell offers.
    """
    declared = Declared(_parameter(text, name, metavar=metavar, alias=alias, **more), OPTION, either)
    return dataclasses.field(**({} if required else {"default": default}), metadata={"declared": declared})


def repeated(text: str, metavar: str | None = None, **more: Any) -> Any:
    """An option that can be given several times. `more` is as in `option`."""
    declared = Declared(_parameter(text, None, metavar=metavar, **more), OPTION)
    return dataclasses.field(default=(), metadata={"declared": declared})


def flag(text: str, alias: str | None = None, *, name: str | None = None, either: str = "", **more: Any) -> Any:
    """An option without a value."""
    declared = Declared(_parameter(text, name, alias=alias, **more), OPTION, either)
    return dataclasses.field(default=False, metadata={"declared": declared})


def switch(text: str, off: str) -> Any:
    """An option without a value, and `off`, which says the opposite. None where neither is given."""
    declared = Declared(_parameter(text, None, negative=off), OPTION)
    return dataclasses.field(default=None, metadata={"declared": declared})


def _parameter(
    text: str,
    name: str | Sequence[str] | None,
    *,
    read: Read | None = None,
    group: Group = OPTIONS,
    **more: Any,
) -> Parameter:
    given = {key: value for key, value in more.items() if value is not None}
    given |= {"converter": _converter(read)} if read else {}
    return Parameter(name=name, help=text, group=group, **given)


def _converter(read: Read) -> Callable[[Any, Sequence[Any]], Any]:
    def convert(_: Any, tokens: Sequence[Any]) -> Any:
        try:
            return read(tokens[0].value)
        except ValueError as error:
            raise Misuse(f"{tokens[0].keyword}: {error}") from None

    return convert


def number(low: int, high: int) -> Read:
    """Reads a whole number within these bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
            raise ValueError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return read


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The words of every command."""

    json: bool = flag("print the result, and any error, as JSON", group=SHARED)


@dataclass(frozen=True, kw_only=True)
class Remote(Shared):
    """The words of every command that speaks to an endpoint."""

    endpoint: str | None = option(
        "the endpoint, by address or name (default: POSTERN_ENDPOINT, then the local endpoint)",
        "URL",
        completer=completers.endpoints,
        group=SHARED,
    )
    api_token: str | None = option(
        "an API token that admits to the operation (default: POSTERN_API_TOKEN, which `ps` does not show)",
        "TOKEN",
        group=SHARED,
    )


@dataclass(frozen=True)
class Command:
    """A command as declared: its words, and what it does."""

    options: type[Shared]
    run: Callable[[Any], int | None]

    def read(self, given: Mapping[str, Any]) -> Shared:
        """The options of one run. Raises Misuse."""
        chosen: dict[str, str] = {}
        for one in dataclasses.fields(self.options):
            either = one.metadata["declared"].either
            if not either or not given.get(one.name):
                continue
            if either in chosen:
                raise Misuse(f"--{chosen[either]} and --{_dashed(one.name)} exclude each other; give one of them")
            chosen[either] = _dashed(one.name)
        return self.options(**given)


_ORDER = itertools.count()
"""Commands are listed in the order of their declaration."""


class Declaration(App):
    """A command, or a group of commands, that a module declares for the program to load when it is needed."""

    def verb(self, name: str, options: type[Options], text: str) -> Callable[[Run[Options]], Run[Options]]:
        """Declare one command of this group."""

        def declare(run: Run[Options]) -> Run[Options]:
            usage = _usage(self.name[0], name, options)
            self.command(_function(Command(options, run)), name=name, help=text, usage=usage, sort_key=next(_ORDER))
            return run

        return declare

    def alone(self, options: type[Options]) -> Callable[[Run[Options]], Run[Options]]:
        """Declare what the command does; it is not a group."""

        def declare(run: Run[Options]) -> Run[Options]:
            self.default(_function(Command(options, run)))
            self.usage = _usage(self.name[0], "", options)
            return run

        return declare


def declaration(name: str, *, more: str = "") -> Declaration:
    """A command, or a group of commands, by its name. `more` stands under its help, above its examples."""
    return Declaration(
        name=name,
        usage=f"postern {name} COMMAND [OPTIONS]",
        default_parameter=DEFAULTS,
        help_epilogue=epilogue(name, more),
        version_flags=(),
        group_arguments=ARGUMENTS,
        group_parameters=OPTIONS,
    )


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _function(command: Command) -> Callable[..., Command]:
    """What cyclopts parses for: a function whose parameters are the fields of the options."""

    def function(*_: Any, **__: Any) -> Command:
        return command

    hints = get_type_hints(command.options)
    fields = {field.name: field for field in dataclasses.fields(command.options)}
    own = [name for name in fields if name in vars(command.options).get("__annotations__", {})]
    parameters = []
    for name in [*own, *(name for name in fields if name not in own)]:
        declared: Declared = fields[name].metadata["declared"]
        required = fields[name].default is dataclasses.MISSING or declared.kind is WORDS
        hint: Any = get_args(hints[name])[0] if declared.kind is WORDS else hints[name]
        default = inspect.Parameter.empty if required else fields[name].default
        annotation: Any = Annotated[hint, _named(declared, name)]
        parameters.append(inspect.Parameter(name, declared.kind, default=default, annotation=annotation))
    parameters.sort(key=lambda one: (one.kind, one.default is not inspect.Parameter.empty and one.kind is WORD))
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__doc__ = None
    function.declared = command  # type: ignore[attr-defined]
    return function


def _named(declared: Declared, name: str) -> Parameter:
    """The parameter, whose value is called as its field where nothing else is declared."""
    if declared.kind is OPTION and declared.parameter.metavar is None:
        return Parameter.combine(declared.parameter, Parameter(metavar=name.upper()))
    return declared.parameter


def _usage(name: str, verb: str, options: type[Shared]) -> str:
    """The first line of the help: the words and the required options by name."""
    shown = ["postern", name, *([verb] if verb else [])]
    for field in dataclasses.fields(options):
        declared: Declared = field.metadata["declared"]
        label = next(iter(declared.parameter.name or ()), "")
        if declared.kind is WORDS:
            shown.append(f"[{label} ...]")
        elif declared.kind is WORD:
            shown.append(label if field.default is dataclasses.MISSING else f"[{label}]")
        elif field.default is dataclasses.MISSING:
            shown.append(f"--{_dashed(field.name)} {declared.parameter.metavar or _dashed(field.name).upper()}")
    return " ".join([*shown, "[OPTIONS]"])
