"""The official TypeScript clients and mcp-remote sign in to a server that requires an API token, against the whole
product: discovery, registration, the consent page, calls, and a refresh after the access token has ended."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from functions.gateway.json_text import Json
from tests.clients.consent import sign_in
from tests.clients.product import FILTERS, LIST, Product

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NODE = ROOT / ".cache" / "node"
NODE_PROGRAM = NODE / "node_modules" / "node" / "bin" / "node"
MCP_REMOTE = NODE / "node_modules" / "mcp-remote" / "dist" / "proxy.js"

SECONDS = 300
"""Longest time of one sign-in; a usual one takes two seconds."""

CLIENTS = [("sdk", ""), ("client", "legacy"), ("client", "auto"), ("client", "2026-07-28")]


def _typescript(product: Product, library: str, mode: str, url: str, api_token: str) -> Json:
    """What the client says at its end."""
    shutil.copy(HERE / "oauth.mjs", NODE)  # packages are looked for from where the script is
    told = {"library": library, "mode": mode, "url": url, "list": LIST, "arguments": FILTERS}
    with subprocess.Popen(
        [NODE_PROGRAM, NODE / "oauth.mjs", json.dumps(told)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        impatience = threading.Timer(SECONDS, process.kill)
        impatience.start()
        try:
            for line in process.stdout:
                said = json.loads(line)
                if "open" in said:
                    reply = {"back": sign_in(said["open"], api_token)}
                elif "ended" in said:
                    product.clock.move(minutes=10)
                    reply = {}
                else:
                    return said
                process.stdin.write(json.dumps(reply) + "\n")
                process.stdin.flush()
            raise AssertionError(f"the client stopped: {process.stderr.read()[-3000:]}")
        finally:
            impatience.cancel()
            process.stdin.close()


@pytest.mark.parametrize(("library", "mode"), CLIENTS)
def test_an_official_typescript_client_signs_in_once_and_refreshes(product: Product, library: str, mode: str) -> None:
    url = product.mint(require_api_token_auth=True)
    end = _typescript(product, library, mode, url, product.issue_api_token())
    assert LIST in end["tools"]
    assert (end["opened"], end["tokens"]) == (1, 2)
    token = url.rsplit("/", 1)[1]
    found = [line for line in end["asked"] if "/mcp/" not in line or "well-known" in line]
    assert found[0] == f"GET /.well-known/oauth-protected-resource/mcp/{token}", "the address in the 401"
    assert "GET /.well-known/oauth-authorization-server/oauth" in found
    assert found.count("POST /oauth/register") == 1
    assert found.count("POST /oauth/token") == 2


def test_a_typescript_client_never_opens_a_sign_in_for_a_plain_url(product: Product) -> None:
    end = _typescript(product, "client", "auto", product.mint(), "")
    assert (end["opened"], end["tokens"]) == (0, 0)
    assert not [line for line in end["asked"] if "well-known" in line or "oauth" in line]


def test_mcp_remote_signs_in_in_a_browser(product: Product, tmp_path: Path) -> None:
    """The browser is a program of the test: it opens the page, gives the API token and follows the redirect."""
    from mcp import Client, StdioServerParameters

    programs, log = tmp_path / "programs", tmp_path / "log.txt"
    programs.mkdir()
    for name in ("xdg-open", "gio", "x-www-browser", "sensible-browser"):
        browser = programs / name
        consent = f'{sys.executable} -m tests.clients.consent "$last" >"{log}" 2>&1 &'  # a browser is not waited for
        browser.write_text(f"#!/bin/sh\nfor last; do :; done\n{consent}\n")
        browser.chmod(0o755)
    environment = {
        "HOME": str(tmp_path),
        "MCP_REMOTE_CONFIG_DIR": str(tmp_path),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "API_TOKEN": product.issue_api_token(),
    }
    url = product.mint(require_api_token_auth=True)
    arguments = [str(MCP_REMOTE), url, "--allow-http", "--transport", "http-only"]
    program = StdioServerParameters(command=str(NODE_PROGRAM), args=arguments, env=environment)

    async def use() -> list[str]:
        async with asyncio.timeout(SECONDS), Client(program, mode="legacy") as client:
            await client.call_tool(LIST, FILTERS)
            return [tool.name for tool in (await client.list_tools()).tools]

    for _ in range(2):  # the second time it has its tokens
        assert LIST in asyncio.run(use()), log.read_text() if log.exists() else ""
