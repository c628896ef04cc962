"""The values that drafting works on: what all drafts share, one operation, and one argument of its tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tool_catalog.catalog import Json
from tool_catalog.naming import singular, snake_case
from tool_catalog.openapi.document import Document, Operation
from tool_catalog.openapi.inference import Placement
from tool_catalog.openapi.responses import Response

Schema = dict[str, Json]


class NotCallable(Exception):
    """No tool can be made of the operation; the message says why."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all drafts of one import share. `described_only`: optional arguments without a description are left out.

    `own_auth`, `prefixes` and `not_callable` are those of the integration's draft, by operation key.
    """

    document: Document
    integration: str
    credential_names: frozenset[str]
    described_only: bool
    own_auth: Mapping[str, Json] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    not_callable: Mapping[str, str] = field(default_factory=dict)
    draft_texts: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """One operation to draft. `names` maps the methods of its resource to their tool names."""

    operation: Operation
    placement: Placement
    answer: Response
    names: Mapping[str, str]
    objects_have_id: bool = False

    def is_its_id(self, name: str) -> bool:
        """Whether the path parameter `name` holds what the objects of the resource call `id`."""
        return not self.objects_have_id or names_the_id(name, self.placement.resource)


def names_the_id(name: str, resource: str) -> bool:
    """Whether a path parameter is called `id`, or by the resource and `id`: "comment_id" of issue comments."""
    word = snake_case(name)
    owner = word.removesuffix("_id")
    return word == "id" or (owner != word and f"_{singular(resource)}".endswith((f"_{owner}", f"_{singular(owner)}")))


@dataclass(slots=True)
class Argument:
    """One argument: where it is sent and as what, and its schema. `label` is the name it has in its object."""

    location: str
    upstream: str
    schema: Schema
    required: bool
    mapping: dict[str, Json] = field(default_factory=dict)
    example: Json = None
    label: str = ""

    @property
    def whole(self) -> bool:
        """True for the argument that is the whole body."""
        return self.location == "body" and self.upstream == ""

    @property
    def in_example(self) -> bool:
        """Whether the example of the method has it: what is required, and a body that is one argument."""
        return self.required or (self.whole and "name" not in self.mapping)

    def sent_as(self, name: str) -> dict[str, Json]:
        """The entry under "parameters" for the argument `name`. It is {} if the argument is sent under its own name."""
        own_name = {"name": self.upstream} if self.upstream != name and not self.whole else {}
        return {**own_name, **self.mapping}
