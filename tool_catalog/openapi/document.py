"""An OpenAPI file (3.0, 3.1 or 3.2, or Swagger 2.0) as plain data, with its local references resolved.

Nothing is fetched. A reference to another file or a URL is `Unresolvable`, and an operation that needs it is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import yaml

from tool_catalog.catalog import Json
from tool_catalog.openapi import references, swagger2
from tool_catalog.records import VERBS
from tool_catalog.yaml_source import TooDeepError, check_depth

Node = dict[str, Json]

MAX_BYTES = 64 * 1024 * 1024
"""Bytes of the largest file that is read. The largest public descriptions, some 1,200 operations, have about 15 MB."""

MAX_DEPTH = 200
"""Levels of nesting in a YAML file. Specifications have some 40. libyaml composes recursively and would crash."""

MAX_REFERENCES = 32
"""References in a row that only lead to another reference."""


_OTHER_VERBS = ("HEAD", "OPTIONS", "TRACE")
"""Verbs of OpenAPI that no tool is made of: their answers have no content for a model."""


class CannotImport(Exception):
    """Nothing can be imported. The message says what is wrong, where, and what to do."""


class Unresolvable(Exception):
    """A reference leads nowhere in this file. The message names it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `verb` in upper case, `path` as written, and the operation object with the path's parameters.

    `servers` are those of the operation or of its path item; without any, those of the document hold.
    """

    verb: str
    path: str
    data: Mapping[str, Json]
    parameters: tuple[Node, ...]
    servers: tuple[Node, ...] = ()

    @property
    def key(self) -> str:
        """The key of the operation in every import, e.g. "GET /pets/{petId}"."""
        return f"{self.verb} {self.path}"

    @property
    def template(self) -> str:
        """The path as it is sent: without a query, a fragment, and what RFC 6570 has around the name of a parameter."""
        return quote(self._bare, safe="/{}:@!$&'()*+,;=~%") or "/"

    @property
    def constants(self) -> tuple[tuple[str, str], ...]:
        """The pairs of a query in the path key, which every request has: "/parcels?kind=box"."""
        query = _PLACEHOLDER.sub(_plain_placeholder, self.path).partition("#")[0].partition("?")[2]
        return tuple((name, value) for name, value in parse_qsl(query, keep_blank_values=True) if "{" not in value)

    @property
    def variant(self) -> str:
        """What tells this operation from others of the same verb and path: the query and the fragment of its key."""
        return _PLACEHOLDER.sub(_plain_placeholder, self.path).removeprefix(self._bare).strip("?#")

    @property
    def _bare(self) -> str:
        return _PLACEHOLDER.sub(_plain_placeholder, self.path).partition("#")[0].partition("?")[0]

    @property
    def reserved(self) -> frozenset[str]:
        """Names of the path parameters that hold whole paths: "{+where}", "{proxy+}", "{path*}"."""
        return frozenset(
            name.strip("+*")
            for name in _PLACEHOLDER.findall(self.path)
            if name.startswith("+") or name.endswith(("+", "*"))
        )


_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def _plain_placeholder(match: re.Match[str]) -> str:
    """`{+where}` and `{path*}` without their operators; `{?limit,offset}` is a query and none of the path."""
    name = match[1]
    if name[:1] in ("?", "&", "#"):
        return ""
    return "{" + placeholder(name) + "}"


def placeholder(name: str) -> str:
    """The name that a path parameter has in a template."""
    return re.sub(r"\s+", "_", name.strip("+*./; "))


@dataclass(frozen=True, slots=True)
class Document:
    """The decoded file. `name` is its file name, for messages. `nullable` is true for 3.0, which has that keyword."""

    name: str
    data: Node
    nullable: bool
    _names: references.Names = field(default_factory=references.Names, repr=False, compare=False)
    _heirs: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def resolve(self, node: Json) -> Node:
        """`node`, or the target of its references. Anything but a mapping becomes {}. Raises Unresolvable."""
        for _ in range(MAX_REFERENCES):
            if not isinstance(node, dict):
                return {}
            if not isinstance(node.get("$ref"), str):
                return node
            node = self.target(node["$ref"])
        raise Unresolvable("the chain of references never ends")

    def target(self, reference: str) -> Json:
        """The target of a "#/..." reference. Raises Unresolvable."""
        if not reference.startswith(references.ROOT):
            raise Unresolvable(f'"{reference}" is outside this file; bundle the files into one first')
        try:
            return references.at(self.data, reference)
        except LookupError:
            raise Unresolvable(f'"{reference}" is not in this file') from None

    def reference(self, schema: Node, above: tuple[str, ...]) -> str | None:
        """What a schema refers to when it was reached through the references `above`."""
        reference = schema.get("$ref")
        if isinstance(reference, str) and isinstance(name := schema.get(references.DYNAMIC), str):
            return self._names.outermost(name, above, reference)
        return reference if isinstance(reference, str) else None

    def children(self, reference: str) -> list[str]:
        """References of the components that inherit from `reference` by `allOf`."""
        if not self._heirs:
            self._heirs[""] = []
            components = self.data.get("components")
            schemas = components.get("schemas") if isinstance(components, dict) else None
            for name, schema in _mapping(schemas).items():
                parts = schema.get("allOf") if isinstance(schema, dict) else None
                for part in parts if isinstance(parts, list) else ():
                    if isinstance(part, dict) and isinstance(part.get("$ref"), str):
                        own = references.fragment_of("components", "schemas", name)
                        self._heirs.setdefault(part["$ref"], []).append(own)
        return self._heirs.get(reference, [])

    def operations(self) -> Iterator[Operation | tuple[str, str]]:
        """Every operation in the order of the file. For one that cannot be read, it is the key and the reason."""
        for path, item in _mapping(self.data.get("paths")).items():
            try:
                item = self.resolve(item)  # noqa: PLW2901 -- what the reference stands for
            except Unresolvable as error:
                yield path, str(error)
                continue
            for verb in VERBS:
                operation = item.get(verb.lower())
                if not isinstance(operation, dict):
                    continue
                try:
                    servers = _servers(operation) or _servers(item)
                    yield Operation(verb, path, operation, self._parameters(item, operation), servers)
                except Unresolvable as error:
                    yield f"{verb} {path}", str(error)

    def others(self) -> Iterator[tuple[str, str]]:
        """The path and the verb of each operation that no tool can send."""
        for path, item in _mapping(self.data.get("paths")).items():
            if isinstance(item, dict):
                yield from ((path, verb) for verb in _OTHER_VERBS if isinstance(item.get(verb.lower()), dict))
                yield from ((path, verb) for verb in _mapping(item.get("additionalOperations")))

    def _parameters(self, item: Node, operation: Node) -> tuple[Node, ...]:
        """The parameters of the path and of the operation, which replaces those of equal name and location."""
        found: dict[tuple[str, str], Node] = {}
        for source in (item, operation):
            entries = source.get("parameters")
            for entry in entries if isinstance(entries, list) else ():
                parameter = self.resolve(entry)
                if isinstance(parameter.get("name"), str):
                    found[parameter["name"], str(parameter.get("in"))] = parameter
        return tuple(found.values())


def read(path: Path) -> Document:
    """Read `path` as JSON or YAML. Raises CannotImport."""
    if re.match(r"[a-z][a-z0-9+.-]*:/", str(path), re.IGNORECASE):
        url = str(path).replace(":/", "://", 1)  # a path has no double slashes
        raise CannotImport(f'"{url}" is a URL, and nothing is fetched; download the file, give its path')
    if not path.is_file():
        raise CannotImport(f'there is no file "{path}"')
    if (size := path.stat().st_size) > MAX_BYTES:
        raise CannotImport(f"{path.name}: {size:,} bytes; the limit is {MAX_BYTES:,}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CannotImport(f"{path.name}: not UTF-8 text (byte {error.start})") from error
    data = _decode(path.name, text)
    if not isinstance(data, dict):
        raise CannotImport(f"{path.name}: not an OpenAPI file: the root is not a mapping")
    swagger = "swagger" in data
    if swagger:
        if str(data["swagger"]) not in ("2", "2.0"):
            raise CannotImport(f'{path.name}: swagger "{data["swagger"]}" is not 2.0')
        data = swagger2.converted(data)
    version = str(data.get("openapi", ""))
    if not re.match(r"3\.[012](\.|$)", version):
        raise CannotImport(f'{path.name}: openapi "{version}" is not 3.0, 3.1 or 3.2')
    if not _mapping(data.get("paths")):
        raise CannotImport(f'{path.name}: no operations: "paths" is missing or empty')
    names = references.made_local(data) if references.unusual(text, swagger=swagger) else references.Names()
    return Document(path.name, data, nullable=version.startswith("3.0"), _names=names)


def _decode(name: str, text: str) -> Json:
    try:
        if text.lstrip()[:1] in ("{", "["):
            return json.loads(text)
        check_depth(text, _Yaml, MAX_DEPTH)
        loader = _Yaml(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except json.JSONDecodeError as error:
        raise CannotImport(f"{name}:{error.lineno}: not JSON: {error.msg}") from error
    except TooDeepError as error:
        raise CannotImport(f"{name}:{error.line}: nested deeper than {MAX_DEPTH} levels") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise CannotImport(f"{name}:{line}: not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise CannotImport(f"{name}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise CannotImport(f"{name}: nested too deeply to be read") from error


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml if PyYAML has it: it reads four megabytes in seconds instead of a minute."""


class _Yaml(_SafeLoader):  # type: ignore[misc]
    """YAML as OpenAPI wants it: the JSON schema of YAML 1.2 (no dates, no yes and no), with strings as keys."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 -- PyYAML's own class attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Node:
        self.flatten_mapping(node)
        result: Node = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is not a plain string", key.start_mark)
            result[key.value] = self.construct_object(value, deep=deep)
        return result


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", "-0123456789"),
    ("merge", r"<<", "<"),
):
    _Yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def _servers(node: Mapping[str, Json]) -> tuple[Node, ...]:
    servers = node.get("servers")
    return tuple(server for server in servers if isinstance(server, dict)) if isinstance(servers, list) else ()


def _mapping(value: Json) -> Node:
    return value if isinstance(value, dict) else {}
