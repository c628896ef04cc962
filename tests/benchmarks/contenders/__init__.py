"""What `bench_peers` compares: one module per contender, each run in a process and an environment of its own.

A module's `build(setup, same_work)` returns a `Built`. The imports of a framework stand inside `build`, because the
time that they take is part of the figure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Event = dict[str, Any]
Setup = dict[str, str]


class Built(NamedTuple):
    """`handle` takes an API Gateway event (payload 2.0); `app` is the ASGI application, where there is one."""

    handle: Callable[[Event, Any], dict[str, Any]]
    app: Any = None


class Contender(NamedTuple):
    """`environment` is a folder of .cache/bench; `packages` are the ones that its artefact needs, for the zip.

    `eras`  the protocol eras that the contender answers.
    """

    name: str
    title: str
    environment: str
    module: str
    same_work: bool
    packages: tuple[str, ...]
    eras: tuple[str, ...] = ("modern", "legacy")


POSTERN, FLOOR = "postern", "floor"
OUR_WORK = ("jsonschema-rs", "pynacl")
DATA_PLANE = ("certifi", "jsonschema-rs", "jmespath", "pynacl")

CONTENDERS = (
    Contender(POSTERN, "**Postern**", "postern", "postern", True, DATA_PLANE),
    Contender(FLOOR, "bare floor, our work", "postern", "floor", True, OUR_WORK),
    Contender("sdk_low_same", "SDK low-level, our work", "sdk", "sdk_low", True, ("mcp", "mangum", *OUR_WORK)),
    Contender("sdk_high_same", "SDK MCPServer, our work", "sdk", "sdk_high", True, ("mcp", "mangum", *OUR_WORK)),
    Contender("sdk_low", "SDK low-level, as it is", "sdk", "sdk_low", False, ("mcp", "mangum")),
    Contender("sdk_high", "SDK MCPServer, as it is", "sdk", "sdk_high", False, ("mcp", "mangum")),
    Contender("fastmcp", "FastMCP from_openapi, as it is", "fastmcp", "fastmcp_openapi", False, ("fastmcp", "mangum")),
    Contender(
        "awslabs",
        "awslabs handler, as it is",
        "awslabs",
        "awslabs_handler",
        False,
        ("awslabs-mcp-lambda-handler", "urllib3"),
        ("legacy",),
    ),
)
