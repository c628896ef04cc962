"""What a model sees of other APIs holds no word of Mem0: definitions, instructions, results, errors of wrong calls."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from functions.gateway import selection
from functions.gateway.grants import ServerConfig
from functions.gateway.outcomes import Done, Failed, UnknownTool
from functions.gateway.prepared import prepare
from functions.mcp_endpoint.methods import instructions
from tests.gateway.calling import call_once, grant
from tests.gateway.conftest import upstream  # noqa: F401 - a fixture
from tests.gateway.loopback import Upstream, answer
from tool_catalog.building import build
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_document import to_bytes
from tool_catalog.compiled_file import read

Json = Any

RECORDS = Path(__file__).parent / "records"

FOREIGN = re.compile(r"mem_?0|memor(y|ies)|\b(user|agent|app|run)_id\b|usr_|event_id", re.IGNORECASE)
"""Words of Mem0's API."""


def loaded(name: str) -> Catalog:
    document, problems = build(RECORDS / name)
    assert problems == []
    assert document is not None
    return read(to_bytes(document), f"{name}.json")


TICKETS, SHOP, BOARD = loaded("tickets"), loaded("shop"), loaded("board")
LONG = "x" * 4_000
ANSWERS: dict[str, Json] = {
    "tickets": {"data": {"tickets": [{"number": n, "subject": LONG} for n in range(200)]}, "more": True},
    "shop": {"orders": [{"reference": f"A-{n}", "total": 100, "note": LONG} for n in range(200)]},
    "board": {"cards": [{"key": f"k{n}", "headline": LONG} for n in range(200)]},
}


def told(catalog: Catalog, origin: str, tool: str, arguments: Json, **config: Any) -> str:
    """The text of a call's result, as a model reads it."""
    outcome = call_once(catalog, origin, tool, arguments, config=ServerConfig(**config), team="north")
    match outcome:
        case Done():
            return json.dumps(outcome.body, ensure_ascii=False)
        case Failed():
            return json.dumps(outcome.envelope(), ensure_ascii=False)
        case UnknownTool():
            return outcome.message


@pytest.mark.parametrize("catalog", [TICKETS, SHOP, BOARD], ids=lambda catalog: catalog.integration)
@pytest.mark.parametrize("pinned", [False, True])
def test_what_is_listed_names_nothing_of_another_integration(catalog: Catalog, pinned: bool) -> None:
    config = ServerConfig(pins=dict.fromkeys(catalog.pinnable[:1], "one") if pinned else {})
    texts = [instructions(grant(config=config), catalog)]
    texts += [prepare(tool, config).wire.decode() for tool in selection.visible(catalog, config)]
    assert not [text for text in texts if FOREIGN.search(text)]


WRONG_CALLS: list[tuple[Catalog, str, Json]] = [
    (TICKETS, "list_all_tickets_tickets", {"fields": "number,subject"}),
    (TICKETS, "list_all_tickets_tickets", {"fields": "{a: nothing}"}),
    (TICKETS, "list_all_tickets_tickets", {"number": 7}),
    (TICKETS, "list_all_tickets_tickets", {"labels": "urgent", "limit": 500}),
    (TICKETS, "list_all_tickets_tickets", {"next_cursor": "page 2"}),
    (TICKETS, "list_all_tickets_tickets", {"max_tokens": 100}),
    (TICKETS, "get_single_tickets_ticket_by_id", {"number": 7}),
    (TICKETS, "create_a_tickets_ticket", {}),
    (TICKETS, "tickets_tickets_assign", {"body": [{"number": "7"}]}),
    (TICKETS, "list_tickets", {}),
    (SHOP, "list_all_shop_orders", {"customer_id": "c-17"}),
    (SHOP, "list_all_shop_orders", {"filters": {"customer_id": "c-17"}}),
    (SHOP, "list_all_shop_orders", {"fields": "reference"}),
    (SHOP, "shop_orders_find", {"customer_id": "c-17"}),
    (SHOP, "shop_orders_find", {"where": {"customer": "c-17"}}),
    (SHOP, "shop_orders_find", {"filters": {"where": {"state": "paid"}}}),
    (SHOP, "get_single_shop_order_by_id", {"id": "A-1"}),
    (BOARD, "board_cards_query", {"owner": "ada"}),
    (BOARD, "board_cards_query", {"query": {"owner": "ada"}}),
    (BOARD, "board_cards_query", {"query": {"logic": "xor", "conditions": []}}),
    (BOARD, "board_cards_query", {"query": {"logic": "or", "conditions": []}, "fields": "key"}),
]


