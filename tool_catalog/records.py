"""The documentation records: what may stand in `records/<integration>/*.yaml`, key by key.

A record that these models accept is well-formed; the compiler decides whether it makes a good tool.
docs/records.md explains the keys to authors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic

from tool_catalog.catalog import Access, Json, PinKind
from tool_catalog.request_template import JSON_MEDIA_TYPE, Location, Style
from tool_catalog.yaml_source import Source

VERBS = ("GET", "QUERY", "POST", "PUT", "PATCH", "DELETE")

Schema = dict[str, Json]

SLUG = r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$"
Slug = Annotated[str, pydantic.Field(pattern=SLUG)]
"""A lower-case word: letters, digits, single underscores or hyphens."""

REQUEST_LINE = rf"^({'|'.join(VERBS)}) /[^\s?#]*$"
RequestLine = Annotated[str, pydantic.Field(pattern=REQUEST_LINE)]
"""VERB and path, e.g. "GET /v1/memories/{id}/": no host, no query."""


MEDIA_TYPE = r"^[A-Za-z0-9.+*_-]+/[A-Za-z0-9.+*_-]+( *;.*)?$"
MediaType = Annotated[str, pydantic.Field(pattern=MEDIA_TYPE)]
"""A media type with its parameters, e.g. "application/vnd.api+json"."""

BODY_FORMAT = rf"^(json|form|{MEDIA_TYPE[1:-1]})$"
BodyFormat = Annotated[str, pydantic.Field(pattern=BODY_FORMAT)]
"""The media type of a body, or a short word for one of the two usual ones."""


TOUCHED = r"^[a-z][a-z ]*/[a-z][a-z ]*$"
"""Things in the singular and the plural, e.g. "memory/memories"."""


class Strict(pydantic.BaseModel):
    """Base of all records: unknown keys and implicit conversions are problems."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)


class AuthRecord(Strict):
    """How the credential is attached. `value`, `username` and `password` are templates over the credential's fields.

    `also` lists what is attached in addition, if the API asks for several credentials together.
    """

    scheme: Literal["header", "query", "cookie", "bearer", "basic", "none"]
    name: str = ""
    value: str = ""
    username: str = ""
    password: str = ""
    also: list[AuthRecord] = []


class FieldRecord(Strict):
    """One field of a credential or of an account's context."""

    description: str
    secret: bool = False
    required: bool = True
    example: str | None = None


class ProbeRecord(Strict):
    """One harmless request that proves a credential; `context` maps context keys to JMESPath over its answer."""

    request: RequestLine
    context: dict[str, str] = {}


class RateLimitsRecord(Strict):
    """Names of the upstream's headers."""

    limit: str | None = None
    remaining: str | None = None
    reset: str | None = None
    retry_after: str | None = None


class CheckRecord(Strict):
    """Arguments that match the JSON Schema `when` are refused with `message`."""

    when: Schema
    message: str


class PromptArgumentRecord(Strict):
    """One argument of a prompt. With a `default` it need not be given; `values` are those a host may offer."""

    description: str
    default: str | None = None
    values: list[str] = []


class PromptRecord(Strict):
    """A workflow that a person starts by name. `text` names tools in backticks and arguments in braces."""

    title: str
    description: str
    arguments: dict[Slug, PromptArgumentRecord] = {}
    text: str


class TokenBudgetRecord(Strict):
    """Most tokens that one tool, the core tools and all tools may cost a model: names, descriptions, input schemas."""

    tool: Annotated[int, pydantic.Field(ge=1)] | None = None
    core: Annotated[int, pydantic.Field(ge=1)] | None = None
    full: Annotated[int, pydantic.Field(ge=1)] | None = None


