"""Which resource an operation belongs to and which method it is, decided by paths, verbs and responses.

`GET /repos/{owner}/{repo}/issues/{n}/comments` is `list` of `comments`, `POST /charges/{id}/capture` is `capture` of
`charges`. A resource has the shortest name that no other resource has: `comments`, or `issue_comments`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from tool_catalog.catalog import STANDARD_METHODS
from tool_catalog.naming import singular, snake_case
from tool_catalog.openapi.document import Operation
from tool_catalog.records import VERBS

Shape = tuple[str, ...]
"""A path in words: its literal segments, and PARAMETER for each other segment."""

PARAMETER = "{}"

_VERSION = re.compile(r"api|apis|rest|v?\d+(\.\d+)*((alpha|beta)\d*)?|\d{4}-\d\d(-\d\d)?", re.IGNORECASE)
"""Leading segments that say how to reach the API, not what it holds: api, v1, v2.1, 2010-04-01."""

_METHOD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

_ACTIONS = (
    *(
        "accept",
        "activate",
        "add",
        "approve",
        "archive",
        "assign",
        "attach",
        "cancel",
        "change",
        "check",
        "clear",
        "clone",
    ),
    *(
        "close",
        "confirm",
        "copy",
        "create",
        "deactivate",
        "delete",
        "detach",
        "disable",
        "duplicate",
        "enable",
        "execute",
    ),
    *(
        "export",
        "find",
        "generate",
        "get",
        "import",
        "insert",
        "invite",
        "list",
        "lock",
        "merge",
        "move",
        "pause",
        "query",
    ),
    *("refresh", "register", "reject", "remove", "rename", "reorder", "reset", "restore", "resume", "revoke", "rotate"),
    *(
        "run",
        "save",
        "search",
        "send",
        "set",
        "start",
        "stop",
        "submit",
        "sync",
        "test",
        "transfer",
        "trigger",
        "unassign",
    ),
    *("unlink", "unlock", "update", "upgrade", "validate", "verify"),
)
"""First words of a last segment that name an action although the segment looks like a collection, e.g. addFollowers."""

_SUFFIX = re.compile(r"\.(json|xml)$")
_WORD_LIMIT = 40
"""Characters of a method name taken from an operationId. A longer name says too much."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the inference looks at: the operation, and whether its response holds objects and looks like a search."""

    operation: Operation
    returns_objects: bool
    returns_search: bool

    @property
    def returns_list(self) -> bool:
        return self.returns_objects and self.operation.verb in ("GET", "QUERY")


@dataclass(frozen=True, slots=True)
class Placement:
    """The resource and method of an operation. `by_id`: its path ends with the one parameter that names an object."""

    resource: str
    method: str
    by_id: bool


def placements(seen: list[Seen], known: Mapping[str, tuple[str, str]]) -> dict[str, Placement]:
    """Operation key -> placement. `known` holds the resource and method of operations that were imported before."""
    paths = _Paths(seen)
    keys = {one.operation.key: paths.resource(one) for one in seen}
    fixed: dict[Shape, str] = {}
    for operation_key, (resource, _) in known.items():
        if operation_key in keys:
            fixed.setdefault(keys[operation_key], resource)
    names = _names(set(keys.values()), fixed)
    taken: dict[str, set[str]] = defaultdict(set)
    found: dict[str, Placement] = {}
    for one in seen:
        if one.operation.key in known:
            resource, method = known[one.operation.key]
            taken[resource].add(method)
            found[one.operation.key] = Placement(resource, method, paths.by_id(one))
    # The shortest path gets the best name, whatever the order in the file.
    order = {verb: index for index, verb in enumerate(VERBS)}
    by_path = sorted(
        seen, key=lambda one: (len(shape(one.operation.template)), one.operation.path, order[one.operation.verb])
    )
    for one in by_path:
        if one.operation.key in found:
            continue
        resource = names[keys[one.operation.key]]
        method = next(name for name in paths.methods(one, resource) if name not in taken[resource])
        taken[resource].add(method)
        found[one.operation.key] = Placement(resource, method, paths.by_id(one))
    return {one.operation.key: found[one.operation.key] for one in seen}


