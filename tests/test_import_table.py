"""Which room may import what. The table is data; the code is read, not run, so that imports in functions count, too."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("functions", "tool_catalog")

BELOW_MEMORY_SEARCH = (
    "functions.memory_engine.core",
    "functions.memory_engine.json_text",
    "functions.memory_engine.settings",
    "functions.memory_engine.storage",
    "functions.memory_engine.texts",
    "functions.memory_engine.times",
    "functions.memory_engine.words",
)

ROOMS: dict[str, tuple[str, ...]] = {
    "functions.gateway": (
        "functions.gateway",
        "functions.stores.store",
        "functions.stores.layout",
        "tool_catalog.catalog",
        "tool_catalog.request_template",
    ),
    "functions.gateway.http_frame": ("functions.gateway", "functions.stores.store"),
    "functions.stores": ("functions.stores", "functions.gateway.json_text", "functions.gateway.value_classes"),
    "functions.mcp_endpoint": (
        "functions.mcp_endpoint",
        "functions.gateway",
        "functions.stores",
        "tool_catalog.catalog",
        "tool_catalog.compiled_file",
        "tool_catalog.request_template",
    ),
    "functions.admin_api": (
        "functions.admin_api",
        "functions.client_formats",
        "functions.gateway",
        "functions.stores",
        "tool_catalog.catalog",
        "tool_catalog.compiled_file",
        "tool_catalog.request_template",
    ),
    "functions.client_formats": ("functions.gateway.json_text",),
    "functions.purge": (
        "functions.purge",
        "functions.admin_api.accounts.item",
        "functions.admin_api.aws",
        "functions.admin_api.servers.item",
        "functions.gateway",
        "functions.stores",
    ),
    "functions.log_subscriber": (
        "functions.log_subscriber",
        "functions.gateway.json_text",
        "functions.gateway.log_entry",
        "functions.gateway.metrics",
        "functions.gateway.settings",
        "functions.stores",
    ),
    "functions.log_subscriber.deliveries": ("functions.gateway.json_text",),
    "functions.trace_exporter": (
        "functions.trace_exporter",
        "functions.admin_api.aws",
        "functions.gateway",
        "functions.log_subscriber.deliveries",
    ),
    "functions.memory_engine": ("functions.memory_engine",),
    "functions.memory_engine.storage": (
        "functions.memory_engine.json_text",
        "functions.memory_engine.settings",
        "functions.memory_engine.storage",
        "functions.memory_engine.texts",
        "functions.memory_engine.words",
    ),
    "functions.memory_engine.search": (*BELOW_MEMORY_SEARCH, "functions.memory_engine.search"),
    "functions.memory_engine.work": (
        *BELOW_MEMORY_SEARCH,
        "functions.memory_engine.search",
        "functions.memory_engine.work",
    ),
    "functions.memory_engine.resources": (
        *BELOW_MEMORY_SEARCH,
        "functions.memory_engine.search",
        "functions.memory_engine.work",
        "functions.memory_engine.resources",
    ),
    "functions.local": (
        "functions.local",
        "functions.admin_api",
        "functions.gateway",
        "functions.mcp_endpoint",
        "functions.memory_engine.app",
        "functions.memory_engine.settings",
        "functions.memory_engine.storage.opening",
        "functions.purge",
        "functions.stores",
        "functions.trace_exporter.exporter",
        "tool_catalog.folders",
        "tool_catalog.live",
    ),
    "functions.cli": (
        "functions.cli",
        "functions.client_formats",
        "functions.local",
        "functions.admin_api.trusts.presets",
        "functions.gateway.durations",
        "functions.gateway.grants",
        "functions.gateway.json_text",
        "functions.gateway.settings",
        "functions.gateway.wording",
        "functions.memory_engine.settings",
        "functions.memory_engine.storage",
        "functions.memory_engine.work.secrets",
    ),
    "tool_catalog": (
        "tool_catalog",
        "functions.gateway.json_text",
        "functions.gateway.model_tokens",
        "functions.gateway.offered_texts",
        "functions.gateway.portable_schema",
        "functions.gateway.pins.dialects",
        "functions.gateway.tool_words",
        "functions.gateway.value_classes",
        "functions.gateway.wording",
    ),
    "tool_catalog.catalog": ("functions.gateway.value_classes", "tool_catalog.request_template"),
    "tool_catalog.compiled_file": ("tool_catalog.catalog", "tool_catalog.request_template"),
    "tool_catalog.request_template": ("functions.gateway.value_classes",),
}
"""Room -> what of ours may be imported anywhere in it. The longest matching name is a file's room."""

