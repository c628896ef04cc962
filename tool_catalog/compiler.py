"""Records -> the compiled document of an integration, or every reason why not. No file is read or written here.

Each part of the document is decided in a file of its own, together with the rules of the gate for it. A problem names
file and line. A tool that has a problem is not built, and a document with a missing tool is not written.
"""

from __future__ import annotations

from tool_catalog import (
    checks,
    compiled_file,
    credentials,
    integration,
    mcp_resources,
    official_models,
    prompts,
    references,
    token_budget,
    tools,
    views,
)
from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import Records
from tool_catalog.schemas import Place
from tool_catalog.yaml_source import Problem

Schema = dict[str, Json]


def compile_catalog(records: Records, *, drafts: bool = False) -> tuple[Schema | None, list[Problem]]:
    """The document, or None and all problems, sorted by file and line. With `drafts`, made-up texts are accepted."""
    gate = Gate(drafts=drafts)
    document = _document(records, gate)
    problems = sorted(set(gate.problems))
    return (None if problems else document), problems


def _document(records: Records, gate: Gate) -> Schema:
    root, names = Place(records.source, ()), references.Names()
    head = integration.compile_integration(records.integration, root, gate)
    credentials.check_credentials(records, gate)
    checks.check_schemas(records, gate)
    compiled = {
        (resource.record.resource, method): tool
        for resource in records.resources
        for method in resource.record.methods
        if (tool := tools.compile_tool(records, resource, method, names, gate)) is not None
    }
    references.check_references(records, names, gate)
    references.check_aliases(records, names, gate)
    if (budget := records.integration.token_budget) is not None:
        token_budget.check_budget(budget, [*compiled.values()], names.places, root.at("token_budget"), gate)
    for tool in compiled.values():
        official_models.check_definition(tool["definition"], names.places[tool["definition"]["name"]], gate)
    views.check_used(records, gate)
    offered = {
        "views": views.compile_views(records, compiled, gate),
        "mcp_resources": mcp_resources.compile_resources(records, compiled, gate),
    }
    return {
        "format": compiled_file.FORMAT,
        **head,
        "prompts": prompts.compile_prompts(records.integration.prompts, names.places, root.at("prompts"), gate),
        **{key: value for key, value in offered.items() if value},
        "source_sha256": records.sha256,
        "tools": [*compiled.values()],
    }
