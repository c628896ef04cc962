"""A tool and its arguments become exactly one request."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from functions.gateway import errors, requests
from functions.gateway.json_text import Json
from functions.gateway.paging import Position
from functions.gateway.requests import UpstreamRequest
from tests.gateway.calling import tool
from tool_catalog.request_template import ANY_KIND, FORM_MEDIA_TYPE, Pagination, Parameter

BASE = "https://api.example.com"


def built(entry: Any, arguments: dict[str, Json], base_url: str = BASE, **context: str) -> UpstreamRequest:
    return requests.build(entry, arguments, base_url, context)


def query(value: Json, **how: Any) -> str:
    entry = tool("GET", "/x", Parameter("query", "a", "a", **how))
    return built(entry, {"a": value}).url.removeprefix(f"{BASE}/x")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("a b&c=d/é+f", "?a=a%20b%26c%3Dd%2F%C3%A9%2Bf"),
        (True, "?a=true"),
        (1.0, "?a=1"),
        (0.1, "?a=0.1"),
        (10**30, f"?a={10**30}"),
        (1e22, "?a=10000000000000000000000"),
        (None, ""),
        ("", "?a="),
    ],
)
def test_a_query_value_is_percent_encoded_and_a_number_is_written_as_json_does(value: Json, sent: str) -> None:
    assert query(value) == sent


def test_a_body_is_compact_json_with_what_was_given_and_null_where_null_was_given() -> None:
    entry = tool(
        "POST",
        "/x",
        Parameter("body", "text", "text"),
        Parameter("body", "until", "until"),
        Parameter("body", "never", "never"),
        Parameter("body", "kind", value="note"),
        Parameter("body", "/owner/id", "owner"),
        Parameter("body", "/owner/team", "team"),
        Parameter("result", "fields", "fields"),
    )
    request = built(entry, {"text": "é", "until": None, "owner": 7, "team": "t", "fields": "id"})
    assert request.body == '{"text":"é","until":null,"kind":"note","owner":{"id":7,"team":"t"}}'.encode()
    assert request.headers == (("Content-Type", "application/json"),)


def test_an_argument_with_a_map_is_sent_as_the_expression_makes_it() -> None:
    mapped = Parameter("body", "messages", "facts", map="[*].{role: 'user', content: @}")
    entry = tool("POST", "/x", mapped, Parameter("body", "infer", value=False))
    for facts in (["Anna is 9.", ""], ["Ben: `@`"], []):
        sent = json.loads(built(entry, {"facts": facts}).body or b"")
        assert sent == {"messages": [{"role": "user", "content": fact} for fact in facts], "infer": False}
    assert built(tool("POST", "/x", mapped), {}).body is None


def test_an_argument_that_its_map_does_not_fit_is_refused() -> None:
    entry = tool("POST", "/x", Parameter("body", "n", "n", map="abs(@)"))
    with pytest.raises(errors.WrongArguments, match='"n" cannot be sent'):
        built(entry, {"n": "text"})


def test_a_whole_body_is_sent_as_it_is_and_not_changed() -> None:
    entry = tool("PUT", "/x", Parameter("body", "", "body"), Parameter("body", "kind", value="note"))
    given = {"body": {"a": 1}}
    assert json.loads(built(entry, given).body or b"") == {"a": 1, "kind": "note"}
    assert given == {"body": {"a": 1}}
    bare = tool("PUT", "/x", Parameter("body", "", "body"))
    assert built(bare, {"body": [1, 2]}).body == b"[1,2]"


def test_nothing_given_for_a_body_sends_none() -> None:
    request = built(tool("POST", "/x", Parameter("body", "text", "text")), {})
    assert (request.body, request.headers) == (None, ())


def test_a_form_repeats_lists_leaves_null_out_and_writes_booleans_as_json_does() -> None:
    entry = tool(
        "POST",
        "/x",
        *(Parameter("body", name, name) for name in "abcd"),
        media_type="application/x-www-form-urlencoded",
        access="write",
    )
    request = built(entry, {"a": [1, "x y"], "b": True, "c": None, "d": {"k": 1}})
    assert request.body == b"a=1&a=x+y&b=true&d=%7B%22k%22%3A1%7D"
    assert request.headers == (("Content-Type", "application/x-www-form-urlencoded"),)
    assert not request.safe


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("usr_1", "/u/usr_1/x"),
        ("a/b?c#d%2e", "/u/a%2Fb%3Fc%23d%252e/x"),
        ("{other}", "/u/%7Bother%7D/x"),
        ("...", "/u/.../x"),
        (".hidden", "/u/.hidden/x"),
        ("a..b", "/u/a..b/x"),
        ("é ü", "/u/%C3%A9%20%C3%BC/x"),
        ("https://evil.example/", "/u/https%3A%2F%2Fevil.example%2F/x"),
        ("@evil.example", "/u/%40evil.example/x"),
        (7, "/u/7/x"),
        (7.0, "/u/7/x"),
        (True, "/u/true/x"),
    ],
)
def test_a_path_value_stays_one_segment(value: Json, path: str) -> None:
    entry = tool("GET", "/u/{id}/x", Parameter("path", "id", "id"))
    assert built(entry, {"id": value}).url == BASE + path


@pytest.mark.parametrize(
    "value", ["", ".", "..", "a/../b", "../admin", "x/..", "./x", "a\\..\\b", "a\n", "\0", "\u2028", "x" * 500 + "\n"]
)
def test_a_path_value_that_could_move_the_path_is_refused(value: str) -> None:
    entry = tool("GET", "/u/{user}/x", Parameter("path", "user", "id"))
    with pytest.raises(errors.WrongArguments) as wrong:
        built(entry, {"id": value})
    shown = json.dumps(value if len(value) <= 80 else value[:80] + "...", ensure_ascii=False)
    assert wrong.value.problems == (
        f'"id" is {shown}; it is part of a path and must name one thing: not empty, no control characters, no "." or '
        '".." between slashes',
    )


def test_a_path_value_comes_from_the_arguments_then_the_account_then_the_record() -> None:
    entry = tool("GET", "/o/{org}/", Parameter("path", "org", "org_id", context="org_id", value="default"))
    assert built(entry, {"org_id": "mine"}, org_id="theirs").path == "/o/mine/"
    assert built(entry, {}, org_id="theirs").path == "/o/theirs/"
    assert built(entry, {}).path == "/o/default/"


def test_a_path_value_nobody_gives_is_told() -> None:
    entry = tool(
        "GET",
        "/{a}/{b}/{c}",
        Parameter("path", "a", "a"),
        Parameter("path", "b", "b", context="org_id"),
        Parameter("path", "c", context="project_id"),
    )
    with pytest.raises(errors.WrongArguments) as wrong:
        built(entry, {})
    assert wrong.value.problems == (
        '"a" is missing; it is part of the path',
        '"b" is missing, and this account has no org_id; give it as an argument',
        "c is not known, and this account has no project_id; give it as an argument",
    )


def test_the_base_url_keeps_its_port_and_path_and_loses_a_user_and_password() -> None:
    entry = tool("GET", "/x/")
    assert built(entry, {}, "https://api.example.com:8443/mem0/v2/").url == "https://api.example.com:8443/mem0/v2/x/"
    assert built(entry, {}, "https://me:pw@api.example.com").origin == "https://api.example.com"
    assert built(entry, {}, "https://api.example.com/X/").url == "https://api.example.com/X/x/"


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0", "\x7f"])
def test_a_header_value_that_would_start_another_header_is_refused(value: str) -> None:
    entry = tool("GET", "/x", Parameter("header", "Idempotency-Key", "key"))
    with pytest.raises(errors.WrongArguments) as wrong:
        built(entry, {"key": value})
    assert wrong.value.problems == ('"key" holds a line break or another control character; leave it out',)


def test_a_header_value_is_trimmed_and_may_be_any_text_else() -> None:
    entry = tool("GET", "/x", Parameter("header", "X-A", "a"), Parameter("header", "X-B", "b"))
    assert built(entry, {"a": " é ", "b": None}).headers == (("X-A", "é"),)


def test_a_url_longer_than_http_clients_send_is_told_as_such() -> None:
    with pytest.raises(errors.WrongArguments) as wrong:
        query("x" * 70_000)
    assert wrong.value.problems == (
        "these arguments go into the URL and make it 70028 characters long; at most 65000 are sent",
    )


@pytest.mark.parametrize(
    ("style", "position", "sent"),
    [
        ("page", Position("3", 20), "?page=3&size=20"),
        ("offset", Position("40", 20), "?page=40&size=20"),
        ("cursor", Position("", 20), "?size=20"),
        ("cursor", Position("a=b&c", 20, 5), "?page=a%3Db%26c&size=20"),
    ],
)
def test_a_position_is_sent_in_the_upstreams_own_way(style: str, position: Position, sent: str) -> None:
    pagination = Pagination(style, Parameter("query", "page"), Parameter("query", "size"), 20, 100)  # type: ignore[arg-type]
    entry = tool("GET", "/x", pagination=pagination)
    assert requests.build(entry, {}, BASE, {}, position).url == f"{BASE}/x{sent}"


def test_the_repr_shows_neither_query_nor_headers_nor_body() -> None:
    request = UpstreamRequest("GET", BASE, "/x", "key=s3cret", (("A", "s3cret"),), b"s3cret")
    assert "s3cret" not in repr(request)


@pytest.mark.parametrize(
    ("location", "media_type", "how"),
    [
        ("query", "application/json", {}),
        ("cookie", "application/json", {}),
        ("body", "application/json", {"name": ""}),
        ("body", FORM_MEDIA_TYPE, {"name": ""}),
        ("body", FORM_MEDIA_TYPE, {"style": "form", "explode": True}),
    ],
)
def test_a_member_never_stands_in_for_a_parameter_of_its_own(location: Any, media_type: str, how: Any) -> None:
    """A pinned id is such a parameter: an object that is spread into the same place must not bring another."""
    spread = Parameter(**{"location": location, "name": "more", "argument": "more", **how})
    owner = Parameter(location, "owner", "owner")
    for parameters in ((spread, owner), (owner, spread)):
        entry = tool("POST", "/x", *parameters, media_type=media_type)
        with pytest.raises(errors.WrongArguments) as wrong:
            built(entry, {"owner": "usr_1", "more": {"owner": "usr_2"}})
        assert wrong.value.problems == ('"more" has a member "owner", which the tool sends itself; leave it out there',)
        request = built(entry, {"owner": "usr_1", "more": {"a": 1}})
        sent = f"{request.query} {dict(request.headers).get('Cookie', '')} {(request.body or b'').decode()}"
        assert "usr_1" in sent
        assert '"a":1' in sent or "a=1" in sent


@pytest.mark.parametrize("member", ["owner", "owner[]", "owner[0]", "owner[id]", "where", "where[user_id]"])
@pytest.mark.parametrize("location", ["query", "cookie", "body"])
def test_a_member_is_read_into_no_parameter_of_its_own(location: Any, member: str) -> None:
    """PHP, Rails and others read where[user_id] as a member of where, and owner[] as a value of owner."""
    entry = tool(
        "POST",
        "/x",
        Parameter(location, "more", "more", style="form", explode=True),
        Parameter(location, "owner", "owner"),
        Parameter(location, "where", "where", style="json" if location == "cookie" else "deepObject"),
        media_type=FORM_MEDIA_TYPE,
    )
    arguments = {"owner": "usr_1", "where": {"user_id": "usr_1"}}
    with pytest.raises(errors.WrongArguments) as wrong:
        built(entry, {**arguments, "more": {member: "usr_2", "whereabouts": "Ulm"}})
    assert wrong.value.problems == (f'"more" has a member "{member}", which the tool sends itself; leave it out there',)
    built(entry, {**arguments, "more": {"whereabouts": "Ulm", "of[owner]": "x"}})


def test_a_whole_body_brings_no_key_that_another_parameter_is_put_under() -> None:
    entry = tool("POST", "/x", Parameter("body", "", "more"), Parameter("body", "/data/owner", "owner"))
    given = {"owner": "usr_1", "more": {"data": {"owner": "usr_2"}}}
    with pytest.raises(errors.WrongArguments):
        built(entry, given)
    assert given["more"] == {"data": {"owner": "usr_2"}}
    assert json.loads(built(entry, {"owner": "usr_1", "more": {"a": 1}}).body or b"") == {
        "a": 1,
        "data": {"owner": "usr_1"},
    }


FIELDS = ("GET", BASE, "/x", "q=1", (("A", "b"),), b"body", True, "acc_1")


def test_other_headers_leave_the_rest_of_a_request() -> None:
    request = UpstreamRequest(*FIELDS)
    other = request.with_headers((("B", "c"),))
    assert other == UpstreamRequest(*FIELDS[:4], (("B", "c"),), *FIELDS[5:])
    assert request.headers == (("A", "b"),)


def test_a_request_has_no_query_header_or_body_unless_it_is_given_one() -> None:
    assert UpstreamRequest("GET", BASE, "/x") == UpstreamRequest("GET", BASE, "/x", "", (), None, False, "")


@pytest.mark.parametrize(
    ("verb", "safe", "changes_nothing"),
    [
        ("GET", False, True),
        ("HEAD", False, True),
        ("OPTIONS", False, True),
        ("QUERY", False, True),
        ("POST", False, False),
        ("PUT", False, False),
        ("PATCH", False, False),
        ("DELETE", False, False),
        ("POST", True, True),
    ],
)
def test_a_request_that_reads_changes_nothing(verb: str, safe: bool, changes_nothing: bool) -> None:
    assert UpstreamRequest(verb, BASE, "/x", safe=safe).changes_nothing is changes_nothing


@pytest.mark.parametrize(
    ("path", "query", "target"), [("/x", "", "/x"), ("/x", "a=1", "/x?a=1"), ("", "", "/"), ("", "a=1", "/?a=1")]
)
def test_the_target_is_a_path_and_a_query(path: str, query: str, target: str) -> None:
    request = UpstreamRequest("GET", BASE, path, query)
    assert (request.target, request.url) == (target, BASE + target)


def test_a_request_carries_the_account_and_says_whether_the_tool_writes() -> None:
    entry = tool("POST", "/x", Parameter("header", "X-A", "a"), Parameter("body", "b", "b"), access="write")
    request = requests.build(entry, {"a": "1", "b": "2"}, BASE, {}, account_id="acc_1")
    assert request.account_id == "acc_1"
    assert request.headers == (("X-A", "1"), ("Content-Type", "application/json"))
    assert not request.safe
    assert (built(entry, {}).account_id, built(entry, {}).headers) == ("", ())
    assert built(tool("POST", "/x"), {}).safe, "a tool that only reads is safe whatever its verb"


def test_a_body_that_is_required_is_sent_without_a_value() -> None:
    entry = tool("POST", "/x", Parameter("body", "text", "text"))
    required = replace(entry, request=replace(entry.request, body_required=True))
    request = built(required, {})
    assert (request.body, request.headers) == (b"{}", (("Content-Type", "application/json"),))


@pytest.mark.parametrize(
    ("accept", "headers"),
    [("application/json", ()), (ANY_KIND, ()), ("application/pdf", (("Accept", "application/pdf"),))],
)
def test_another_media_type_than_json_is_asked_for(accept: str, headers: tuple[tuple[str, str], ...]) -> None:
    entry = tool("GET", "/x")
    assert built(replace(entry, request=replace(entry.request, accept=accept)), {}).headers == headers


def test_cookies_are_one_header_in_the_order_of_the_tool() -> None:
    entry = tool(
        "GET", "/x", *(Parameter("cookie", name, name) for name in "abc"), Parameter("query", "q", "q", value="v")
    )
    assert built(entry, {"c": 3, "a": 1, "b": None}).headers == (("Cookie", "a=1; c=3"),)
    assert built(entry, {}).headers == ()
    assert built(entry, {}).query == "q=v"


def test_a_null_that_is_given_is_sent_in_a_body_and_one_that_is_not_given_is_not() -> None:
    entry = tool(
        "POST",
        "/x",
        *(Parameter(location, "a", "a") for location in ("query", "header", "cookie")),
        Parameter("body", "b", "b"),
        Parameter("body", "c", "c"),
    )
    request = built(entry, {"a": None, "b": None})
    assert (request.query, request.headers, request.body) == (
        "",
        (("Content-Type", "application/json"),),
        b'{"b":null}',
    )


def test_a_value_that_the_account_gives_is_used_where_the_call_gives_none() -> None:
    entry = tool(
        "GET",
        "/x",
        Parameter("query", "org", "org", context="org_id"),
        Parameter("query", "team", context="team_id", value="none"),
        Parameter("query", "kind", value="k"),
    )
    assert built(entry, {}, org_id="o", team_id="t").query == "org=o&team=t&kind=k"
    assert built(entry, {"org": "mine"}, org_id="o").query == "org=mine&team=none&kind=k"
    assert built(entry, {"org": None}, org_id="o").query == "team=none&kind=k", "null is given"
    assert built(entry, {}).query == "team=none&kind=k"


def test_a_value_of_the_account_that_could_move_the_path_is_refused_by_its_upstream_name() -> None:
    entry = tool("GET", "/o/{org}/", Parameter("path", "org", context="org_id"))
    with pytest.raises(errors.WrongArguments) as wrong:
        built(entry, {}, org_id="..")
    [problem] = wrong.value.problems
    assert problem.startswith('"org" is ".."; it is part of a path and must name one thing')


def test_all_that_is_wrong_is_said_at_once_and_before_the_length() -> None:
    entry = tool(
        "GET",
        "/{a}/{b}",
        *(Parameter("path", name, name) for name in "ab"),
        Parameter("header", "H", "h"),
        Parameter("query", "q", "q"),
        Parameter("cookie", "c", "c", style="cookie"),
    )
    with pytest.raises(errors.WrongArguments) as wrong:
        built(entry, {"a": "..", "h": "\n", "c": ";", "q": "x" * 70_000})
    assert [problem.split()[0] for problem in wrong.value.problems] == ['"a"', '"b"', '"h"', '"c"']


def test_a_url_may_be_as_long_as_its_limit() -> None:
    room = requests.MAX_URL_CHARS - len(f"{BASE}/x?a=")
    assert len(built(tool("GET", "/x", Parameter("query", "a", "a")), {"a": "x" * room}).url) == 65_000
    with pytest.raises(errors.WrongArguments) as wrong:
        query("x" * (room + 1))
    assert wrong.value.problems == (
        "these arguments go into the URL and make it 65001 characters long; at most 65000 are sent",
    )


def test_a_body_that_cannot_be_sent_is_a_problem_like_any_other() -> None:
    entry = tool("POST", "/{a}", Parameter("path", "a", "a"), Parameter("body", "", "b"), media_type="image/png")
    with pytest.raises(errors.WrongArguments) as wrong:
        built(entry, {"b": "no base 64"})
    assert wrong.value.problems == (
        '"a" is missing; it is part of the path',
        '"b" is not Base64; it holds the bytes of the body',
    )


def test_what_the_upstream_put_into_the_link_to_a_page_is_sent_with_the_page() -> None:
    pagination = Pagination("cursor", Parameter("query", "after"), None, 20, 100)
    entry = tool("GET", "/x", pagination=pagination)
    position = Position("c", 20, carried=(("seed", "7"), ("v", "a b")))
    assert requests.build(entry, {}, BASE, {}, position).query == "after=c&seed=7&v=a%20b"
    assert requests.build(tool("GET", "/x"), {}, BASE, {}, position).query == "", "the tool has no pages"
    assert requests.build(entry, {}, BASE, {}).query == "", "no page is asked for"


def test_a_page_is_a_number_where_the_upstream_counts() -> None:
    pagination = Pagination("offset", Parameter("body", "skip"), Parameter("body", "take"), 20, 100)
    request = requests.build(tool("POST", "/x", pagination=pagination), {}, BASE, {}, Position("40", 20))
    assert request.body == b'{"skip":40,"take":20}'


def test_an_object_that_does_not_spread_may_have_a_member_of_any_name() -> None:
    entry = tool("GET", "/x", Parameter("query", "more", "more", style="deepObject"), Parameter("query", "owner", "o"))
    assert built(entry, {"o": "u", "more": {"owner": "v"}}).query == "more%5Bowner%5D=v&owner=u"
    elsewhere = tool("GET", "/x", Parameter("query", "more", "more"), Parameter("header", "owner", "o"))
    assert built(elsewhere, {"o": "u", "more": {"owner": "v"}}).query == "owner=v", "a header is another place"


def test_an_object_that_spreads_may_have_a_member_of_its_own_name() -> None:
    entry = tool("GET", "/x", Parameter("query", "more", "more"), Parameter("query", "owner", "o"))
    assert built(entry, {"more": {"more": 1}}).query == "more=1"


@pytest.mark.parametrize("text", ["a\tb", "é", "\x80", "~", " x ", "X"])
def test_a_header_may_hold_any_text_without_control_characters(text: str) -> None:
    entry = tool("GET", "/x", Parameter("header", "X-A", "a"))
    assert built(entry, {"a": text}).headers == (("X-A", text.strip()),)


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
def test_no_control_character_stands_in_a_header(code: int) -> None:
    with pytest.raises(errors.WrongArguments):
        built(tool("GET", "/x", Parameter("header", "X-A", "a")), {"a": f"x{chr(code)}y"})
