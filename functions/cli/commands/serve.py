"""`postern serve`: run the whole endpoint on this machine, and print what to paste into each client."""

from __future__ import annotations

import contextlib
import logging
import shlex
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from functions.cli.command import Shared, declaration, number, option
from functions.cli.invocation import Failed, Invocation
from functions.cli.state_dir import state_dir
from functions.client_formats import CLIENTS, is_public, snippet
from functions.gateway import json_text
from functions.gateway.settings import Settings, SettingsError

if TYPE_CHECKING:
    from functions.local import Ready


SERVE = declaration("serve")


@dataclass(frozen=True, kw_only=True)
class Serve(Shared):
    """The words of `serve`."""

    port: int | None = option("the port on 127.0.0.1 (default: 8765; 0: any free port)", "N", read=number(0, 65_535))


def settings_from(invocation: Invocation[Shared]) -> Settings:
    """The settings of this process. Raises Failed, naming every invalid variable."""
    try:
        return Settings.from_environment(invocation.environment)
    except SettingsError as error:
        raise Failed(str(error)) from None


@SERVE.alone(Serve)
def _serve(invocation: Invocation[Serve]) -> None:
    options, terminal = invocation.options, invocation.terminal
    settings = replace(settings_from(invocation), state_dir=state_dir(invocation.environment))
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
    with contextlib.ExitStack() as starting:
        starting.enter_context(terminal.waiting("starting the endpoint and connecting the account"))
        from functions import local  # late: the planes and the memory take a while to import
        from functions.memory_engine.settings import SettingsError as MemorySettingsError

        def on_ready(ready: Ready) -> None:
            starting.close()
            terminal.result(asdict(ready), greeting(ready, settings.state_dir))

        try:
            number = local.PORT if options.port is None else options.port
            local.run(settings, invocation.environment, number, on_ready, terminal.note)
        except (local.LocalError, MemorySettingsError) as error:
            raise Failed(str(error)) from None
    terminal.note("Stopped. The state is kept, so the URL works again after the next start.")


def greeting(ready: Ready, state_dir: str) -> str:
    """What a person needs when the endpoint runs: the upstream, the secrets, and what to paste into each client."""
    url = ready.mcp_url
    cursor = json_text.spaced({"mcpServers": {"postern": {"url": url}}})
    vscode = shlex.quote(json_text.spaced({"name": "postern", "type": "http", "url": url}))
    chatgpt = (
        f"Plugins, +, Add custom MCP server, No authentication: {url}"
        if is_public(url)
        else "reaches only public https addresses, not this one; run: postern snippet --client chatgpt"
    )
    others = " ".join(name for name in CLIENTS if name not in ("claude-code", "cursor", "vscode"))
    return f"""\
Postern is ready on {ready.base_url}, connected to {ready.connected_to}

  MCP URL      {url}
  API token    {ready.api_token}
               Both are secrets. The URL opens the tools; the API token manages this endpoint.
  account      {ready.account_id}
  Console      {ready.console_url}
               This link signs you in once; later, run: postern console

Paste
  Claude Code  {snippet("claude-code", url).text}
  Cursor       into ~/.cursor/mcp.json:
               {cursor}
  VS Code      code --add-mcp {vscode}
  ChatGPT      {chatgpt}
  others       postern snippet --client NAME, with one of: {others}

Try, in another shell
  postern call create_a_mem_0_memory user_id=me 'messages:=[{{"role": "user", "content": "I like window seats."}}]'
  postern call mem_0_memories_search query=seats filters.user_id=me
  postern server create --methods read --expires-in 15m

Ctrl-C stops the endpoint. Its state is in {state_dir}; after a restart the URL works again."""
