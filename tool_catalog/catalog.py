"""The frozen catalogue: what an agent may call, as plain immutable values.

compiled_file.py reads them from the files that the compiler writes, and request_template.py has those of a request.
They import the standard library and `value_classes` only, because they run on the hot path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from functions.gateway.value_classes import dataclass, field
from tool_catalog.request_template import Auth, Pagination, Probe, Request

Json = Any

Access = Literal["read", "write"]
PinKind = Literal["arguments", "filter", "object", "objects", "entity", "answer", "none"]


@dataclass(frozen=True, slots=True)
class Hint:
    """A sentence on what comes next, in the results for which the JMESPath `when` finds something.

    `text`  may hold keys of the result in braces, e.g. "{order_id}"; without all of them it is not shown.
    `tool`  the tool that the text names; a server without it does not show the text.
    """

    when: str
    text: str
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How an upstream answer becomes the tool's result, in this order.

    `rename`, `drop`  keys, applied to the root object and to the objects of the arrays it is or holds.
    `map`             JMESPath over the whole answer.
    `items`           JMESPath to the array that is the point of the answer ("results", "@"); it makes the tool
                      list-like: `fields`, `max_tokens` and the caps work on these items.
    `sort`            JMESPath over one item; items are put in ascending order of it.
    `distinct`        JMESPath over one item; an item with the text of an earlier one is left out, and counted.
    `newest_first`    JMESPath over one item; the items that fit are shown in descending order of it. Which ones fit is
                      decided by the order in which they came.
    `fields`          an example of the `fields` argument, made of the first members of an item; None where the tool
                      does not take that argument.
    `total`           JMESPath over the upstream answer to the number of all items, which a paged list then says.
    `hide`            keys of the root object, or of each item, that a result leaves out. What a pin is judged by may be
                      among them.
    `nulls`           False: keys whose value is null are left out as well.
    `hints`           sentences that follow a result.
    `long_text`       the key of an object, not of a list, whose text may be longer than a result holds: the argument
                      `from_character` reads it by part.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    map: str | None = None
    items: str | None = None
    sort: str | None = None
    distinct: str | None = None
    newest_first: str | None = None
    fields: str | None = None
    total: str | None = None
    hide: tuple[str, ...] = ()
    nulls: bool = True
    hints: tuple[Hint, ...] = ()
    long_text: str | None = None


@dataclass(frozen=True, slots=True)
class PinArguments:
    """Each pin is an argument of the same name.

    `ids`       the ids that can be pinned and are arguments. Under a pin on another id the tool is not offered. A write
                puts each into what it creates. So on a pinned server a write may name only the pins, and other ids that
                the config lists.
    `splits`    ids for which the upstream splits one write into several, one for each id. If one of them is pinned,
                callers may not pass the others; a server pinned to two or more does not offer the tool.
    `required`  the tool cannot work without a pin: only pinned servers offer it.
    """

    ids: tuple[str, ...]
    splits: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinFilter:
    """The pins are ANDed into the filter object `argument`, as the named dialect says it.

    `dialect`   a file of `functions/gateway/pins/dialects/`. The gate refuses a filter that it does not describe.
    `splits`    as in PinArguments.
    `required`  only pinned servers offer the tool. `argument` is not in its input schema: the pins are the filter.
    """

    argument: str
    dialect: str
    splits: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinObject:
    """The object that `argument` names is read first with tool `read`; it must carry every pinned id. Where `read` is
    the tool itself, its answer is judged instead."""

    argument: str
    read: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinObjects:
    """Each object that the array `argument` names is read first, as for PinObject. Its id is the member `id`."""

    argument: str
    id: str
    read: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinEntity:
    """Arguments `argument` (the type of an entity) and `id` (its id) must name the pinned entity. `types` maps the name
    of a pin to the value of `argument`, e.g. {"owner_id": "owner"}; under another pin the tool is not offered."""

    argument: str
    id: str
    types: Mapping[str, str]
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinAnswer:
    """The answer, or each object of a list-like one, carries the ids at JMESPath `at`; foreign objects are withheld."""

    at: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class NoPin:
    """The tool touches nothing that belongs to an entity, so that pinned servers offer it as it is."""


Pin = PinArguments | PinFilter | PinObject | PinObjects | PinEntity | PinAnswer | NoPin
"""How a pin is put on a tool. A tool without one is not offered by a pinned server."""

PIN_KINDS: Mapping[PinKind, type[Pin]] = {
    "arguments": PinArguments,
    "filter": PinFilter,
    "object": PinObject,
    "objects": PinObjects,
    "entity": PinEntity,
    "answer": PinAnswer,
    "none": NoPin,
}
"""The key `kind` of a record and of a compiled file -> the class of the other keys."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a write queues at the upstream in place of an outcome.

    `id`        JMESPath over the tool's result to the event's id; where it finds null, the write is done.
    `read`      name of the tool that reads the event, and has `states`. `argument`: its argument that takes the id.
    `required`  the outcome is of use only to a client that can follow a task; others are refused.
    """

    id: str
    read: str
    argument: str = "id"
    required: bool = False


@dataclass(frozen=True, slots=True)
class EventStates:
    """How the state of an event is known: JMESPath over the reader's mapped answer, each true or false.

    `running`    it has not ended; `failed`, `cancelled`: how it ended. Anything else is a success.
    `asks`       the input that a running event waits for, as a map of MCP input requests; null for none.
    `answer`     name of the tool that takes such input: the id under the reader's argument, the answers under
                 `answers`. `cancel`: name of the tool that ends an event; it takes the id.
    """

    running: str
    failed: str | None = None
    cancelled: str | None = None
    asks: str | None = None
    answer: str | None = None
    answers: str = "answers"
    cancel: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that the client's side is asked before the call, where the caller did not give the argument.

    `method`, `params`  the MCP input request: elicitation/create, sampling/createMessage or roots/list.
    `take`              JMESPath over the response to the value of `argument`.
    """

    key: str
    method: str
    params: Mapping[str, Json]
    argument: str
    take: str