class IntegrationRecord(Strict):
    """integration.yaml: one upstream API."""

    integration: Slug
    label: str
    base_url: str
    auth: AuthRecord
    credentials: dict[str, FieldRecord] = {}
    context: dict[str, FieldRecord] = {}
    probe: ProbeRecord | None = None
    rate_limits: RateLimitsRecord = RateLimitsRecord()
    pinnable: list[str] = []
    token_budget: TokenBudgetRecord | None = None
    order: list[str] = []
    instructions: str
    website: str | None = None
    icon: str | None = None
    prompts: dict[Slug, PromptRecord] = {}
    schemas: dict[str, Schema] = {}
    checks: dict[str, CheckRecord] = {}


class PaginationRecord(Strict):
    """How the upstream pages. The key named like `style` holds the upstream parameter of the position."""

    style: Literal["page", "offset", "cursor"]
    page: str | None = None
    offset: str | None = None
    cursor: str | None = None
    size: str | None = None
    location: Literal["query", "body"] = "query"
    default_size: Annotated[int, pydantic.Field(ge=1)] = 100
    max_size: Annotated[int, pydantic.Field(ge=1)] | None = None
    next: str | None = None
    collect: Annotated[int, pydantic.Field(ge=1)] = 1
    carry: list[str] = []


class HintRecord(Strict):
    """See `catalog.Hint`."""

    when: str
    text: Annotated[str, pydantic.Field(min_length=20, max_length=300)]
    tool: str | None = None


class ResultRecord(Strict):
    """How the upstream's answer becomes the tool's result; see `catalog.Result`.

    `response_schema`  schema of what `map` produces, needed with `map`.
    `fields`           offer the `fields` argument (list-like tools only).
    `max_tokens`       default of the `max_tokens` argument, tokens; None: no budget unless the caller states one.
    """

    rename: dict[str, str] = {}
    drop: list[str] = []
    map: str | None = None
    response_schema: Schema | None = None
    items: str | None = None
    sort: str | None = None
    distinct: str | None = None
    newest_first: str | None = None
    fields: bool = True
    total: str | None = None
    hide: list[str] = []
    nulls: bool = True
    hints: list[HintRecord] = []
    long_text: str | None = None
    max_tokens: Annotated[int, pydantic.Field(ge=1)] | None = None


class PinRecord(Strict):
    """How a pin is put on the tool: the kind, and the keys of its class in `catalog.PIN_KINDS`."""

    kind: PinKind
    argument: str | None = None
    dialect: str | None = None
    id: str | None = None
    types: dict[str, str] | None = None
    read: str | None = None
    at: str | None = None
    required: bool = False
    splits: list[str] = []
    ids: list[str] | None = None


class ParameterRecord(Strict):
    """How one argument is sent, where that is not simply under its own name; see `request_template.Parameter`.

    `location`  only for a parameter that is not an argument of the tool: a constant, a context value, a pinned filter.
    """

    name: str | None = None
    style: Style | None = None
    explode: bool | None = None
    allow_reserved: bool = False
    context: str | None = None
    value: Json = None
    map: str | None = None
    location: Location | None = None


class CardRecord(Strict):
    """Keys of an item of a result, and where a card shows them.

    `labels`, `details`  keys whose values are shown as small marks, and those shown on demand.
    `dates`              what a date is called -> its key.
    """

    id: str
    text: str
    title: str | None = None
    score: str | None = None
    labels: list[str] = []
    dates: dict[str, str] = {}
    details: list[str] = []


class DeleteRecord(Strict):
    """A tool that a card calls; its argument `id` takes the card's id."""

    tool: str
    id: str = "id"


class EditRecord(DeleteRecord):
    """A tool that writes; its argument `text` takes the new text."""

    text: str = "text"


class HistoryRecord(DeleteRecord):
    """A tool that lists what a card's object was. The other keys are those of an item of its result."""

    event: str | None = None
    before: str | None = None
    after: str
    date: str | None = None


class ViewRecord(Strict):
    """How a page in the host shows the results of a tool: as cards, with what can be done to each.

    `title`  what the list holds, e.g. "Orders". `singular`: one of it, in the middle of a sentence, e.g. "order".
    """

    title: str
    singular: str
    card: CardRecord
    edit: EditRecord | None = None
    delete: DeleteRecord | None = None
    history: HistoryRecord | None = None


