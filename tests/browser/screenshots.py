"""Draw the pictures of docs/console.md and docs/memory-app.md: python -m tests.browser.screenshots FOLDER

It needs tests/browser/install and `tests/clients/install node`.
"""

from __future__ import annotations

import io
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from functions import local
from functions.gateway.grants import write_time
from functions.gateway.settings import Settings
from tests.browser.conftest import QUIET, Console, chromium_path, driving
from tests.browser.test_views import OF_ADA, SEARCH, Host, hosting

SERVERS = {"support agent": "support", "nightly CI": "platform", "release notes": "platform"}
FACTS = (
    "Ada prefers window seats on long flights.",
    "Ada likes to sit in the quiet carriage of a train.",
    "Ada is allergic to peanuts.",
)
QUALITY = 60
"""Of the JPEG files, in per cent: letters stay sharp, and a picture stays below 100 kB."""


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
