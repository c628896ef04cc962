"""Drive the newest version of every client, and print a table of what each one shows. A run fails nothing: it says what
the pinned versions will have to cope with next.

    python -m tests.clients.newest            install into .cache/newest, drive, print
    python -m tests.clients.newest --kept     drive what is installed there already

The command lines of Claude Code, Codex and Gemini CLI are driven here alone: they are large, and they call tools for a
model only, so that they are asked to connect and to list.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

from functions.gateway.json_text import Json
from functions.mcp_endpoint.admission import DEAD
from tests.clients.driving import CACHE, CLIENTS, HERE, ROOT, Client, Session, session, text
from tests.clients.product import FILTERS, LIST, NO_API_TOKEN, Product, running

NEWEST = CACHE / "newest"
ROOMS = ("clients", "clients_modern", "clients_pinned")
HOSTS = {"Claude Code": "@anthropic-ai/claude-code", "Codex": "@openai/codex", "Gemini CLI": "@google/gemini-cli"}
HEAD = ("client", "version", "SDK", "list", "call", "error text", "dead URL", "ended in use", "no API token")
HOST_SECONDS = 90
"""Longest wait for one command of a host."""

SHOWN_CHARS = 90
"""Of a client's own words in the table."""


def install() -> None:
    """The newest version of everything. Raises CalledProcessError."""
    for room in ROOMS:
        folder = NEWEST / room
        venv.create(folder, with_pip=True, clear=True)
        wanted = ROOT / "infra" / "requirements" / f"{room}.in"
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*map(str, pip), "--upgrade", "-r", str(wanted)], check=True)
    node = NEWEST / "node"
    node.mkdir(parents=True, exist_ok=True)
    (node / "package.json").write_text('{"private": true}\n')
    names = [*json.loads((HERE / "package.json").read_text())["dependencies"], *HOSTS.values()]
    newest = [name if name == "node" else f"{name}@latest" for name in names if "conformance" not in name]
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", *newest]
    subprocess.run(command, cwd=node, check=True)


def main() -> int:
    if "--kept" not in sys.argv[1:]:
        install()
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "product") as product:
        for client in CLIENTS:
            print(f"| {' | '.join([client.label, *_versions(client), *_driven(client, product)])} |", flush=True)
        for label, package in HOSTS.items():
            print(f"| {' | '.join([label, _npm(package), 'its own', *_hosted(label, product)])} |", flush=True)
    return 0


def _driven(client: Client, product: Product) -> Iterator[str]:
    """The cells of a client, from `list` on."""

    def listed(driven: Session) -> str:
        return str(len(_value(driven, "list"))) if "value" in driven.told({"step": "connect"}) else "no"

    def called(driven: Session) -> str:
        driven.told({"step": "connect"})
        return "yes" if "result_count" in text(_value(driven, "call", name=LIST, arguments=FILTERS)) else "no"

    def wrong(driven: Session) -> str:
        driven.told({"step": "connect"})
        return _words(driven.failure("call", name=LIST, arguments={**FILTERS, "user_id": "usr_98765"}), "nest it")

    def refused(driven: Session) -> str:
        return _words(driven.failure("connect"), DEAD, NO_API_TOKEN)

    def ended(driven: Session) -> str:
        driven.told({"step": "connect"})
        driven.told({"step": "call", "name": LIST, "arguments": FILTERS})
        product.clock.move(minutes=15)
        return _words(driven.failure("call", name=LIST, arguments=FILTERS), DEAD)

    def cell(look: Callable[[Session], str], url: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            try:
                with session(client, Path(folder), url, cache=NEWEST) as driven:
                    return look(driven)
            except Exception as error:  # a table of what is seen; nothing may end it
                return f"{type(error).__name__}: {_short(str(error))}"

    yield cell(listed, product.mint())
    yield cell(called, product.mint())
    yield cell(wrong, product.mint())
    yield cell(refused, product.dead_url)
    yield cell(ended, product.mint(minutes=15))
    yield cell(refused, product.mint(require_api_token_auth=True, oauth=False))


def _hosted(label: str, product: Product) -> Iterator[str]:
    """The cells of a host, which calls nothing without a model."""
    for url in (
        product.mint(),
        None,
        None,
        product.dead_url,
        None,
        product.mint(require_api_token_auth=True, oauth=False),
    ):
        if url is None:
            yield "needs a model"
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield _short(_HOST[label](Path(folder), url))
            except (OSError, subprocess.SubprocessError) as error:
                yield type(error).__name__


def _claude(home: Path, url: str) -> str:
    _run(home, "claude", "mcp", "add", "--transport", "http", "postern", url)
    return _line(_run(home, "claude", "mcp", "list"), url)


def _gemini(home: Path, url: str) -> str:
    _run(home, "gemini", "mcp", "add", "--scope", "user", "--transport", "http", "postern", url)
    return _line(_run(home, "gemini", "mcp", "list"), url)


def _codex(home: Path, url: str) -> str:
    """The state of the server as Codex's app server reports it: its tools, or why there are none."""
    _run(home, "codex", "mcp", "add", "postern", "--url", url)
    asked: list[dict[str, Json]] = [
        {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "tests", "version": "1"}}},
        {"method": "initialized"},
        {"id": 2, "method": "mcpServerStatus/list", "params": {}},
    ]
    process = subprocess.Popen(
        [str(_bin("codex")), "app-server"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=home,
        env=_environment(home),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in asked))
        process.stdin.flush()
        seen = ""
        for line in process.stdout:
            seen += line
            if DEAD in line:
                return "our words"
            answer = _json(line)
            if isinstance(answer, dict) and answer.get("id") == 2:
                [server] = answer["result"]["data"] or [{}]
                tools = len(server.get("tools") or ())
                return f"{tools} tools" if tools else _words(seen, DEAD, NO_API_TOKEN)
        return _words(seen, DEAD, NO_API_TOKEN)
    finally:
        process.kill()
        process.communicate()