@dataclass(frozen=True, slots=True)
class Touches:
    """How to find out what a call would touch, before it is made.

    `what`       the things in the singular and the plural, e.g. "memory/memories".
    `count`      JMESPath to their number: over the arguments, or over the answer of `read`. None: the answer's total.
    `read`       name of a tool that only reads; None: the arguments say it.
    `arguments`  JMESPath over the arguments to those of `read`; where it finds null, the number is not known.
    `show`       JMESPath over the answer of `read` to the one object; None: nothing is shown.
    """

    what: str
    count: str | None = None
    read: str | None = None
    arguments: str | None = None
    show: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """What the input schema cannot or should not say to a model: arguments that match `schema` are refused.

    `schema`   JSON Schema 2020-12 over the whole arguments object; it may hold `$defs` and local `$ref`, because no
               client ever sees it.
    `message`  what is wrong and the form that works, written by the record's author.
    """

    schema: Mapping[str, Json]
    message: str


@dataclass(frozen=True)
class Tool:
    """One tool. `definition` is the MCP tool object: name, title, description, both schemas, annotations."""

    name: str
    resource: str
    method: str
    access: Access
    tags: tuple[str, ...]
    definition: Mapping[str, Json]
    request: Request
    pagination: Pagination | None
    result: Result
    pin: Pin | None
    checks: tuple[Check, ...]
    example: Mapping[str, Json]
    """Arguments of a call that works."""
    aliases: tuple[str, ...] = field(default_factory=tuple)
    """Names under which models look for this tool; no server lists them, and none is called."""
    core: bool = False
    """One of the few tools that the profile `core` shows."""
    tokens: int = 0
    """About what its name, description and input schema cost a model, as an unpinned server shows them."""
    mentions: tuple[str, ...] | None = None
    """Names of other tools that its descriptions hold; None for a tool that is not from a compiled file."""
    touches: Touches | None = field(default_factory=lambda: None)
    asks: tuple[tuple[Question, ...], ...] = field(default_factory=tuple)
    """What the client's side is asked before a call, round by round."""
    event: Event | None = field(default_factory=lambda: None)
    states: EventStates | None = field(default_factory=lambda: None)

    @property
    def wire(self) -> bytes | None:
        """The definition that a client receives, as compact JSON; None for a tool that is not from a compiled file."""
        stored: Stored | None = self.__dict__.get("stored")
        return None if stored is None else stored.definition()

    @property
    def listed(self) -> Mapping[str, Json]:
        """The definition that a client receives: the compiled one, or the tool's own where it is not from a file."""
        own = self.definition  # reads the file's part, which leaves the compiled one here
        found: Mapping[str, Json] = self.__dict__.get("compiled", own)
        return found

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A part that the file holds, when it is asked for the first time."""
            stored = self.__dict__.get("stored")
            if stored is None or name not in PARTS:
                raise AttributeError(name)
            self.__dict__.update(stored.parts())
            return self.__dict__[name]

    @property
    def enveloped(self) -> bool:
        """True when the answer is `{result, next_cursor, result_count}`: list methods, and every other paged tool."""
        return self.method == "list" or self.pagination is not None

    @property
    def custom(self) -> bool:
        """True for every method except list, get, create, update and delete."""
        return self.method not in STANDARD_METHODS

    @property
    def needs_pin(self) -> bool:
        """True for a tool that only pinned servers offer."""
        return self.pin is not None and not isinstance(self.pin, NoPin) and self.pin.required

    @property
    def destructive(self) -> bool:
        """True when the annotations say that a call can remove or overwrite data."""
        return bool(self.definition["annotations"]["destructiveHint"])


PARTS = (
    "definition",
    "request",
    "pagination",
    "result",
    "checks",
    "example",
    "aliases",
    "touches",
    "asks",
    "event",
    "states",
)
"""Parts of a tool that a compiled file holds and that are read when they are asked for."""


class Stored(Protocol):
    """Where the rest of a tool stands.

    `definition`  as a client receives it, as compact JSON.
    `parts`       the PARTS, and the decoded definition under the name `compiled`.
    """

    def definition(self) -> bytes: ...

    def parts(self) -> dict[str, Any]: ...


class StoredTools(Mapping[str, Tool]):
    """The tools of a compiled file, by name, and what is known of them before one is made.

    `pinned_only`  names of the tools that only pinned servers offer. `queueing`: names of the tools with an event.
    """

    pinned_only: Sequence[str]
    queueing: Sequence[str]

    def runs(self, most: int) -> Iterator[bytes]:
        """The definitions of all tools, with commas between them, in runs of at most `most` bytes each, or of one tool
        that takes more. No tool is made for them."""
        raise NotImplementedError


WAIT = "wait_seconds"
"""The argument of a tool with an event that says how long the caller waits for its outcome. It is never sent."""

STANDARD_METHODS = ("list", "get", "create", "update", "delete")
"""Methods with a name pattern of their own; `read` = list and get, `write` = create, update and delete."""


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """An argument of a prompt. Without a `default` it must be given; `values` are those a host may offer."""

    name: str
    description: str
    default: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A workflow that a person starts by name. `text` has `{argument}` where a value belongs; `tools` are those that it
    names."""

    name: str
    title: str
    description: str
    arguments: tuple[PromptArgument, ...]
    text: str
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class McpResource:
    """What a host reads by a URI, e.g. to attach it to a conversation: the result of one tool that only reads.

    `uri`         has `{variable}` where a value belongs; a variable that a server pins is filled in.
    `arguments`   of the call, with the variables in braces in its texts.
    `media_type`  of `text` or `blob`: JMESPath over the result to a text, or to bytes in Base64. With neither, the
                  whole result is the text, as JSON.
    """

    uri: str
    tool: str
    title: str
    description: str
    arguments: Mapping[str, Json]
    media_type: str
    text: str | None = None
    blob: str | None = None


