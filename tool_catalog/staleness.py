"""Which compiled files are not what their records compile to, and how they differ."""

from __future__ import annotations

from collections.abc import Mapping

from tool_catalog.catalog import Json
from tool_catalog.compiled_document import from_bytes, to_bytes
from tool_catalog.folders import Folder

FOLLOWING = ("shown", "tokens")
"""Parts of a compiled tool that are made of its definition: what a model sees of it, and what that costs."""


def stale_files(documents: Mapping[str, dict[str, Json]], where: Mapping[str, Folder]) -> dict[str, list[str]]:
    """Integration -> how its compiled file differs from its records; only those that do."""
    stale: dict[str, list[str]] = {}
    for name, document in documents.items():
        path = where[name].compiled_file(name)
        content = path.read_bytes() if path.is_file() else None
        if content is None:
            stale[name] = ["missing"]
        elif content != to_bytes(document):
            try:
                stale[name] = _differences(from_bytes(content), document) or ["not in canonical form"]
            except (ValueError, KeyError, TypeError):
                stale[name] = ["not a compiled file of this version"]
    return stale


def _differences(old: dict[str, Json], new: dict[str, Json]) -> list[str]:
    """The differences between two compiled documents, one line for each tool or key."""
    lines = [f"{key}: changed" for key in new if key not in ("tools", "source_sha256") and old.get(key) != new[key]]
    before = {tool["definition"]["name"]: tool for tool in old.get("tools", ())}
    after = {tool["definition"]["name"]: tool for tool in new["tools"]}
    lines += [f"{name}: removed" for name in before if name not in after]
    for name, tool in after.items():
        if name not in before:
            lines.append(f"{name}: added")
        elif changed := list(_changed(before[name], tool, "")):
            own = [path for path in changed if path.partition(".")[0] not in FOLLOWING]
            lines.append(f"{name}: changed {', '.join(own or changed)}")
    if not lines and list(before) != list(after):
        lines.append("tools: order changed")
    if not lines and old != new:
        lines.append("the records changed, the tools did not")
    return lines


def _changed(old: Json, new: Json, path: str) -> list[str]:
    """Dotted paths of the parts that differ. A path ends where one side is not an object."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [line for key in keys for line in _changed(old.get(key), new.get(key), f"{path}.{key}" if path else key)]
    return [path.removeprefix("definition.")]
