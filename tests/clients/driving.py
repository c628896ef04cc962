"""The clients that people use, each in a process of its own, told step by step.

`tests/clients/install` installs those of the lock files into .cache; `tests/clients/newest.py` the newest of each into
.cache/newest. docs/clients.md publishes what each one shows.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from functions.gateway.json_text import Json
from functions.mcp_endpoint.admission import DEAD
from tests.clients.product import NO_API_TOKEN

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache"
PYTHON_OF_TESTS = ROOT / ".venv" / "bin" / "python"

STEP_SECONDS = 60
"""Longest wait for one step; a usual one takes well under a second."""

FORBIDDEN = "the server denied access (HTTP 403)"
"""What the TypeScript client 2 makes of a 403 while it finds out the era; it keeps our words in the error's data."""


@dataclass(frozen=True)
class Client:
    """One client, and what it shows.

    `library`  what session.py or session.mjs calls it. `room`: the environment that has it.
    `package`, `sdk`  its distribution, and the one that speaks MCP for it; "" where it does that itself.
    `dead`, `ended`, `no_api_token`  the words on a dead URL, on a server that ended, and without an API token.
    """

    label: str
    library: str
    room: str
    package: str
    sdk: str
    dead: str = DEAD
    ended: str = DEAD
    no_api_token: str = NO_API_TOKEN
    mode: str = ""


NO_PIN = "the server did not offer pinned protocol version 2026-07-28"
CLOSED = "Connection closed"
"""What a host sees of a bridge that has ended."""
OFFICIAL = "@modelcontextprotocol/client"

CLIENTS = (
    Client("TypeScript SDK 1.x", "sdk", "node", "@modelcontextprotocol/sdk", ""),
    Client("TypeScript client 2, legacy", "client", "node", OFFICIAL, "", mode="legacy"),
    Client("TypeScript client 2, auto", "client", "node", OFFICIAL, "", no_api_token=FORBIDDEN, mode="auto"),
    Client(
        "TypeScript client 2, 2026-07-28 only",
        "client",
        "node",
        OFFICIAL,
        "",
        dead=NO_PIN,
        no_api_token=FORBIDDEN,
        mode="2026-07-28",
    ),
    Client("AI SDK", "ai-sdk", "node", "@ai-sdk/mcp", ""),
    Client("mcp-remote", "bridge", "node", "mcp-remote", "@modelcontextprotocol/sdk"),
    Client("supergateway", "bridge", "node", "supergateway", "@modelcontextprotocol/sdk", dead=CLOSED),
    Client("mcp-proxy", "bridge", "clients", "mcp-proxy", "mcp", no_api_token="403 Forbidden"),
    Client(
        "LangChain MCP adapters", "langchain", "clients", "langchain-mcp-adapters", "mcp", no_api_token="403 Forbidden"
    ),
    Client("FastMCP client", "fastmcp", "clients_modern", "fastmcp", "mcp"),
    Client("OpenAI Agents SDK", "openai-agents", "clients_modern", "openai-agents", "mcp"),
    Client("Pydantic AI", "pydantic-ai", "clients_modern", "pydantic-ai-slim", "mcp"),
    Client("LlamaIndex", "llama-index", "clients_modern", "llama-index-tools-mcp", "mcp"),
    Client("Google ADK", "google-adk", "clients_pinned", "google-adk", "mcp"),
    Client("Strands Agents", "strands", "clients_pinned", "strands-agents", "mcp"),
)


class NoAnswerError(Exception):
    """A client said nothing in STEP_SECONDS, or ended."""


class Session:
    """A client in a process of its own, told step by step."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def step(self, step: str, **told: Json) -> Json:
        """The value of a step that must work."""
        answer = self.told({"step": step, **told})
        assert "value" in answer, answer
        return answer["value"]

    def failure(self, step: str, **told: Json) -> str:
        """Everything a person could read about a step that must fail: the client's error, and its program's log. Some
        clients give an error of the server to the model as the text of a result."""
        try:
            answer = self.told({"step": step, **told})
        except NoAnswerError:  # it waits for a person, or is gone
            return self._log.read_text()
        assert "error" in answer or step == "call", answer
        return f"{answer['error'] if 'error' in answer else text(answer['value'])} {self._log.read_text()}"

    def told(self, message: Json) -> Json:
        """The answer to a step, whichever it is."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        impatience = threading.Timer(STEP_SECONDS, lambda: _end(self._process))
        impatience.start()
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        impatience.cancel()
        if not line:
            raise NoAnswerError(f"the client gave no answer to {message['step']}: {self._log.read_text()}")
        return json.loads(line)


@contextmanager
def session(
    client: Client, folder: Path, url: str, headers: dict[str, str] | None = None, cache: Path = CACHE
) -> Iterator[Session]:
    """The client at a URL. `folder` takes its files, `cache` has the environments."""
    told: dict[str, Json] = {"library": client.library, "mode": client.mode, "url": url, "headers": headers or {}}
    node = cache / "node"
    if client.library in ("sdk", "client", "ai-sdk"):
        shutil.copy(HERE / "session.mjs", node)  # packages are looked for from where the script is
        program = [_node(cache), node / "session.mjs"]
    elif client.library == "bridge":
        program = [PYTHON_OF_TESTS, HERE / "session.py"]
        told["program"] = [str(part) for part in _bridge(client, url, headers or {}, cache)]
        told["environment"] = {"HOME": str(folder), "MCP_REMOTE_CONFIG_DIR": str(folder)}
    else:
        program = [cache / client.room / "bin" / "python", HERE / "session.py"]
    log = folder / "log.txt"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*map(str, program), json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            yield Session(process, log)
        finally:
            try:
                process.communicate(timeout=STEP_SECONDS)
            except subprocess.TimeoutExpired:
                _end(process)
                process.communicate()
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a client and the programs that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _node(cache: Path) -> Path:
    return cache / "node" / "node_modules" / "node" / "bin" / "node"


def _bridge(client: Client, url: str, headers: dict[str, str], cache: Path) -> list[str | Path]:
    """The command line of a bridge."""
    modules = cache / "node" / "node_modules"
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if client.label == "mcp-remote":
        given = [part for line in lines for part in ("--header", line)]
        script = modules / "mcp-remote" / "dist" / "proxy.js"
        return [_node(cache), script, url, "--allow-http", "--transport", "http-only", *given]
    if client.label == "supergateway":
        given = [part for line in lines for part in ("--header", line)]
        return [_node(cache), modules / "supergateway" / "dist" / "index.js", "--streamableHttp", url, *given]
    given = [part for name, value in headers.items() for part in ("-H", name, value)]
    return [cache / client.room / "bin" / "mcp-proxy", "--transport", "streamablehttp", *given, url]


def text(result: Json) -> str:
    """The text of a call's result, whatever form the client gives it."""
    return str(result if isinstance(result, str) else result["content"][0]["text"])
