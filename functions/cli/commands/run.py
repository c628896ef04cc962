"""`postern run`: a memory for the agents of this machine, over a URL or over standard input and output."""

from __future__ import annotations

import contextlib
import logging
import shlex
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from functions.cli import stdio_bridge
from functions.cli.command import declaration, flag
from functions.cli.commands.serve import Serve, settings_from
from functions.cli.connection import read_local
from functions.cli.invocation import Failed, Invocation
from functions.cli.program import program
from functions.cli.state_dir import state_dir
from functions.client_formats import snippet
from functions.gateway import json_text

if TYPE_CHECKING:
    from functions.local import Ready


RUN = declaration("run")


@dataclass(frozen=True, kw_only=True)
class Run(Serve):
    """The words of `run`."""

    stdio: bool = flag("speak MCP on standard input and output, for a client that starts it")


@RUN.alone(Run)
def _run(invocation: Invocation[Run]) -> None:
    settings = replace(settings_from(invocation), state_dir=state_dir(invocation.environment))
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
    if invocation.options.stdio:
        _run_stdio(invocation, settings)
        return
    terminal = invocation.terminal
    with contextlib.ExitStack() as starting:
        starting.enter_context(terminal.waiting("starting the endpoint and connecting the account"))
        from functions import local  # late: the planes and the memory take a while to import
        from functions.memory_engine.settings import SettingsError as MemorySettingsError

        def on_ready(ready: Ready) -> None:
            starting.close()
            terminal.result(asdict(ready), greeting(ready, settings.state_dir, program(invocation.environment)))

        number = local.PORT if invocation.options.port is None else invocation.options.port
        try:
            local.run(settings, invocation.environment, number, on_ready, terminal.note, personal=True)
        except (local.LocalError, MemorySettingsError) as error:
            raise Failed(str(error)) from None
    terminal.note("Stopped. The memories are kept, and the URL works again after the next start.")


def _run_stdio(invocation: Invocation[Run], settings: Any) -> None:
    """Serve one client. An endpoint that runs already is used, so that several clients share one memory."""
    from functions import local
    from functions.memory_engine.settings import SettingsError as MemorySettingsError

    terminal = invocation.terminal
    with contextlib.ExitStack() as stack:
        try:
            number = invocation.options.port or 0
            started = local.start(settings, invocation.environment, number, tell=terminal.note, personal=True)
            url = stack.enter_context(started).mcp_url
        except local.Occupied as busy:
            running = read_local(invocation.environment)
            if running is None or running.mcp_url is None:
                raise Failed(str(busy)) from None
            url = running.mcp_url
        except (local.LocalError, MemorySettingsError) as error:
            raise Failed(str(error)) from None
        stdio_bridge.serve(terminal.stdin, terminal.out, url)


def greeting(ready: Ready, folder: str, program: str) -> str:
    """What a person needs to give the memory to a client, and to try it."""
    url, called = ready.mcp_url, shlex.quote(program)
    started = json_text.spaced({"mcpServers": {"memory": {"command": program, "args": ["run", "--stdio"]}}})
    fact = shlex.quote('facts:=["I like window seats."]')
    return f"""\
Your memory is ready: {ready.connected_to}

  MCP URL      {url}
               It is a secret, and pinned to the user {ready.user_id}: a client reads and writes their memories only.
  Console      {ready.console_url}
               It shows the memories in a browser. The link signs you in once; later, run: {called} console

Paste
  Claude Code  {snippet("claude-code", url).text}
  Cursor       {json_text.spaced({"mcpServers": {"memory": {"url": url}}})}
  a client that starts programs
               {started}

Try, in another shell
  {called} call mem_0_memories_remember {fact}
  {called} call mem_0_memories_search query=seats
  {called} serve                             to choose tools and pins, and to mint more URLs

Ctrl-C stops it. {called} service install starts it whenever you sign in. The memories are in {folder}."""
