"""`postern capture`: what an agent runs after each turn. `postern install --capture` sets it up."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from functions.cli.capture.agents import AGENTS
from functions.cli.capture.outbox import Outbox
from functions.cli.command import Remote, argument, declaration, flag, option
from functions.cli.commands.memory import ADDERS
from functions.cli.invocation import Failed, Invocation
from functions.gateway import json_text

MODULE = __name__.rpartition(".commands.")[0]
"""The package of the command line, as Python runs it from any folder."""


CAPTURE = declaration("capture")


@dataclass(frozen=True, kw_only=True)
class Capture(Remote):
    """The words of `capture`."""

    agent: str = argument("AGENT", ", ".join(AGENTS), choices=tuple(AGENTS))
    payload: str | None = argument("JSON", "what the agent passes; default: standard input", optional=True)
    state: Path = option("the state folder of the endpoint", "DIR", required=True)
    send: bool = flag("send what waits, and read no payload")


def command(agent: str, state: Path) -> list[str]:
    """The command that an agent runs."""
    return [sys.executable, "-m", MODULE, "capture", agent, "--state", str(state.resolve())]


@CAPTURE.alone(Capture)
def _capture(invocation: Invocation[Capture]) -> None:
    """Never fails: an agent takes a failed hook for a problem of the turn."""
    options = invocation.options
    agent, outbox = AGENTS[options.agent], Outbox(options.state)
    if options.send:
        _send(invocation, outbox)
        return
    try:
        if _keep(invocation, outbox):
            _send_later(options.agent, options.state)
    except (OSError, ValueError, KeyError, TypeError) as error:
        outbox.report(f"a turn of {options.agent} could not be kept: {type(error).__name__}")
    if agent.answer:
        invocation.terminal.line(agent.answer)


def _keep(invocation: Invocation[Capture], outbox: Outbox) -> bool:
    """Keep the turn of the payload. Returns whether there is anything to send."""
    name = invocation.options.agent
    settings = outbox.settings(name)
    payload = json_text.decode_lenient(invocation.options.payload or invocation.terminal.stdin.read())
    if settings is None or not isinstance(payload, dict):
        return False
    agent = AGENTS[name]
    noted = agent.noted(payload) if agent.noted else None
    if noted is not None:
        outbox.note_prompt(name, *noted)
        return False
    session = payload.get("conversation_id")
    turn = agent.turn(payload, outbox.prompt(name, session) if isinstance(session, str) else "")
    return turn is not None and outbox.put(name, turn, settings, time.time_ns())


def _send_later(agent: str, state: Path) -> None:
    """Send in a process of its own, so that the agent does not wait for the endpoint."""
    subprocess.Popen(  # noqa: S603 - our own command
        [*command(agent, state), "--send"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _send(invocation: Invocation[Capture], outbox: Outbox) -> None:
    from functions.cli.management_api import open_api
    from functions.cli.tool_clients import account_tools, proxied_call

    environment = {"POSTERN_STATE_DIR": str(invocation.options.state), **invocation.environment}
    there = Invocation(invocation.options, environment, invocation.terminal, invocation.clock)
    with outbox.alone() as alone:
        if not alone:
            return
        try:
            with open_api(there) as api:
                account_id = api.account_id(None)
                tools = {tool["name"]: tool for tool in account_tools(api, account_id)}
                name = next((name for name in ADDERS if name in tools), None)
                if name is None:
                    raise Failed(f"account {account_id} has no tool that remembers messages")
                while waiting := outbox.waiting():
                    proxied_call(api, account_id, tools[name], json_text.decode(waiting[0].read_bytes()))
                    waiting[0].unlink()
        except Failed as error:
            outbox.report(str(error).split("\n", 1)[0])
            raise
