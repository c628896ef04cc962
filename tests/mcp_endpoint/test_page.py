"""An MCP URL opened in a browser."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import timedelta

import pytest

from tests.mcp_endpoint.endpoint import Answer, Bench, exchange

BROWSER = (("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),)


def opened(bench: Bench, path: str) -> Answer:
    return exchange(bench.endpoint(), "GET", path, BROWSER)


def text(answer: Answer) -> str:
    return answer.body.decode()


def test_a_live_url_shows_how_to_add_it_and_when_it_ends_and_no_secret(bench: Bench) -> None:
    token = bench.mint(lives=timedelta(hours=2))
    for _ in range(3):
        answer = opened(bench, f"/mcp/{token}")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        ends = bench.clock.now + timedelta(hours=2)
        assert f'It works until <time datetime="{ends.isoformat().replace("+00:00", "Z")}">' in text(answer)
        for client in ("Claude Code", "ChatGPT", "Cursor", "VS Code", "Codex", "Gemini CLI", "Zed", "Windsurf"):
            assert client in text(answer)
        assert token not in text(answer)
        assert "mem_0" not in text(answer)
        assert "memor" not in text(answer)


def test_a_url_without_an_end_says_so(bench: Bench) -> None:
    assert "It works until it is revoked." in text(opened(bench, f"/mcp/{bench.mint(lives=None)}"))


def test_a_url_that_requires_an_api_token_has_its_page(bench: Bench) -> None:
    assert opened(bench, f"/mcp/{bench.mint(require_api_token_auth=True)}").status == 200


def test_a_dead_token_of_any_kind_has_the_page_of_no_token(bench: Bench) -> None:
    expired = bench.mint(lives=timedelta(seconds=1))
    bench.clock.move(seconds=1)
    pages = [opened(bench, path) for path in ("/mcp", "/mcp/", f"/mcp/{expired}", f"/mcp/{'x' * 43}", "/mcp/short")]
    assert {page.status for page in pages} == {404}
    assert len({page.body for page in pages}) == 1
    assert len({tuple(sorted(page.headers.items())) for page in pages}) == 1
    assert "unknown, revoked or expired" in text(pages[0])


def test_the_policy_admits_the_style_of_the_page_and_nothing_else(bench: Bench) -> None:
    answer = opened(bench, f"/mcp/{bench.mint()}")
    [style] = re.findall("<style>(.*)</style>", text(answer))
    sha = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{sha}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert "<script" not in text(answer)
    assert " style=" not in text(answer)


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json, text/event-stream", "*/*", ""])
def test_a_client_that_opens_an_event_stream_is_refused_as_before(bench: Bench, accept: str) -> None:
    answer = exchange(bench.endpoint(), "GET", f"/mcp/{bench.mint()}", (("accept", accept),))
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
