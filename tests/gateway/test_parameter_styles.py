"""The style table of OpenAPI: each style once, exploded and not, with the request it makes."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from functions.gateway import parameter_styles, requests
from functions.gateway.errors import WrongArguments
from functions.gateway.json_text import Json
from functions.gateway.parameter_styles import ROWS
from tests.gateway.calling import tool
from tool_catalog.request_template import STYLES, Parameter, Style

BASE = "https://api.example.com"
ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}


def sent(location: str, value: Json, **how: Any) -> str:
    """The part of the request that the value is written to."""
    path = "/x/{color}" if location == "path" else "/x/"
    media_type = "application/x-www-form-urlencoded" if location == "body" else "application/json"
    parameter = Parameter(location, "color", "color", **how)  # type: ignore[arg-type]
    request = requests.build(tool("POST", path, parameter, media_type=media_type), {"color": value}, BASE, {})
    headers = dict(request.headers)
    match location:
        case "header":
            return headers.get("color", "")
        case "cookie":
            return headers.get("Cookie", "")
        case "body":
            return (request.body or b"").decode()
    return request.url.removeprefix(f"{BASE}/x/").removeprefix("?")


@pytest.mark.parametrize(
    ("row", "empty", "string", "array", "members"),
    [
        # The "Style Examples" of the OpenAPI specification, row by row.
        ("path matrix", None, ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"),
        ("path matrix*", None, ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"),
        ("path label", None, ".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
        ("path label*", None, ".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
        ("path simple", None, "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("path simple*", None, "blue", "blue,black,brown", "R=100,G=200,B=150"),
        ("header simple", "", "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("header simple*", "", "blue", "blue,black,brown", "R=100,G=200,B=150"),
        ("query form", "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"),
        ("query form*", "color=", "color=blue", "color=blue&color=black&color=brown", "R=100&G=200&B=150"),
        (
            *("query spaceDelimited", "color=", "color=blue"),
            *("color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"),
        ),
        (
            *("query pipeDelimited", "color=", "color=blue"),
            *("color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"),
        ),
        (
            *("query deepObject*", "color=", "color=blue"),
            *("color=blue&color=black&color=brown", "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        ),
        # OpenAPI 3.2 has a whole query as one parameter, and Swagger 2.0 has delimited lists in every place.
        ("query querystring", "", "", "", "R=100&G=200&B=150"),
        (
            *("query tabDelimited", "color=", "color=blue"),
            *("color=blue%09black%09brown", "color=R%09100%09G%09200%09B%09150"),
        ),
        ("path pipeDelimited", None, "blue", "blue%7Cblack%7Cbrown", "R%7C100%7CG%7C200%7CB%7C150"),
        ("path spaceDelimited", None, "blue", "blue%20black%20brown", "R%20100%20G%20200%20B%20150"),
        ("header pipeDelimited", "", "blue", "blue|black|brown", "R|100|G|200|B|150"),
        ("cookie form", "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"),
        ("cookie cookie*", "color=", "color=blue", "color=blue; color=black; color=brown", "R=100; G=200; B=150"),
        # Where the specification names no style: JSON text, and the lists of PHP and Rails.
        (
            *("query json", "color=%22%22", "color=%22blue%22"),
            "color=%5B%22blue%22%2C%22black%22%2C%22brown%22%5D",
            "color=%7B%22R%22%3A100%2C%22G%22%3A200%2C%22B%22%3A150%7D",
        ),
        (
            *("query brackets", "color=", "color=blue"),
            "color%5B%5D=blue&color%5B%5D=black&color%5B%5D=brown",
            "color=%7B%22R%22%3A100%2C%22G%22%3A200%2C%22B%22%3A150%7D",
        ),
    ],
)
def test_each_row_of_the_style_table(row: str, empty: str | None, string: str, array: str, members: str) -> None:
    """A row is a location and a style; an asterisk says that it is exploded."""
    location, style = row.removesuffix("*").split()
    how = {"style": style, "explode": row.endswith("*")}
    if empty is not None:
        assert sent(location, "", **how) == empty
    assert sent(location, "blue", **how) == string
    assert sent(location, ARRAY, **how) == array
    assert sent(location, OBJECT, **how) == members


def test_every_style_has_a_row_and_every_row_a_location() -> None:
    assert set(get_args(Style)) == {*ROWS, "file"} == {style for styles in STYLES.values() for style in styles}


@pytest.mark.parametrize(
    ("location", "style", "explode"),
    [("path", "simple", False), ("query", "form", True), ("header", "simple", False), ("cookie", "form", True)],
)
def test_a_parameter_without_a_style_has_that_of_its_location(location: str, style: str, explode: bool) -> None:
    for value in ("blue", ARRAY, OBJECT):
        assert sent(location, value) == sent(location, value, style=style, explode=explode)


@pytest.mark.parametrize(
    ("location", "how", "value", "expected"),
    [
        # Delimiters inside a value are encoded, those between values are not.
        ("query", {"explode": False}, ["a,b", "c&d"], "color=a%2Cb,c%26d"),
        ("path", {}, ["a,b", "c/d"], "a%2Cb,c%2Fd"),
        ("query", {}, {"k": 1, "l": None, "m": {"n": 2}}, "k=1&m=%7B%22n%22%3A2%7D"),
        # What RFC 6570 calls undefined is not written.
        ("query", {}, [], ""),
        ("query", {"explode": False}, [], ""),
        ("query", {"style": "deepObject"}, {"a": None, "b": {}}, ""),
        ("query", {}, [None, "a"], "color=a"),
        # Nested objects and lists in deepObject.
        (
            *("query", {"style": "deepObject"}),
            {"weight": {"gte": 5}, "state": ["in", "out"], "depot": "N"},
            "color%5Bweight%5D%5Bgte%5D=5&color%5Bstate%5D=in&color%5Bstate%5D=out&color%5Bdepot%5D=N",
        ),
        (
            "query",
            {"style": "deepObject"},
            {"a": [{"b": 1}, {"b": 2}]},
            "color%5Ba%5D%5B0%5D%5Bb%5D=1&color%5Ba%5D%5B1%5D%5Bb%5D=2",
        ),
        ("body", {"style": "deepObject"}, ["in", "out"], "color%5B0%5D=in&color%5B1%5D=out"),
        ("body", {"style": "deepObject"}, [{"sku": "x y"}], "color%5B0%5D%5Bsku%5D=x+y"),
        ("body", {"style": "deepObject"}, {"a": "1"}, "color%5Ba%5D=1"),
        # A form without styles: a list repeats its name, an object is JSON text.
        ("body", {}, ["in", "o t"], "color=in&color=o+t"),
        ("body", {}, {"a": 1}, "color=%7B%22a%22%3A1%7D"),
        ("body", {"style": "form", "explode": False}, ["in", "out"], "color=in,out"),
        ("body", {"style": "pipeDelimited", "explode": False}, ["in", "out"], "color=in%7Cout"),
        # Reserved characters, less those that would change the rest of the request.
        ("query", {"allow_reserved": True}, "a/b?c:d@e=f%2Fg", "color=a/b?c:d@e=f%2Fg"),
        ("query", {"allow_reserved": True}, "a&b=c#d+e;f[g]%", "color=a%26b=c%23d%2Be%3Bf%5Bg%5D%25"),
        ("path", {"allow_reserved": True}, "a/b?c#d", "a/b%3Fc%23d"),
        ("path", {"style": "json"}, {"a": 1}, "%7B%22a%22%3A1%7D"),
        ("header", {"style": "json"}, {"a": "é"}, '{"a":"é"}'),
        ("header", {}, "a,b", "a,b"),
        ("cookie", {"style": "json"}, {"a": 1}, "color=%7B%22a%22%3A1%7D"),
        ("cookie", {}, "a;b c", "color=a%3Bb%20c"),
        ("cookie", {"style": "cookie"}, "a%3B", "color=a%3B"),
        (
            "query",
            {"style": "querystring"},
            {"a b": [1, "x&y"], "c": {"d": 1}, "e": None},
            "a%20b=1&a%20b=x%26y&c=%7B%22d%22%3A1%7D",
        ),
    ],
)
def test_what_is_nested_empty_or_reserved(location: str, how: dict[str, Any], value: Json, expected: str) -> None:
    assert sent(location, value, **how) == expected


@pytest.mark.parametrize("value", [[], {}, ["a", ".."], {"..": 1}, {"a": "x/../y"}, ["a", ""], "%2e%2e/..", ["a\n"]])
@pytest.mark.parametrize("style", ["simple", "label", "matrix"])
@pytest.mark.parametrize("allow_reserved", [False, True])
def test_no_part_of_a_path_value_can_move_the_path(value: Json, style: str, allow_reserved: bool) -> None:
    with pytest.raises(WrongArguments):
        sent("path", value, style=style, allow_reserved=allow_reserved)


def test_an_encoded_dot_in_a_reserved_path_stays_text() -> None:
    assert sent("path", "a/%2e%2e/b", allow_reserved=True) == "a/%252e%252e/b"


@pytest.mark.parametrize("value", ["a;b", "a b", 'a"b', "a,b", "é", "a\r\nX: 1", ["a", "b;c"], {"a": "b c"}])
def test_a_plain_cookie_takes_only_what_a_cookie_can_hold(value: Json) -> None:
    with pytest.raises(WrongArguments) as wrong:
        sent("cookie", value, style="cookie")
    assert wrong.value.problems == ('"color" holds a character that no cookie can hold; leave it out',)


@pytest.mark.parametrize(
    ("location", "name", "how", "spreads"),
    [
        ("query", "a", {}, True),
        ("query", "a", {"explode": False}, False),
        ("query", "a", {"style": "querystring"}, True),
        ("query", "a", {"style": "querystring", "explode": False}, True),
        ("query", "a", {"style": "deepObject", "explode": True}, False),
        ("query", "a", {"style": "json", "explode": True}, False),
        ("query", "a", {"style": "brackets", "explode": True}, False),
        ("query", "a", {"style": "spaceDelimited"}, False),
        ("query", "a", {"style": "spaceDelimited", "explode": True}, True),
        ("query", "a", {"style": "pipeDelimited", "explode": True}, True),
        ("query", "a", {"style": "tabDelimited", "explode": True}, True),
        ("cookie", "a", {}, True),
        ("cookie", "a", {"style": "cookie"}, True),
        ("cookie", "a", {"explode": False}, False),
        ("body", "a", {}, False),
        ("body", "a", {"style": "form"}, True),
        ("body", "a", {"style": "form", "explode": False}, False),
        ("body", "", {}, True),
        ("body", "", {"explode": False}, True),
        ("query", "", {"explode": False}, False),
        ("path", "a", {"explode": True}, False),
        ("path", "a", {"style": "pipeDelimited", "explode": True}, False),
        ("header", "a", {"explode": True}, False),
        ("header", "a", {"style": "pipeDelimited", "explode": True}, False),
    ],
)
def test_whether_the_members_of_an_object_stand_under_names_of_their_own(
    location: str, name: str, how: dict[str, Any], spreads: bool
) -> None:
    parameter = Parameter(location, name, "a", **how)  # type: ignore[arg-type]
    assert parameter_styles.spreads(parameter) is spreads
    if name and location != "path" and parameter.style != "querystring":
        written = sent(location, {"R": 1}, **how)
        assert spreads is (re.search(r"(^|[ &])R=1", written) is not None and location != "header"), written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        (1, "1"),
        (1.0, "1"),
        (-2.0, "-2"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ([1, 2.0], "[1,2.0]"),
        ({"a": None}, '{"a":null}'),
    ],
)
def test_a_value_as_one_text(value: Json, text: str) -> None:
    assert parameter_styles.text(value) == text


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("a", ["a"]),
        (7.0, ["7"]),
        ([], []),
        (["a", None, 1, ["b"]], ["a", "1", '["b"]']),
        ({"a": 1, "b": None, "c": {"d": 2}}, ["a", "1", "c", '{"d":2}']),
    ],
)
def test_the_texts_that_a_value_consists_of(value: Json, parts: list[str]) -> None:
    assert parameter_styles.parts(value) == parts


@pytest.mark.parametrize(
    ("location", "how", "value", "expected"),
    [
        # A name is encoded like a value, and keeps no reserved characters.
        ("query", {"allow_reserved": True}, {"a/b": "c/d"}, "a%2Fb=c/d"),
        ("path", {"allow_reserved": True, "style": "label", "explode": True}, {"a/b": "c/d"}, ".a%2Fb=c/d"),
        ("path", {"allow_reserved": True, "style": "matrix", "explode": True}, {"a/b": "c/d"}, ";a%2Fb=c/d"),
        ("path", {"style": "matrix"}, ["a b", "c;d"], ";color=a%20b,c%3Bd"),
        ("path", {"style": "matrix", "explode": True}, ["a b", None], ";color=a%20b"),
        ("path", {"style": "label"}, ["a.b"], ".a.b"),
        ("path", {"style": "simple", "explode": True}, {"a=b": "c"}, "a%3Db=c"),
        # Null entries and members are left out everywhere.
        ("path", {}, [None, "a"], "a"),
        ("query", {"explode": False}, {"a": None, "b": 1}, "color=b,1"),
        ("query", {"style": "brackets"}, [None, 1.0], "color%5B%5D=1"),
        ("query", {"style": "brackets"}, [], ""),
        ("query", {"style": "deepObject"}, {"a": [None, "x"]}, "color%5Ba%5D=x"),
        ("query", {"style": "deepObject"}, {"a": [["x"]]}, "color%5Ba%5D%5B0%5D=x"),
        ("body", {"style": "deepObject"}, [None, "x"], "color%5B1%5D=x"),
        ("query", {"style": "deepObject"}, 1.0, "color=1"),
        (
            "query",
            {"style": "querystring"},
            {"a": {"b": 1}, "c": None, "d": [1, None, 2]},
            "a=%7B%22b%22%3A1%7D&d=1&d=2",
        ),
        ("query", {"style": "querystring", "explode": False}, {"d": [1, 2]}, "d=1&d=2"),
        # Triples that are there stay as they are where reserved characters do, and only there.
        ("query", {"allow_reserved": True}, "%2f%zz%", "color=%2f%25zz%25"),
        ("query", {}, "%2f", "color=%252f"),
        ("query", {"allow_reserved": True, "style": "json"}, "a/b", "color=%22a/b%22"),
        # A form has its own encoding, a header and a plain cookie have none.
        ("body", {"style": "json"}, "a b~", "color=%22a+b~%22"),
        ("body", {"allow_reserved": True}, "a b/c", "color=a%20b/c"),
        ("header", {"allow_reserved": True}, "a b%", "a b%"),
        ("cookie", {"style": "cookie", "explode": False}, ["a", "b"], "color=a,b"),
        ("cookie", {"allow_reserved": True}, "a/b;", "color=a/b%3B"),
        ("cookie", {}, ["a", "b"], "color=a; color=b"),
    ],
)
def test_how_names_nulls_and_encodings_are_written(
    location: str, how: dict[str, Any], value: Json, expected: str
) -> None:
    assert sent(location, value, **how) == expected


def test_json_without_a_name_is_the_whole_of_its_place() -> None:
    for location in ("query", "body"):
        nameless = Parameter(location, "", "a", style="json")
        assert parameter_styles.pieces(nameless, {"b": 1}) == ["%7B%22b%22%3A1%7D"]


@pytest.mark.parametrize(
    ("value", "exploded", "plain"),
    [("", ";a", ";a"), (["", "b"], ";a;a=b", ";a=,b"), ({"c": "", "d": 1}, ";c;d=1", ";a=c,,d,1"), ([], "", "")],
)
def test_a_matrix_has_no_equals_sign_without_a_value(value: Json, exploded: str, plain: str) -> None:
    """As RFC 6570 has it. A request of ours refuses an empty part of a path before."""
    for explode, expected in ((True, exploded), (False, plain)):
        parameter = Parameter("path", "a", "a", style="matrix", explode=explode)
        assert parameter_styles.pieces(parameter, value) == [expected]


def test_a_label_of_nothing_is_nothing() -> None:
    for explode in (True, False):
        parameter = Parameter("path", "a", "a", style="label", explode=explode)
        assert parameter_styles.pieces(parameter, []) == parameter_styles.pieces(parameter, {"b": None}) == [""]


@pytest.mark.parametrize(
    ("how", "value", "piece"),
    [
        ({"style": "json"}, "v", "a%2Fb%26=%22v%22"),
        ({"style": "form", "explode": False}, ["v", "w"], "a%2Fb%26=v,w"),
        ({"style": "form", "explode": True}, ["v"], "a%2Fb%26=v"),
        ({"style": "pipeDelimited"}, ["v", "w"], "a%2Fb%26=v%7Cw"),
        ({"style": "brackets"}, ["v"], "a%2Fb%26%5B%5D=v"),
        ({"style": "deepObject"}, {"c": "v"}, "a%2Fb%26%5Bc%5D=v"),
        ({}, "v", "a%2Fb%26=v"),
    ],
)
def test_the_name_of_a_parameter_is_encoded_too(how: dict[str, Any], value: Json, piece: str) -> None:
    for allow_reserved in (False, True):
        parameter = Parameter("query", "a/b&", "a", allow_reserved=allow_reserved, **how)
        assert parameter_styles.pieces(parameter, value) == [piece]


@pytest.mark.parametrize(
    ("explode", "value", "piece"),
    [
        (True, ["v", "w"], ";a%2Fb%26=v;a%2Fb%26=w"),
        (True, {"c": "v"}, ";c=v"),
        (True, "v", ";a%2Fb%26=v"),
        (False, ["v", "w"], ";a%2Fb%26=v,w"),
    ],
)
def test_the_name_of_a_matrix_is_encoded_too(explode: bool, value: Json, piece: str) -> None:
    for allow_reserved in (False, True):
        parameter = Parameter("path", "a/b&", "a", style="matrix", explode=explode, allow_reserved=allow_reserved)
        assert parameter_styles.pieces(parameter, value) == [piece]


@pytest.mark.parametrize("character", list(":/?@!$'()*,="))
def test_each_reserved_character_is_kept_in_a_query_and_all_but_one_in_a_path(character: str) -> None:
    assert sent("query", character, allow_reserved=True) == f"color={character}"
    kept = "%3F" if character == "?" else character
    assert sent("path", character, allow_reserved=True) == kept


@pytest.mark.parametrize("character", list('#&;+[]%"<>\\^`{|} '))
def test_no_other_character_is_kept(character: str) -> None:
    for location in ("query", "path"):
        written = sent(location, character, allow_reserved=True).removeprefix("color=")
        assert written == f"%{ord(character):02X}"