URI_TEMPLATE = r"^[a-z][a-z0-9+.-]*://[^\s{}]*(\{[a-z][a-z0-9_]*\}[^\s{}]*)*$"


class McpResourceRecord(Strict):
    """The URI by which a host reads the tool's result; see `catalog.McpResource`. Without `arguments`, each variable of
    the URI is the argument of its name."""

    uri: Annotated[str, pydantic.Field(pattern=URI_TEMPLATE)]
    title: str
    description: str
    arguments: dict[str, Json] | None = None
    media_type: MediaType = JSON_MEDIA_TYPE
    text: str | None = None
    blob: str | None = None


class TouchesRecord(Strict):
    """How to find out what a call would touch; see `catalog.Touches`."""

    what: Annotated[str, pydantic.Field(pattern=TOUCHED)]
    count: str | None = None
    read: str | None = None
    arguments: str | None = None
    show: str | None = None


class QuestionRecord(Strict):
    """What the client's side is asked for one argument; see `catalog.Question`."""

    method: Literal["elicitation/create", "sampling/createMessage", "roots/list"]
    params: dict[str, Json] = {}
    argument: str
    take: str


class EventRecord(Strict):
    """What a write queues; see `catalog.Event`."""

    id: str
    read: str
    argument: str = "id"
    required: bool = False


class StatesRecord(Strict):
    """How the states of an event are told apart; see `catalog.EventStates`."""

    running: str
    failed: str | None = None
    cancelled: str | None = None
    asks: str | None = None
    answer: str | None = None
    answers: str = "answers"
    cancel: str | None = None


class ExampleRecord(Strict):
    """A call that works. `response`: the upstream's documented answer to it, used by tests."""

    arguments: dict[str, Json] = {}
    response: Json = None


class MethodRecord(Strict):
    """One method of a resource: one tool."""

    name: str | None = None
    aliases: list[str] = []
    title: str
    request: RequestLine
    description: str
    tags: list[Slug] = []
    core: bool = False
    access: Access | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool = False
    path_schema: Schema | None = None
    query_schema: Schema | None = None
    body_schema: Schema | None = None
    header_schema: Schema | None = None
    cookie_schema: Schema | None = None
    response_schema: Schema | None = None
    body_format: BodyFormat = "json"
    body_argument: str = "body"
    body_required: bool | None = None
    accept: MediaType = JSON_MEDIA_TYPE
    redirects: bool = False
    auth: AuthRecord | None = None
    parameters: dict[str, ParameterRecord] = {}
    pagination: PaginationRecord | None = None
    result: ResultRecord = ResultRecord()
    pin: PinRecord | None = None
    checks: list[str] = []
    view: str | None = None
    mcp_resource: McpResourceRecord | None = None
    touches: TouchesRecord | None = None
    asks: list[dict[Slug, QuestionRecord]] = []
    event: EventRecord | None = None
    states: StatesRecord | None = None
    example: ExampleRecord


class ResourceRecord(Strict):
    """<resource>.yaml: a resource and its methods."""

    resource: Slug
    singular: Slug | None = None
    tags: Annotated[list[Slug], pydantic.Field(min_length=1)]
    schemas: dict[str, Schema] = {}
    checks: dict[str, CheckRecord] = {}
    views: dict[Slug, ViewRecord] = {}
    methods: Annotated[dict[Slug, MethodRecord], pydantic.Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource record and the file it came from."""

    record: ResourceRecord
    source: Source


@dataclass(frozen=True, slots=True)
class Records:
    """All records of one integration, resources in the order their tools are listed.

    `complete` is False when a file could not be read, so that what it would have used does not count as unused.
    """

    integration: IntegrationRecord
    source: Source
    resources: tuple[Resource, ...]
    sha256: str
    complete: bool
