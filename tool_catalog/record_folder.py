"""The folder of one integration -> its records, or every problem that keeps them from being read.

Whether the records make good tools is decided later, by the compiler.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tool_catalog.folders import INTEGRATION_FILE
from tool_catalog.record_problems import validated
from tool_catalog.records import IntegrationRecord, Records, Resource, ResourceRecord
from tool_catalog.yaml_source import Problem, read


def read_folder(folder: Path) -> tuple[Records | None, list[Problem]]:
    """Read `folder`/*.yaml. None when the integration itself cannot be read; unreadable resources are left out."""
    if not (folder / INTEGRATION_FILE).is_file():
        return None, [Problem(f"{folder.name}/{INTEGRATION_FILE}", 0, "missing; every integration has this file")]
    texts, problems = _texts(folder)
    if INTEGRATION_FILE not in texts:
        return None, problems
    integration_source, found = read(f"{folder.name}/{INTEGRATION_FILE}", texts.pop(INTEGRATION_FILE))
    integration = validated(IntegrationRecord, integration_source, found)
    problems += found
    resources = {}
    for filename, text in texts.items():
        source, found = read(f"{folder.name}/{filename}", text)
        resource = validated(ResourceRecord, source, found)
        if resource is not None:
            if filename != f"{resource.resource}.yaml":
                found.append(
                    source.problem(("resource",), f'in "{filename}"; name the file "{resource.resource}.yaml"')
                )
            resources[resource.resource] = Resource(resource, source)
        problems += found
    if integration is None:
        return None, problems
    if integration.integration != folder.name:
        problems.append(
            integration_source.problem(("integration",), f'"{integration.integration}" in the folder "{folder.name}"')
        )
    for index, name in enumerate(integration.order):
        if f"{name}.yaml" not in texts:
            problems.append(integration_source.problem(("order", index), f'no file "{name}.yaml" in this folder'))
    order = [name for name in integration.order if name in resources]
    order += [name for name in sorted(resources) if name not in order]
    return (
        Records(
            integration,
            integration_source,
            tuple(resources[name] for name in order),
            sha256(folder),
            complete=not problems,
        ),
        problems,
    )


def sha256(folder: Path) -> str:
    """Digest of the record files, the same on every machine: names in order, line ends as LF, no byte-order mark."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.yaml"), key=lambda path: path.name):
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _texts(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.suffix == ".yml":
            problems.append(Problem(f"{folder.name}/{path.name}", 0, 'is not read; name it with ".yaml"'))
        elif path.suffix == ".yaml":
            try:
                texts[path.name] = path.read_text(encoding="utf-8-sig")
            except UnicodeDecodeError as error:
                problems.append(Problem(f"{folder.name}/{path.name}", 0, f"not UTF-8 text (byte {error.start})"))
    return texts, problems
