"""The suite's scenarios for an authorization server, against the whole product. A person of the test's own signs in."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from functions.gateway.settings import Settings
from functions.local import start
from tests.clients.consent import sign_in
from tests.mcp_endpoint.endpoint import listen
from tests.patience import STUCK_SECONDS

WAITS = "Waiting up to 5 minutes"
"""The suite says this when it wants a person to open the address above."""

FOLDER = re.compile(r"authorization-server-(?P<scenario>[a-z-]+?)-\d{4}-\d\d-\d\dT[\d-]+Z")
"""The folder of one scenario's results."""

RUN_SECONDS = 120
"""Longest time of the run; a usual one takes 2 s."""


@dataclass(frozen=True)
class Outcome:
    """One scenario: its checks by status."""

    name: str
    passed: int
    warned: int
    failed: int

    @property
    def cell(self) -> str:
        """The passed checks of all checks."""
        verdict = "fails" if self.failed else "warns" if self.warned else "passes"
        return f"{verdict} {self.passed}/{self.passed + self.warned + self.failed}"


def outcomes(suite: Sequence[str | Path]) -> list[Outcome]:
    """What each scenario came to. `suite` starts the program of the suite."""
    with (
        tempfile.TemporaryDirectory() as folder,
        start(Settings(state_dir=folder), {}, audit_stream=io.StringIO()) as ready,
        httpx.Client(base_url=ready.base_url, timeout=STUCK_SECONDS, trust_env=False, verify=False) as product,
        tempfile.TemporaryDirectory() as results,
    ):
        operator = {"Authorization": f"Bearer {ready.api_token}"}
        server = product.post(
            f"/integrated-account/{ready.account_id}/mcp",
            json={"config": {"require_api_token_auth": True}},
            headers=operator,
        ).json()
        person = product.post("/api-token", json={"name": "p", "scopes": ["connect"]}, headers=operator).json()
        callback, origin = listen()
        callback.close()
        port = origin.rsplit(":", 1)[1]
        client = product.post("/oauth/register", json={"redirect_uris": [f"{origin}/callback"]}).json()
        _run(
            [
                *suite,
                "authorization",
                *("--url", f"{ready.base_url}/oauth", "--client-id", client["client_id"]),
                *("--resource", server["url"], "--port", port, "--output-dir", results),
            ],
            person["token"],
        )
        found = {FOLDER.fullmatch(path.name): path / "checks.json" for path in sorted(Path(results).iterdir())}
        return [_outcome(match["scenario"], json.loads(path.read_text())) for match, path in found.items() if match]


def _run(arguments: Sequence[str | Path], api_token: str) -> None:
    """Run the suite; sign in where it asks a person to."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        impatience = threading.Timer(RUN_SECONDS, process.kill)
        impatience.start()
        address = ""
        for line in process.stdout:
            if line.startswith("http"):
                address = line.strip()
            if line.startswith(WAITS):
                httpx.get(sign_in(address, api_token), trust_env=False, verify=False, timeout=STUCK_SECONDS)
        impatience.cancel()


def _outcome(scenario: str, checks: list[dict[str, str]]) -> Outcome:
    statuses = Counter(check["status"] for check in checks)
    return Outcome(scenario, statuses["SUCCESS"], statuses["WARNING"], statuses["FAILURE"] + statuses["SKIPPED"])
