"""What hosts ask of a server, against the whole product over HTTP. Each test names whose rule it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from functions.gateway.json_text import Json
from tests.clients.product import ADD, LIST, Product
from tests.patience import STUCK_SECONDS, until
from tool_catalog.compiled_file import available, load

CLAUDE_RESULT_CHARS = 150_000
"""Longest result that Claude takes."""


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, verify=False, timeout=STUCK_SECONDS) as client:
        yield client


def _result(http: httpx.Client, url: str, method: str, params: Json = None) -> Json:
    """The result of a legacy request, as ChatGPT, Claude, Cursor and VS Code send them."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, **({"params": params} if params else {})}
    answer = http.post(url, json=message, headers={"accept": "application/json, text/event-stream"})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def _call(http: httpx.Client, url: str, name: str, **arguments: Json) -> Json:
    return _result(http, url, "tools/call", {"name": name, "arguments": arguments})


@pytest.mark.parametrize("integration", available())
def test_every_tool_says_what_it_does_to_the_world(integration: str) -> None:
    """OpenAI app submission: all hints explicit. Claude directory: a title, and names of at most 64 characters."""
    for tool in load(integration).tools.values():
        annotations = tool.definition["annotations"]
        for hint in ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"):
            assert isinstance(annotations[hint], bool), (tool.name, hint)
        assert tool.definition["title"]
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool.name)


@pytest.mark.parametrize("integration", available())
def test_the_essential_comes_in_the_first_512_characters(integration: str) -> None:
    """OpenAI: of `instructions`, 512 characters are sure to be read. What goes wrong most is where entity ids go."""
    assert '{"filters": {"user_id": "usr_98765"}}' in load(integration).instructions[:512]


def test_chatgpt_s_search_and_fetch_answer_in_their_one_shape(product: Product, http: httpx.Client) -> None:
    """OpenAI deep research and company knowledge: search(query) and fetch(id), one text block of JSON each; also on a
    server that ends within minutes."""
    url = product.mint(minutes=5, pins={"user_id": "usr_research"})
    text = "The quarterly report is due on Friday; Anna writes it."
    added = _call(http, url, ADD, messages=[{"role": "user", "content": text}], infer=False)
    assert added["structuredContent"]["status"] == "SUCCEEDED"
    [block] = _call(http, url, "search", query="quarterly report")["content"]
    [found] = json.loads(block["text"])["results"]
    assert set(found) == {"id", "title", "url"}
    [block] = _call(http, url, "fetch", id=found["id"])["content"]
    fetched = json.loads(block["text"])
    assert fetched["text"] == text
    assert {"id", "title", "text", "url"} <= set(fetched)
    assert len(_call(http, url, LIST)["content"]) == 2, "other tools tell that the end is near"


def test_no_result_is_longer_than_claude_takes(product: Product, http: httpx.Client) -> None:
    """Claude: about 150,000 characters of a result."""
    url = product.mint()
    for number in range(30):
        content = f"{number} " + "long " * 1_800
        _call(http, url, ADD, messages=[{"role": "user", "content": content}], user_id="usr_long", infer=False)

    def cut() -> Json:
        result = _call(http, url, LIST, filters={"user_id": "usr_long"}, limit=100)
        return result if "_postern" in result["structuredContent"] else None

    result = until(cut, "the list is cut")
    assert len(result["content"][0]["text"]) < CLAUDE_RESULT_CHARS
    assert result["structuredContent"]["next_cursor"]


@pytest.mark.parametrize("suffix", ["", "/mcp", "/mcp/{token}"])
@pytest.mark.parametrize("probe", ["oauth-protected-resource", "oauth-authorization-server", "openid-configuration"])
def test_claude_and_cursor_find_no_sign_in(product: Product, http: httpx.Client, probe: str, suffix: str) -> None:
    """Claude: a 200, 401 or redirect at these paths breaks a connector without sign-in; Cursor: metadata there makes it
    ignore configured headers."""
    token = product.mint().rsplit("/", 1)[1]
    path = f"/.well-known/{probe}" + suffix.format(token=token)
    answer = http.get(product.ready.base_url + path)
    assert (answer.status_code, answer.history) == (404, [])
    assert "www-authenticate" not in answer.headers
    assert http.post(f"{product.ready.base_url}/register", json={}).status_code == 404


def test_vs_code_gets_no_redirect(product: Product, http: httpx.Client) -> None:
    """VS Code: a redirected POST is not followed reliably."""
    url = product.mint()
    for form in (url, f"{url}/"):
        assert _result(http, form, "ping") == {}


def test_a_page_of_this_machine_may_call_and_no_other_page_and_no_foreign_name(
    product: Product, http: httpx.Client
) -> None:
    """MCP Inspector in a browser: CORS. DNS rebinding: a foreign Host is refused on a laptop."""
    url = product.mint()
    preflight = http.options(
        url,
        headers={
            "origin": "http://localhost:6274",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,mcp-method,mcp-name,mcp-protocol-version,x-api-key",
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "http://localhost:6274"
    assert http.options(url, headers={"origin": "https://evil.example"}).status_code == 403
    rebound = http.post(url, json={}, headers={"host": "evil.example"})
    assert rebound.status_code == 421