DISCOVERY_NAMES = ("search_tools", "get_tool_schema", "call_tool")
"""Names of the three tools that a server with the profile `discovery` lists; no record may give them to another."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All tools of one integration, by name, in the order they are listed.

    `website`, `icon`  of the upstream, for people: an https URL, and a picture as a data: URL; "" where there is none.
    `search_index`  JSON of the index that the profile `discovery` searches (see tool_catalog/search_index.py).
    `views`  name of a tool -> how a page shows its results as cards; the keys are those of `tool_catalog/views.py`.
    """

    integration: str
    label: str
    base_url: str
    instructions: str
    auth: Auth
    credentials: Mapping[str, Mapping[str, Json]]
    context: Mapping[str, Mapping[str, Json]]
    probe: Probe | None
    rate_limits: Mapping[str, str]
    pinnable: tuple[str, ...]
    source_sha256: str
    tools: Mapping[str, Tool]
    search_index: bytes = field(default=b"{}", repr=False)
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    website: str = ""
    icon: str = ""
    views: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    mcp_resources: tuple[McpResource, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag in use, sorted."""
        return tuple(sorted({tag for tool in self.tools.values() for tag in tool.tags}))

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method in use, sorted."""
        return tuple(sorted({tool.method for tool in self.tools.values()}))
