"""Snippets over HTTP: what to paste into each client."""

from __future__ import annotations

import pytest

from functions.client_formats import CLIENTS, snippet
from tests.admin_api.conftest import Plane

URL = "https://postern.example/mcp/" + "t" * 43


def test_every_client_has_the_snippet_that_the_command_line_prints(plane: Plane) -> None:
    for _ in range(3):
        shown = plane.ok("POST", "/snippet", {"url": URL, "name": "support", "api_token_env": "SECOND"})["result"]
    assert [one["client"] for one in shown] == list(CLIENTS)
    for one in shown:
        made = snippet(one["client"], URL, "support", "SECOND")
        assert one == {"client": made.client, "kind": made.kind, "where": made.where, "text": made.text,
                       "notes": list(made.notes)}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"url": "ftp://x"}, "the URL is not an http or https address; give the MCP URL that was printed"),
        ({"url": URL, "name": "my memory"}, 'the name is "my memory"; it must be 1 to 64 letters'),
        ({"url": URL, "api_token_env": "pst_x y"}, "the variable for the API token is not the name of a variable"),
        ({"url": ""}, "the URL is not an http or https address"),
    ],
)
def test_what_a_format_could_not_hold_is_refused(plane: Plane, body: dict[str, str], message: str) -> None:
    assert plane.refused("POST", "/snippet", body, status=400)["message"].startswith(message)


def test_the_url_is_in_no_log(plane: Plane) -> None:
    plane.ok("POST", "/snippet", {"url": URL})
    assert "t" * 43 not in plane.lines.getvalue() + plane.decision_lines.getvalue()