@pytest.mark.parametrize(("catalog", "tool", "arguments"), WRONG_CALLS)
def test_the_errors_of_typical_wrong_calls_name_nothing_of_another_integration(
    upstream: Upstream,  # noqa: F811
    catalog: Catalog,
    tool: str,
    arguments: Json,
) -> None:
    upstream.answers(answer(200, ANSWERS[catalog.integration]))
    for pins in ({}, dict.fromkeys(catalog.pinnable, "one")):
        text = told(catalog, upstream.origin, tool, arguments, pins=pins)
        assert not FOREIGN.search(text), text


@pytest.mark.parametrize(
    ("catalog", "tool", "arguments", "way"),
    [
        (
            TICKETS,
            "list_all_tickets_tickets",
            {},
            'select fewer fields, e.g. fields="{number: number, subject: subject}"',
        ),
        (SHOP, "list_all_shop_orders", {}, 'select fewer fields, e.g. fields="{reference: reference, total: total}"'),
        (SHOP, "shop_orders_find", {"where": {"state": "paid"}}, 'e.g. fields="{reference: reference, total: total}"'),
        (
            BOARD,
            "board_cards_query",
            {"query": {"logic": "or", "conditions": []}},
            'select fewer fields, e.g. fields="{key: key, headline: headline}"',
        ),
    ],
)
def test_a_result_that_is_cut_says_how_to_get_the_rest_in_the_words_of_its_own_tool(
    upstream: Upstream,  # noqa: F811
    catalog: Catalog,
    tool: str,
    arguments: Json,
    way: str,
) -> None:
    upstream.answers(answer(200, ANSWERS[catalog.integration]))
    body = json.loads(told(catalog, upstream.origin, tool, arguments))
    assert way in body["_postern"]["truncated"]["how_to_get_the_rest"]
    assert not FOREIGN.search(json.dumps(body))


def test_a_filter_that_is_a_string_gets_no_advice_to_nest_an_id_in_it(upstream: Upstream) -> None:  # noqa: F811
    body = json.loads(told(SHOP, upstream.origin, "list_all_shop_orders", {"customer_id": "c-17"}))
    assert body["message"] == (
        'list_all_shop_orders: unknown argument "customer_id"; valid: filters, limit, next_cursor, fields, max_tokens'
    )
    body = json.loads(told(SHOP, upstream.origin, "shop_orders_find", {"customer_id": "c-17"}))
    assert body["message"] == (
        'shop_orders_find: "customer_id" is not a top-level argument; nest it: {"where": {"customer_id": "c-17"}}\n'
        'shop_orders_find: corrected: {"where": {"customer_id": "c-17"}}'
    )
    assert upstream.requests == []


def test_a_pin_is_kept_by_the_tools_that_can_keep_it_and_the_others_are_not_offered(
    upstream: Upstream,  # noqa: F811
) -> None:
    pins = {"customer_id": "c-17"}
    shown = [tool.name for tool in selection.visible(SHOP, ServerConfig(pins=pins))]
    assert shown == ["shop_orders_find", "get_single_shop_order_by_id"]
    assert selection.visible(BOARD, ServerConfig(pins={"owner": "ada"})) == ()
    upstream.answers(answer(200, {"orders": []}))
    told(SHOP, upstream.origin, "shop_orders_find", {"where": {"state": "paid"}}, pins=pins)
    assert json.loads(upstream.requests[0].body) == {"where": {"state": "paid", "customer_id": "c-17"}}
    text = told(SHOP, upstream.origin, "shop_orders_find", {"where": {"customer_id": "c-18"}}, pins=pins)
    assert 'customer_id is \\"c-18\\", but this server is pinned to customer_id=\\"c-17\\"' in text
    assert len(upstream.requests) == 1
    other = {"logic": "or", "conditions": [{"field": "owner", "op": "eq", "value": "bob"}]}
    assert "no tool" in told(BOARD, upstream.origin, "board_cards_query", {"query": other}, pins={"owner": "ada"})
    assert len(upstream.requests) == 1