_HOST: dict[str, Callable[[Path, str], str]] = {"Claude Code": _claude, "Codex": _codex, "Gemini CLI": _gemini}


def _run(home: Path, program: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(_bin(program)), *arguments],
        cwd=home,
        env=_environment(home),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=HOST_SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


def _bin(program: str) -> Path:
    return NEWEST / "node" / "node_modules" / ".bin" / program


def _environment(home: Path) -> dict[str, str]:
    node = NEWEST / "node" / "node_modules" / "node" / "bin"
    trusting = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}  # it connects in no folder that a person has not trusted
    return {"HOME": str(home), "PATH": f"{node}:{os.environ['PATH']}", "NO_COLOR": "1", **trusting}


def _line(output: str, url: str) -> str:
    """What a host's list says of the server."""
    lines = [line for line in output.splitlines() if url in line]
    return lines[-1].rpartition(" - ")[2].strip() if lines else output.strip()[-SHOWN_CHARS:]


def _versions(client: Client) -> tuple[str, str]:
    """Version of the client, and name and version of the SDK that speaks MCP for it."""
    if client.room == "node":
        own = _npm(client.package)
        return own, f"{client.sdk} {_npm(client.sdk, client.package)}" if client.sdk else "its own"
    return _pip(client.room, client.package), f"{client.sdk} {_pip(client.room, client.sdk)}"


def _npm(package: str, of: str = "") -> str:
    modules = NEWEST / "node" / "node_modules"
    for folder in ((modules / of / "node_modules" / package) if of else modules / package, modules / package):
        if (folder / "package.json").exists():
            return str(json.loads((folder / "package.json").read_text())["version"])
    return "?"


def _pip(room: str, package: str) -> str:
    program = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    command = [str(NEWEST / room / "bin" / "python"), "-c", program, package]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "?"


def _value(driven: Session, step: str, **told: Json) -> Json:
    return driven.told({"step": step, **told}).get("value", "")


def _words(shown: str, *ours: str) -> str:
    """What a client showed: that it was ours, or the end of its own."""
    return "our words" if any(words in shown for words in ours) else f'"{_short(shown)}"'


def _short(words: str) -> str:
    clean = re.sub(r"https?://\S+|\s+|\|", " ", words).strip()
    return clean[-SHOWN_CHARS:]


def _json(line: str) -> Json:
    try:
        return json.loads(line)
    except ValueError:
        return None


if __name__ == "__main__":
    sys.exit(main())