def shape(path: str) -> Shape:
    """The path in words, without leading version segments and trailing file suffixes."""
    found: list[str] = []
    for segment in path.strip("/").split("/"):
        segment = _SUFFIX.sub("", segment)  # noqa: PLW2901 -- the segment without .json
        if "{" not in segment:
            found += [part for part in segment.split(":") if part]
            continue
        _, separator, action = segment.rpartition("}:")  # /operations/{name}:cancel
        found += [PARAMETER, action] if separator and "{" not in action else [PARAMETER]
    while len(found) > 1 and _VERSION.fullmatch(found[0]) and any(part != PARAMETER for part in found[1:]):
        del found[0]
    return tuple(found)


def _is_custom(name: str) -> bool:
    return _METHOD.fullmatch(name) is not None and name not in STANDARD_METHODS


class _Paths:
    """All paths of one specification, because each path is judged by the others."""

    def __init__(self, seen: list[Seen]) -> None:
        self.verbs: dict[Shape, set[str]] = defaultdict(set)
        self.lists: set[Shape] = set()
        self.with_items: set[Shape] = set()
        for one in seen:
            path = shape(one.operation.template)
            self.verbs[path].add(one.operation.verb)
            if one.returns_list:
                self.lists.add(path)
            for end in range(1, len(path)):
                if path[end] == PARAMETER:
                    self.with_items.add(path[:end])

    def resource(self, one: Seen) -> Shape:
        """The path of the collection or single object that the operation works on."""
        path = _trimmed(shape(one.operation.template))
        while (owner := self._owner(path)) is not None:
            path = owner
        return path

    def _owner(self, path: Shape) -> Shape | None:
        """For the path of an action (`capture`, `search`), the collection it acts on; None for a collection."""
        if path in self.with_items or not path or len(path) < 2:
            return None
        verbs, last = self.verbs.get(path, set()), path[-1]
        parent = path[:-1]
        words = snake_case(last).split("_")
        action = words[0] in _ACTIONS
        plural = singular(words[-1]) != words[-1] and not action
        if (len(verbs) > 1 and not (action and verbs <= {"GET", "POST"})) or (
            path in self.lists and (plural or parent[-1] == PARAMETER)
        ):
            return None
        if plural and verbs == {"POST"} and parent[-1] == PARAMETER:
            return None  # members that are added one by one
        while parent and parent[-1] != PARAMETER and parent not in self.verbs and verbs <= {"POST"}:
            if len(parent) == 1:
                break
            parent = parent[:-1]  # /keys/{id}/lifecycle/activate: "lifecycle" is not an object of its own
        known = parent in self.verbs or parent in self.with_items or parent[-1] == PARAMETER
        if known or verbs == {"POST"}:
            return _trimmed(parent) or None
        return None

    def by_id(self, one: Seen) -> bool:
        path = shape(one.operation.template)
        return len(path) > 1 and path[-1] == PARAMETER and path[-2] != PARAMETER

    def methods(self, one: Seen, resource: str) -> Iterator[str]:
        """An endless series of names for the method, best first."""
        path, verb = shape(one.operation.template), one.operation.verb
        collection = self.resource(one)
        if variant := snake_case(one.operation.variant):
            yield from (name for name in (variant, f"{verb.lower()}_{variant}") if _is_custom(name))
        rest = path[len(collection) :]
        action = "_".join(snake_case(part) for part in rest if part != PARAMETER)
        if action:
            first = self._action(action, verb, path)
        elif rest:
            first = self._item(path, verb, one)
        else:
            first = self._collection(path, verb, one)
        identifier = _slug(one.operation.data.get("operationId"), resource)
        fallback = f"{first}_{verb.lower()}" if first != verb.lower() else first
        candidates = [first, *([identifier] if identifier else []), fallback]
        yield from (name for name in candidates if _METHOD.fullmatch(name))
        yield from (f"{fallback}_{number}" for number in count(2))

    def _action(self, action: str, verb: str, path: Shape) -> str:
        if action in STANDARD_METHODS or not action[0].isalpha():
            action = f"{verb.lower()}_{action}"
        if verb == "DELETE":
            return f"delete_{action}"
        return f"set_{action}" if verb in ("PUT", "PATCH") and "GET" in self.verbs[path] else action

    def _item(self, path: Shape, verb: str, one: Seen) -> str:
        verbs = self.verbs[path]
        if verb == "QUERY":
            return "query"
        if verb == "GET":
            if not one.returns_list:
                return "get"
            names = re.findall(r"\{([^{}]*)\}", one.operation.template)[-1:]
            return f"list_by_{snake_case(names[0])}" if names else "list"
        if verb == "PATCH" or (verb == "PUT" and "PATCH" not in verbs):
            return "update"
        if verb == "PUT":
            return "replace"
        if verb == "POST":
            return "update" if not verbs & {"PUT", "PATCH"} and "GET" in verbs else "post"
        return "delete"

    def _collection(self, path: Shape, verb: str, one: Seen) -> str:
        many = path in self.with_items or path in self.lists
        verbs = self.verbs[path]
        if verb == "GET":
            return "list" if one.returns_list else "get"
        if verb == "QUERY":
            return "query"
        if verb == "POST":
            return "query" if one.returns_search else "create"
        if verb == "DELETE":
            return "bulk_delete" if many else "delete"
        method = "replace" if verb == "PUT" and "PATCH" in verbs else "update"
        return f"bulk_{method}" if many else method


