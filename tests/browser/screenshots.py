"""Draw the pictures of the README and of docs/: python -m tests.browser.screenshots FOLDER (`make pictures`)

Each is what a browser or a terminal shows of a real endpoint. It needs tests/browser/install and
`tests/clients/install node`.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import httpx

from functions import local
from functions.gateway.grants import write_time
from functions.gateway.settings import Settings
from tests.browser.conftest import QUIET, Console, chromium_path, driving
from tests.browser.test_views import OF_ADA, SEARCH, Host, hosting
from tests.clients.test_oauth_clients import NODE, NODE_PROGRAM
from tests.gateway.loopback import unused_origin
from tests.patience import STUCK_SECONDS

SERVERS = {"support agent": "support", "nightly CI": "platform", "release notes": "platform"}
FACTS = (
    "Ada prefers window seats on long flights.",
    "Ada likes to sit in the quiet carriage of a train.",
    "Ada is allergic to peanuts.",
)
QUALITY = 60
"""Of the JPEG files, in per cent: letters stay sharp, and a picture stays below 100 kB."""


INSPECTOR = (
    NODE / "node_modules" / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
)

SESSION = (
    "postern server create --name 'ada at work' --profile core --pin user_id=ada --expires-in 1h --quiet",
    "postern call mem_0_memories_remember user_id=ada 'facts:=[\"Ada prefers window seats on long flights.\"]'",
    "postern call mem_0_memories_search query='where does Ada like to sit' filters.user_id=ada",
    "postern server revoke 'ada at work'",
)
"""What a person types in the picture of a terminal."""

TO_THE_LEFT = "for (const one of document.querySelectorAll('*')) one.scrollLeft = 0"
"""A click may have scrolled a page sideways."""

TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #16181d }}
pre {{ margin: 0; padding: 20px 24px; width: max-content; color: #d7dae0; font: 13px/1.4 monospace }}
b {{ color: #7ee0a4 }}
</style><pre>{}</pre>"""


def terminal(chromium: Any, state: str, folder: Path) -> None:
    """The commands of SESSION with what they print, secrets cut."""
    environment = {**os.environ, "POSTERN_STATE_DIR": state, "COLUMNS": "110"}
    parts = []
    for command in SESSION:
        words = [sys.executable, "-m", "functions.cli", *shlex.split(command)[1:]]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=STUCK_SECONDS)
        said = re.sub(r"(/mcp/\w{6})[\w-]{37}", r"\1...", done.stdout).rstrip()
        parts.append(f"<b>$</b> {escape(command)}\n{escape(said)}")
    page = chromium.new_page(viewport={"width": 1000, "height": 200})
    page.set_content(TERMINAL.format("\n\n".join(parts)))
    page.locator("pre").screenshot(path=folder / "terminal.png")
    page.close()


def inspector(chromium: Any, console: Console, folder: Path) -> None:
    """The MCP Inspector, connected to the URL of one person, after a search."""
    config = {"profile": "core", "pins": {"user_id": "ada"}}
    body = {"name": "ada", "config": config, "expires_at": write_time(datetime.now(UTC) + timedelta(hours=1))}
    url = console.api("POST", f"/integrated-account/{console.ready.account_id}/mcp", body)["url"]
    facts = {"name": "mem_0_memories_remember", "arguments": {"facts": list(FACTS)}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": facts}
    httpx.post(url, json=message, timeout=STUCK_SECONDS, trust_env=False).raise_for_status()
    origin = unused_origin()
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "HOME": home,
            "CLIENT_PORT": origin.rpartition(":")[2],
            "MCP_AUTO_OPEN_ENABLED": "false",
            "DANGEROUSLY_OMIT_AUTH": "true",
            "MCP_INSPECTOR_SECRET_STORE": "memory",
        }
        words = [
            str(NODE_PROGRAM),
            str(INSPECTOR),
            "--web",
            "--transport",
            "http",
            "--server-url",
            url,
            "--protocol-era",
            "auto",
        ]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "Sandbox" in line:
                    break
            page = chromium.new_page(viewport={"width": 1264, "height": 560}, reduced_motion="reduce")
            page.goto(origin)
            page.get_by_role("switch", name="Connect or disconnect").click(force=True)
            page.get_by_role("button", name="Disconnect from server").wait_for()
            page.get_by_text("Tools", exact=True).first.click()
            page.get_by_role("button", name="Close monitoring sidebar").click()
            page.get_by_text("mem_0_memories_search").first.click()
            page.get_by_label("query").first.fill("where does Ada like to sit")
            page.get_by_role("button", name="Execute Tool").click()
            page.get_by_text("quiet carriage").first.wait_for()
            page.evaluate(TO_THE_LEFT)
            page.screenshot(path=folder / "inspector.png")
        finally:
            process.terminate()
            process.communicate()


def main(folder: Path) -> None:
    """Draw them."""
    with tempfile.TemporaryDirectory() as state:
        environment = {"POSTERN_STATE_DIR": state}
        settings = Settings.from_environment(environment)
        with local.start(settings, environment, audit_stream=io.StringIO()) as ready, driving() as driver:
            chromium = driver.chromium.launch(executable_path=chromium_path(), args=list(QUIET))
            console = Console(ready, chromium.new_page(viewport={"width": 1200, "height": 720}))
            expires_at = write_time(datetime.now(UTC) + timedelta(days=3))
            for name, team in SERVERS.items():
                body = {
                    "name": name,
                    "labels": {"team": team},
                    "expires_at": expires_at,
                    "config": {"methods": ["read"]},
                }
                console.api("POST", f"/integrated-account/{ready.account_id}/mcp", body)
            console.sign_in()
            console.shows("nightly CI")
            console.page.screenshot(path=folder / "console-servers.jpg", type="jpeg", quality=QUALITY)
            console.open("create")
            console.page.get_by_role("button", name="One person").click()
            console.shows("mem_0_memories_search")
            console.page.screenshot(path=folder / "console-create.jpg", type="jpeg", quality=QUALITY)
            terminal(chromium, state, folder)
            inspector(chromium, console, folder)
            with hosting() as origin:
                host = Host(ready, origin, chromium.new_page(viewport={"width": 720, "height": 520}))
                host.connect()
                host.remember(*FACTS)
                host.show(SEARCH, {"query": "where does Ada like to sit", "threshold": 0, **OF_ADA})
                host.view.get_by_role("button", name="Delete", exact=True).first.click()
                host.view.get_by_text("for good?").wait_for()
                host.page.screenshot(path=folder / "memory-app.jpg", type="jpeg", quality=QUALITY)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
