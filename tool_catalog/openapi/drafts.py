"""One operation becomes one method of a record, in the words of the source. Comments say what was guessed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tool_catalog import naming
from tool_catalog.catalog import STANDARD_METHODS, Json
from tool_catalog.gate import DRAFT
from tool_catalog.naming import singular
from tool_catalog.openapi.arguments import arguments, example, object_schema
from tool_catalog.openapi.responses import Response, guessed_paging, item_schema
from tool_catalog.openapi.schema_conversion import Note
from tool_catalog.openapi.subjects import Context, NotCallable, Subject
from tool_catalog.openapi.texts import ended, fitted, plain, unmarked
from tool_catalog.request_template import ANY_KIND, JSON_MEDIA_TYPE
from tool_catalog.tools import DESCRIPTION_LENGTH, TITLE_LENGTH
from tool_catalog.yaml_source import KeyPath

Schema = dict[str, Json]

_OURS = ("limit", "next_cursor", "fields", "max_tokens")
"""Arguments that the compiler adds to paged and list-like tools."""

_TITLES = {
    "list": "List {resource}",
    "get": "Get {singular}",
    "create": "Create {singular}",
    "update": "Update {singular}",
    "delete": "Delete {singular}",
}

COMMENTED_CUTS = 3
"""Cuts listed in the comment above one argument. The report lists all of them."""

SHOWN_NAMES = 8
"""Names of a response's members that a description lists."""


@dataclass(slots=True)
class Draft:
    """A method as the record will hold it, and its comments by path.

    `guesses` names the keys that are guesses.
    `cuts` holds what was cut short or left out, with its path in the method.
    """

    data: dict[str, Json]
    comments: dict[KeyPath, str] = field(default_factory=dict)
    guesses: list[str] = field(default_factory=list)
    cuts: list[Note] = field(default_factory=list)


def draft(context: Context, subject: Subject) -> Draft:
    """The method of one operation. Raises NotCallable and Unresolvable."""
    operation, place, answer = subject.operation, subject.placement, subject.answer
    if answer.problem:
        raise NotCallable(answer.problem)
    if operation.key in context.not_callable:
        raise NotCallable(context.not_callable[operation.key])
    made = Draft({})
    # Only a read can be paged or projected. For a list below the root of a response, only the method `list` can.
    listed = answer.items is not None and (
        place.method == "list" or (place.method not in STANDARD_METHODS and "." not in answer.items)
    )
    paging = guessed_paging(context.document, operation, answer) if place.method == "list" else None
    body, named = arguments(
        context, subject, made.cuts, replaced=paging.replaces if paging else (), ours=_OURS if listed else ()
    )
    _head(made, context, subject, listed=listed)
    for location in ("path", "query", "header", "cookie", "body"):
        own = {name: one for name, one in named.items() if one.location == location}
        if len(own) == 1 and (one := next(iter(own.values()))).whole and "name" not in one.mapping:
            made.data["body_schema"] = one.schema
        elif own:
            made.data[f"{location}_schema"] = object_schema(own, location)
    if "body_schema" in made.data or body.keys.get("body_required"):
        made.data |= body.keys
    if answer.accept != JSON_MEDIA_TYPE:
        made.data["accept"] = answer.accept
    if answer.redirects:
        made.data["redirects"] = True
    if operation.key in context.own_auth:
        made.data["auth"] = context.own_auth[operation.key]
    mappings = {name: one.sent_as(name) for name, one in named.items() if one.sent_as(name)}
    mappings |= body.constants
    mappings |= {name: {"location": "query", "value": value} for name, value in operation.constants}
    if mappings:
        made.data["parameters"] = mappings
    made.data["response_schema"] = answer.schema
    if paging:
        made.data["pagination"] = paging.record
        _guess(made, "pagination", "from the parameter names; check the sizes and how the last page is recognised")
    if listed:
        made.data["result"] = {"items": answer.items}
    made.data["example"] = {"arguments": {name: example(one) for name, one in named.items() if one.in_example}}
    made.comments |= _cut_comments(made)
    return made


# ---- what it is