def _names(keys: set[Shape], fixed: Mapping[Shape, str]) -> dict[Shape, str]:
    """The shortest unique name of each resource. Two resources whose whole paths read alike are one resource."""
    names = dict(fixed)
    words = {key: _words(key) for key in keys if key not in fixed}
    # "memory_history" rather than "history": one word is enough only if it is a plural.
    length = {key: 1 if singular(own[-1]) != own[-1] else min(2, len(own)) for key, own in words.items()}
    while True:
        by_name: dict[str, list[Shape]] = defaultdict(list)
        for key in words:
            by_name[_join(words[key], length[key])].append(key)
        clashes = [
            key
            for name, same in by_name.items()
            if len(same) > 1 or name in fixed.values()
            for key in same
            if length[key] < len(words[key])
        ]
        if not clashes:
            break
        for key in clashes:
            length[key] += 1
    return names | {key: _join(words[key], length[key]) for key in words}


def _words(key: Shape) -> list[str]:
    """The words of each literal segment. A segment before a parameter names one of many, so it becomes singular."""
    found = []
    for index, part in enumerate(key):
        if part == PARAMETER or not (word := snake_case(part)):
            continue
        one_of_many = index + 1 < len(key) and key[index + 1] == PARAMETER
        found.append(singular(word) if one_of_many else word)
    return found or ["root"]


def _join(words: list[str], length: int) -> str:
    """The last `length` words as a resource name, which starts with a letter."""
    parts: list[str] = []
    for word in words[-length:]:
        if not parts or parts[-1] != word:
            parts.append(word)
    name = "_".join(parts)
    return name if name[0].isalpha() else f"x_{name}"


def _slug(identifier: object, resource: str) -> str:
    """An operationId as a method name, without the words of the resource's name. It is empty if no word is left."""
    if not isinstance(identifier, str):
        return ""
    said = {*resource.split("_"), *singular(resource).split("_")}
    words = [word for word in snake_case(identifier).split("_") if word not in said]
    name = "_".join(words)
    return name if name and len(name) <= _WORD_LIMIT and name not in STANDARD_METHODS else ""


def _trimmed(path: Shape) -> Shape:
    """`path` without the parameters at its end."""
    end = len(path)
    while end and path[end - 1] == PARAMETER:
        end -= 1
    return path[:end]