AT_IMPORT: dict[str, tuple[str, ...]] = {
    "functions.gateway": (),
    "functions.gateway.http_frame": (),
    "functions.stores": (),
    "functions.mcp_endpoint": (),
    "functions.admin_api": ("mangum", "pydantic", "starlette"),
    "functions.purge": (),
    "functions.log_subscriber": (),
    "functions.log_subscriber.deliveries": (),
    "functions.trace_exporter": (),
    "functions.memory_engine": ("anyio", "starlette"),
    "functions.memory_engine.storage": (),
    "functions.memory_engine.search": ("httpx",),
    "functions.memory_engine.work": ("httpx",),
    "functions.memory_engine.resources": ("httpx",),
    "functions.local": ("httpx", "starlette", "uvicorn"),
    "functions.cli": ("cyclopts", "httpx"),
    "functions.client_formats": (),
    "tool_catalog": ("jmespath", "jsonschema_rs", "mcp_types", "pydantic", "yaml"),
    "tool_catalog.catalog": (),
    "tool_catalog.compiled_file": (),
    "tool_catalog.request_template": (),
}
"""Room -> third-party packages imported as soon as one of its files is; the rest waits for the call that needs it."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "json": (
        "functions.gateway.json_pieces",
        "functions.gateway.json_text",
        "functions.memory_engine",
        "tool_catalog",
    ),
    "difflib": ("functions.gateway.wording", "functions.cli.client_install"),
    "httpx": (
        "functions.local",
        "functions.cli",
        "functions.memory_engine.search.embeddings",
        "functions.memory_engine.work.deliveries",
        "functions.memory_engine.work.language_model",
        "functions.memory_engine.resources.webhooks",
    ),
    "nacl": ("functions.gateway.credentials",),
    "jmespath": ("functions.gateway.expressions", "functions.admin_api", "tool_catalog"),
    "jsonschema_rs": (
        "functions.memory_engine.resources.schemas",
        "functions.gateway.arguments",
        "functions.gateway.prepared",
        "tool_catalog",
    ),
    "yaml": ("tool_catalog", "functions.cli.commands.apply"),
    "mcp": ("functions.cli",),
    "cyclopts": ("functions.cli",),
    "rich": ("functions.cli.help", "functions.cli.tables", "functions.cli.terminal"),
}
"""Package -> the places that may import it at all: one decision, one file."""

NOT_ON_A_COLD_START = (
    *("pydantic", "boto3", "botocore", "mcp", "mcp_types", "yaml", "jsonschema", "jsonschema_rs"),
    *("httpx", "httpcore", "h11", "certifi", "nacl", "jmespath", "cryptography"),
)


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for top in OURS:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(module: str, path: Path, *, at_import: bool = False, types: bool = True) -> frozenset[str]:
    """Dotted names a file imports: all of them, those that run when it is imported, those that ever run."""
    return frozenset(_imports(module, path, at_import=at_import, types=types))


def _imports(module: str, path: Path, *, at_import: bool, types: bool) -> Iterator[str]:
    nodes: list[ast.AST] = list(parsed(path).body)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{origin}.{alias.name}"
                yield whole if whole in MODULES else origin
        elif at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif (at_import or not types) and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        else:
            nodes += ast.iter_child_nodes(node)


def within(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def room(module: str) -> str | None:
    rooms = [name for name in ROOMS if within(module, (name,))]
    return max(rooms, key=len, default=None)


ROOMED = [name for name in MODULES if name not in OURS or name in ROOMS]


@pytest.mark.parametrize("module", ROOMED)
def test_a_file_imports_of_ours_only_what_its_room_may(module: str) -> None:
    own = room(module)
    assert own is not None, f"{module} is in no room of the table"
    wrong = {name for name in imports(module, MODULES[module]) if within(name, OURS) and not within(name, ROOMS[own])}
    assert not wrong, f"{module} (room {own}) imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("module", ROOMED)
def test_a_file_imports_at_once_only_packages_its_room_may(module: str) -> None:
    own = room(module)
    assert own is not None
    packages = {name.partition(".")[0] for name in imports(module, MODULES[module], at_import=True)}
    wrong = packages - set(sys.stdlib_module_names) - set(OURS) - set(AT_IMPORT[own])
    assert not wrong, f"{module} (room {own}) imports {', '.join(sorted(wrong))} as soon as it is imported"


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_with_a_place_of_its_own_is_imported_nowhere_else(package: str) -> None:
    users = {
        module
        for module, path in MODULES.items()
        if package in {name.partition(".")[0] for name in imports(module, path)}
    }
    wrong = {module for module in users if not within(module, ONLY_IN[package])}
    assert not wrong
    unused = [place for place in ONLY_IN[package] if not any(within(module, (place,)) for module in users)]
    assert not unused, f"{package} is no longer imported in {unused}; take it out of the table"


def circles() -> set[frozenset[str]]:
    """The groups of modules that import one another. Imports in functions and for types alone count, too."""
    graph = {module: {name for name in imports(module, path) if name in MODULES} for module, path in MODULES.items()}

    @cache
    def reached(module: str) -> frozenset[str]:
        found: set[str] = set()
        ahead = list(graph[module])
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += graph[name]
        return frozenset(found)

    return {
        frozenset(name for name in reached(module) if module in reached(name))
        for module in MODULES
        if module in reached(module)
    }


def test_no_modules_import_one_another_in_a_circle() -> None:
    found = circles()
    assert not found, f"these modules import one another in a circle: {[sorted(circle) for circle in found]}"


def test_every_package_imported_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = {_name(line) for line in [*project["dependencies"], *extras["aws"]]}
    # Parts of declared packages that are imported by a name of their own.
    part_of = {
        "nacl": "pynacl",
        "yaml": "pyyaml",
        "mcp_types": "mcp",
        "anyio": "starlette",
        "httpx2": "mcp",
    }
    part_of |= {"botocore": "boto3", "jsonschema_rs": "jsonschema-rs"}
    # An engine that compares vectors asks for numpy in words; nothing else does.
    declared.add("numpy")
    for module, path in MODULES.items():
        for name in imports(module, path, types=False):
            package = name.partition(".")[0]
            if package not in sys.stdlib_module_names and package not in OURS:
                assert part_of.get(package, package) in declared, f"{module} imports {package}"


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement)[0].lower()


@pytest.mark.parametrize(
    "store", [{"POSTERN_STORE": "dynamodb", "POSTERN_TABLE": "postern"}, {}], ids=["dynamodb", "sqlite"]
)
def test_a_cold_start_of_the_data_plane_imports_none_of_the_heavy_packages(
    store: dict[str, str], tmp_path: Path
) -> None:
    """A listing needs none of them; what a call needs is imported by the call."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "POSTERN_STATE_DIR": str(tmp_path),
        **store,
    }
    told = subprocess.run(
        [sys.executable, "-c", "import sys, functions.mcp_endpoint.handler; print(*sys.modules)"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    loaded = set(told.stdout.split())
    assert "functions.mcp_endpoint.handler" in loaded
    assert not loaded & set(NOT_ON_A_COLD_START)
    assert not {name for name in loaded if within(name, ("functions.admin_api", "functions.memory_engine"))}