def _head(made: Draft, context: Context, subject: Subject, *, listed: bool) -> None:
    """Name, title, request, access and effects of a custom method, description."""
    operation, place = subject.operation, subject.placement
    name = subject.names[place.method]
    if name != naming.tool_name(context.integration, place.resource, place.method):
        made.data["name"] = name
    words = {"resource": place.resource.replace("_", " "), "singular": singular(place.resource).replace("_", " ")}
    summary = unmarked(operation.data.get("summary")).rstrip(".")
    title = _TITLES.get(place.method, f"{place.method.replace('_', ' ').capitalize()}: {{resource}}").format(**words)
    made.data["title"] = fitted(summary if len(summary) >= TITLE_LENGTH[0] else title, TITLE_LENGTH[1])
    prefix = context.prefixes.get(operation.key, context.prefixes.get("", ""))
    made.data["request"] = f"{operation.verb} {prefix}{operation.template}"
    if place.method not in STANDARD_METHODS:
        reads = operation.verb in ("GET", "QUERY")
        made.data["access"] = "read" if reads else "write"
        if operation.verb == "POST":
            _guess(made, "access", "every POST counts as a write; change it to read if it changes nothing upstream")
        if not reads:
            made.data["destructive"] = True
            made.data["idempotent"] = operation.verb in ("PUT", "DELETE")
            _guess(made, "destructive", "assumed true; write false if the call neither removes nor overwrites data")
    made.data["description"] = _description(made, subject, listed=listed)
    if context.draft_texts and len(made.data["description"]) < DESCRIPTION_LENGTH[0]:
        said = made.data["description"] or f"{made.data['title']}."
        back = "" if made.data["description"] else _comes_back(subject.answer, listed=listed, enveloped=False)
        made.data["description"] = f"{DRAFT}{said} It sends {operation.verb} {operation.path}. {back}".strip()
        made.comments["description",] = "# guessed: from names, because the source has no description"


def _description(made: Draft, subject: Subject, *, listed: bool) -> str:
    """The words of the source, and what is returned. If the source says nothing, the gate asks for a description."""
    data = subject.operation.data
    summary, text = unmarked(data.get("summary")), plain(data.get("description"))
    parts = [ended(summary)] if summary and summary.rstrip(".").lower() not in text.lower() else []
    said = " ".join([*parts, *([ended(text)] if text else [])])
    if not said:
        made.comments["description",] = "# the source has no description"
        return ""
    back = _comes_back(subject.answer, listed=listed, enveloped=subject.placement.method == "list")
    kept = fitted(said, DESCRIPTION_LENGTH[1] - len(back) - 1)
    if len(kept) < len(said):
        made.comments["description",] = f"# shortened from {len(said):,} characters"
    return f"{ended(kept)} {back}".strip()


def _comes_back(answer: Response, *, listed: bool, enveloped: bool) -> str:
    if answer.empty:
        return "Returns the status only."
    if not listed:
        names = list(answer.schema.get("properties", {}))
        if not names and answer.accept == ANY_KIND:
            return "What it returns is not documented."
        return f"Returns {_listed(names)}." if names else ""
    names = list(item_schema(answer).get("properties", {}))
    shown = f" (items with {_listed(names)})" if names else ""
    if enveloped:
        return f"Returns result{shown}, next_cursor and result_count."
    return f"Returns {'result' if answer.items == '@' else answer.items}{shown}."


def _listed(names: list[str]) -> str:
    shown = names[:SHOWN_NAMES]
    if len(names) > SHOWN_NAMES:
        return f"{', '.join(shown)} and more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _guess(made: Draft, key: str, reason: str) -> None:
    made.guesses.append(key)
    made.comments[key,] = f"# guessed: {reason}"


def _cut_comments(draft: Draft) -> dict[KeyPath, str]:
    """One comment for each argument, with everything that was cut inside it."""
    by_argument: dict[KeyPath, list[str]] = defaultdict(list)
    for note in draft.cuts:
        at = note.path[:3] if len(note.path) > 2 and note.path[1] == "properties" else note.path[:1]
        at = at if _value_at(draft.data, at) is not None else note.path[:1]
        if note.path and _value_at(draft.data, at) is not None:
            place = inside(note.path[len(at) :])
            by_argument[at].append(f"{place}: {note.text}" if place else note.text)
    found = {}
    for path, texts in by_argument.items():
        more = f"; and {len(texts) - COMMENTED_CUTS} more" if len(texts) > COMMENTED_CUTS else ""
        found[path] = f"# cut: {'; '.join(texts[:COMMENTED_CUTS])}{more}"
    return found


def inside(path: KeyPath) -> str:
    """A path in a schema without its keywords, for a person to read."""
    words = ("properties", "items", "anyOf", "oneOf")
    return ".".join(str(step) for step in path if step not in words and not isinstance(step, int))


def _value_at(data: Json, path: KeyPath) -> Json:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data
