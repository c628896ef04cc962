"""The whole product on loopback, for clients to connect to: both planes, the embedded memory, and a clock to move."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from functions.gateway.grants import write_time
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.local import Ready, start
from functions.mcp_endpoint.admission import REQUIRED
from tests.mcp_endpoint.endpoint import Clock
from tests.patience import STUCK_SECONDS

NO_API_TOKEN = REQUIRED.partition(" (")[0]

LIST = "list_all_mem_0_memories"
ADD = "create_a_mem_0_memory"
SEARCH = "mem_0_memories_search"

_NUMBERS = itertools.count(1)
"""For names of API tokens, which are unique."""

FILTERS = {"filters": {"user_id": "usr_98765"}}


@dataclass(frozen=True)
class Product:
    """What runs, and the clock it goes by."""

    ready: Ready = field(repr=False)
    clock: Clock

    @property
    def dead_url(self) -> str:
        """A well-formed URL that never was."""
        return f"{self.ready.base_url}/mcp/{'A' * 43}"

    def mint(self, *, minutes: float | None = None, **config: Json) -> str:
        """URL of a new server, made through the management API."""
        body = {
            "config": config,
            "expires_at": None if minutes is None else write_time(self.clock.now + timedelta(minutes=minutes)),
        }
        return str(self._ask(f"/integrated-account/{self.ready.account_id}/mcp", body)["url"])

    def issue_api_token(self) -> str:
        """An API token, made through the management API."""
        return str(self._ask("/api-token", {"name": f"For clients {next(_NUMBERS)}", "scopes": ["connect"]})["token"])

    def _ask(self, path: str, body: Json) -> Json:
        headers = {"Authorization": f"Bearer {self.ready.api_token}"}
        answer = httpx.post(
            self.ready.base_url + path, json=body, headers=headers, trust_env=False, verify=False, timeout=STUCK_SECONDS
        )
        assert answer.status_code == 201, answer.text
        return answer.json()


@contextmanager
def running(folder: Path) -> Iterator[Product]:
    """The product, for as long as the context is open."""
    clock = Clock(datetime.now(UTC))
    with start(Settings(state_dir=str(folder)), {}, clock=clock, audit_stream=io.StringIO()) as ready:
        yield Product(ready, clock)
