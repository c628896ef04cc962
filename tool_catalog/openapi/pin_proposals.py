"""Arguments that recur (`team_id`, `accountId`) are proposed as ids that a server can be pinned to, as comments.

A person has to say whether such an id separates what belongs to one customer from the rest. Nothing is pinnable until
the lines are uncommented, and records with all of them uncommented compile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tool_catalog.naming import snake_case
from tool_catalog.openapi.drafts import Draft
from tool_catalog.openapi.inference import Placement
from tool_catalog.openapi.record_files import RecordFile

LEAST_METHODS = 3
LEAST_RESOURCES = 2
"""In how many methods and resources an argument occurs before it is proposed: fewer say nothing of the whole API."""

MOST_IDS = 4
"""Ids proposed, the most frequent first."""


def propose(methods: Mapping[str, Draft], where: Mapping[str, Placement], file: RecordFile) -> None:
    """Comment the ids that recur into integration.yaml, and a pin into each method that takes one of them."""
    found: dict[str, list[str]] = defaultdict(list)
    unfit: set[str] = set()
    for key, draft in methods.items():
        for name, fits in _ids(draft).items():
            found[name].append(key)
            unfit |= set() if fits else {name}
    recurring = [
        name
        for name, keys in sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        if len(keys) >= LEAST_METHODS and len({where[key].resource for key in keys}) >= LEAST_RESOURCES
    ]
    proposed = [name for name in recurring if name not in unfit][:MOST_IDS]
    if not proposed:
        return
    counts = ", ".join(f"{name} in {len(found[name])} of {len(methods)} methods" for name in proposed)
    proposal = f"# guessed: a server could be pinned to these ids: {counts}\n# pinnable: [{', '.join(proposed)}]"
    file.comments["instructions",] = f"{proposal}\n{file.comments['instructions',]}"
    for draft in methods.values():
        taken = [name for name in proposed if name in _ids(draft)]
        if not taken:
            continue
        ids = "" if taken == proposed else f", ids: [{', '.join(taken)}]"
        before = draft.comments.get(("example",))
        draft.comments["example",] = f"{before}\n" * (before is not None) + f"# pin: {{kind: arguments{ids}}}"


def _ids(draft: Draft) -> dict[str, bool]:
    """Argument that is an id -> whether a pin fits there. A pin is a text, which a body does not take for a number."""
    found = {}
    for location in ("path", "query", "body"):
        schema = draft.data.get(f"{location}_schema", {})
        for name, part in schema.get("properties", {}).items() if schema.get("type") == "object" else ():
            if snake_case(name).endswith("_id"):
                found[name] = location != "body" or part.get("type") in ("string", ["string", "null"])
    return found
