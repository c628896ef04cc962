"""Query parameters: how the text of each is read, and how the OpenAPI document describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from functions.admin_api.contract import DEFAULT_PAGE, MAX_NAME_CHARS, MAX_PAGE, in_a_sentence
from functions.admin_api.ids import ID, ID_RULE
from functions.gateway.durations import duration
from functions.gateway.errors import Invalid
from functions.gateway.grants import read_time
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query.

    `read`     makes the value of its texts, in the order of the query; raises ValueError with what is valid.
    `default`  the value when the parameter is absent.
    `several`  the parameter may be repeated, be written with [] behind its name, and hold commas.
    """

    name: str
    description: str
    schema: Mapping[str, Json]
    read: Callable[[str], Json] = str
    default: Json = None
    required: bool = False
    several: bool = False

    def described(self) -> dict[str, Json]:
        """The parameter object of OpenAPI."""
        style = {"style": "form", "explode": False} if self.several else {}
        required = {"required": True} if self.required else {}
        return {
            "name": self.name,
            "in": "query",
            "description": self.description,
            "schema": dict(self.schema),
            **style,
            **required,
        }


@dataclass(frozen=True, slots=True)
class Query:
    """The values of an operation's parameters by name. `rest` holds the pairs that are not parameters of it."""

    values: Mapping[str, Json] = field(default_factory=dict)
    rest: Pairs = ()

    def __getitem__(self, name: str) -> Json:
        return self.values[name]


def read_query(parameters: Sequence[Parameter], pairs: Pairs, *, free: bool) -> Query:
    """The values of these parameters. `free` allows other names, which a tool's arguments may have. Raises Invalid."""
    known = {parameter.name: parameter for parameter in parameters}
    texts: dict[str, list[str]] = {}
    rest = []
    for name, text in pairs:
        bare = name.removesuffix("[]")
        parameter = known.get(name) or known.get(bare)
        if parameter is not None and (name == parameter.name or parameter.several):
            texts.setdefault(parameter.name, []).append(text)
        elif free:
            rest.append((name, text))
        else:
            raise Invalid(f"query: unknown parameter {shown(name)}{did_you_mean(bare, known)}")
    return Query({name: _value(parameter, texts.get(name)) for name, parameter in known.items()}, rest)


def _value(parameter: Parameter, texts: Sequence[str] | None) -> Json:
    if texts is None:
        if parameter.required:
            raise Invalid(f"query: {parameter.name} is missing; it is required: {in_a_sentence(parameter.description)}")
        return parameter.default
    if parameter.several:
        return [word.strip() for text in texts for word in text.split(",") if word.strip()]
    if len(texts) > 1:
        raise Invalid(f"query: {parameter.name} is given {len(texts)} times; give it once")
    try:
        return parameter.read(texts[0])
    except (ValueError, OverflowError) as problem:
        raise Invalid(f"query: {parameter.name} is {shown(texts[0])}{problem}") from None


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 6 and least <= int(text) <= most):
            raise ValueError(f"; it must be a whole number from {least} to {most}")
        return int(text)

    return read


def _one_of(words: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(did_you_mean(text, words))
        return text

    return read


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError(f"; {ID_RULE}")
    return text


def _named(text: str) -> str:
    if not 0 < len(text) <= MAX_NAME_CHARS:
        raise ValueError(f"; it must be an id or a name of 1 to {MAX_NAME_CHARS} characters")
    return text


def _duration(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise ValueError(f"; it is {error}") from None


def _cursor(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError(", which this listing did not return; leave it out to start from the first page")
    return text


def _moment(text: str) -> Json:
    try:
        return read_time(text.replace(" ", "+"))  # a plus sign that was not percent-encoded arrives as a space
    except (ValueError, OverflowError):
        raise ValueError("; write a time in UTC, e.g. 2026-12-31T23:59:59Z") from None


def text(name: str, description: str) -> Parameter:
    """Any text."""
    return Parameter(name, description, {"type": "string"})


def words(name: str, description: str) -> Parameter:
    """A list of words."""
    return Parameter(name, description, {"type": "array", "items": {"type": "string"}}, default=(), several=True)


def choice(name: str, description: str, valid: Sequence[str], *, default: str | None = None) -> Parameter:
    """One of these words."""
    schema: dict[str, Json] = {"type": "string", "enum": list(valid)}
    if default is not None:
        schema["default"] = default
    return Parameter(name, description, schema, _one_of(valid), default)


def number(name: str, description: str, least: int, most: int, *, null: bool = False) -> Parameter:
    """A whole number; `null` also allows the word null."""
    schema: dict[str, Json] = {"type": "integer", "minimum": least, "maximum": most}
    read = _whole(least, most)
    if not null:
        return Parameter(name, description, schema, read)
    either = {"anyOf": [schema, {"type": "string", "const": "null"}]}
    return Parameter(name, description, either, lambda text: text if text == "null" else read(text))


def flag(name: str, description: str) -> Parameter:
    """true or false."""
    return Parameter(name, description, {"type": "boolean"}, _one_of(("true", "false")))


def identifier(name: str, description: str, *, required: bool = False) -> Parameter:
    """An id."""
    return Parameter(name, description, {"type": "string", "pattern": f"^{ID.pattern}$"}, _id, required=required)


def named(name: str, description: str, *, required: bool = False) -> Parameter:
    """An id or a name."""
    return Parameter(name, description, {"type": "string", "minLength": 1}, _named, required=required)


def lasting(name: str, description: str) -> Parameter:
    """A duration."""
    return Parameter(name, description, {"type": "string", "examples": ["24h"]}, _duration)


def moment(name: str, description: str) -> Parameter:
    """A time."""
    return Parameter(name, description, {"type": "string", "format": "date-time"}, _moment)


LIMIT = Parameter(
    "limit",
    "Entries of one page.",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
    _whole(1, MAX_PAGE),
    DEFAULT_PAGE,
)
CURSOR = Parameter("next_cursor", "`next_cursor` of the previous page, unchanged.", {"type": "string"}, _cursor)

CONTINUED = text("next_cursor", "`next_cursor` of the answer before, when the request is repeated to continue it.")

PAGING = (LIMIT, CURSOR)
