"""The management API as its own tests have it, and the purge function as Lambda imports it."""

from __future__ import annotations

import base64
import importlib
import io
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from types import ModuleType

import pytest

from functions.gateway.settings import Settings
from tests.admin_api.conftest import Plane, ScriptedUpstream, account, catalogs, plane, settings, upstream

__all__ = ["account", "catalogs", "plane", "settings", "upstream"]

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def inbox() -> Iterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    server.answers["POST", "/hook"] = (204, {}, b"")
    yield server
    server.close()


@pytest.fixture
def purge_function(plane: Plane, inbox: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the function as Lambda imports it, on the store of the test."""
    monkeypatch.setenv("POSTERN_STORE", "dynamodb")
    monkeypatch.setenv("POSTERN_TABLE", "postern")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    level = logging.getLogger().level
    name = "functions.purge.handler"
    sys.modules.pop(name, None)
    with redirect_stdout(io.StringIO()):  # its metrics go where standard output was when it was imported
        module = importlib.import_module(name)
    settings = Settings(webhook_url=f"{inbox.url}/hook", webhook_secret=SECRET, private_upstreams=True)
    monkeypatch.setattr(module, "_settings", settings)
    monkeypatch.setattr(module, "_store", plane.store)
    yield module
    sys.modules.pop(name, None)
    logging.getLogger().setLevel(level)
