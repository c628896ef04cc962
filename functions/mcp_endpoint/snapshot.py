"""SnapStart: what a snapshot of the started process must hold, and what it must not.

Lambda takes the snapshot once, when a version is published, and starts every copy of the function from it. What is slow
is done before it. Nothing may be in it that must be unique, or that only the first machine has: the first request asks
for the keys (stores/credentials.py), this plane makes no tokens and no nonces, and connections are closed.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from importlib import import_module

from functions.gateway import upstream_tls

NEEDED_BY_CALLS = (
    "functions.gateway.connections",
    "functions.gateway.portable_schema",
    "functions.gateway.tool_names",
    "functions.gateway.wrong_arguments",
    "jmespath",
    "jsonschema_rs",
    "nacl.bindings",
)
"""Modules that a start leaves to the first call, which would wait for them."""

ENTROPY_BYTES = 32
"""What each copy adds to OpenSSL's generator: 256 bits. Copies of one snapshot would otherwise begin TLS alike."""


def is_taken(environment: Mapping[str, str]) -> bool:
    """True while Lambda starts the process in order to take a snapshot of it."""
    return environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def register(close: Callable[[], None]) -> None:
    """Have Lambda's runtime call both functions below. `close` closes the connections of the process."""
    hooks = import_module("snapshot_restore_py")  # part of Lambda's Python runtime alone
    hooks.register_before_snapshot(before, close)
    hooks.register_after_restore(after)


def before(close: Callable[[], None]) -> None:
    """Load what calls need, and close what no copy may share."""
    for name in NEEDED_BY_CALLS:
        import_module(name)
    upstream_tls.context()
    close()


def after() -> None:
    """Make this copy's randomness its own. `os.urandom` needs nothing: it is the kernel's, which knows of the copy."""
    ssl.RAND_add(os.urandom(ENTROPY_BYTES), ENTROPY_BYTES)
