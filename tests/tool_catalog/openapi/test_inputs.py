"""One small document for each kind of thing an API does: imported, compiled, called, and the request that leaves."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from functions.gateway import credentials, paging, requests
from functions.gateway.credentials import Credential
from functions.gateway.errors import WrongArguments
from functions.gateway.requests import UpstreamRequest
from tests.gateway import loopback
from tests.gateway.calling import result_of
from tests.gateway.loopback import answer
from tests.tool_catalog.openapi.conftest import PARCELS, Import
from tests.tool_catalog.openapi.self_test import examine
from tests.tool_catalog.openapi.words import fill_in
from tool_catalog import building, compiled_file
from tool_catalog.catalog import Catalog, Tool
from tool_catalog.compiled_document import to_bytes
from tool_catalog.openapi.document import CannotImport, read
from tool_catalog.openapi.report import Report

Json = Any

INPUTS = Path(__file__).parent / "inputs"
KEY = Credential({"api_key": "k1", "token": "t1", "b_api_key": "k2", "b_token": "t2"})
ANY = object()
"""A part of the request that the case says nothing about."""


class Made:
    """What an import of one input made: the report, and the compiled catalogue."""

    def __init__(self, report: Report, folder: Path) -> None:
        self.report = report
        fill_in(folder)
        document, problems = building.build(folder)
        assert problems == []
        assert document is not None
        self.catalog: Catalog = compiled_file.read(to_bytes(document), "parcels.json")

    def tool(self, request: str = "") -> Tool:
        """The tool of this name, or with this verb and path; without one, the only tool there is."""
        found = [
            tool
            for tool in self.catalog.tools.values()
            if request in ("", tool.name, f"{tool.request.verb} {tool.request.path}")
        ]
        assert len(found) == 1, [tool.name for tool in self.catalog.tools.values()]
        return found[0]

    def sent(self, tool: Tool, given: dict[str, Json]) -> UpstreamRequest:
        """The request of a call; the arguments are checked as a call checks them."""
        jsonschema_rs.validate(tool.definition["inputSchema"], given, validate_formats=True)
        for check in tool.checks:
            assert not jsonschema_rs.is_valid(dict(check.schema), given), check.message
        request = requests.build(tool, given, self.catalog.base_url, {}, paging.start(tool, given))
        return credentials.attach(request, self.catalog.auth, KEY, tool.request.auth)


@pytest.fixture
def made(imports: Import, into: Path) -> Any:
    def made(name: str, **options: Any) -> Made:
        report = imports(INPUTS / f"{name}.yaml", **options)
        return Made(report, into / "parcels")

    return made


BASE = "https://yard.example.com/api"
AUTH = {"X-Yard-Key": "k1"}
JSON = {**AUTH, "Content-Type": "application/json"}


@dataclass(frozen=True)
class Sent:
    """What leaves: the URL behind the base URL, the headers and the body."""

    url: str
    headers: dict[str, str] = field(default_factory=lambda: AUTH)
    body: str | None = None


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        # ---- styles
        ("q_pipe", {"ids": ["a", "b"], "tags": ["x", "y"]}, Sent("/parcels?ids=a%7Cb&tags=x%20y")),
        (
            "q_deep_nested",
            {"filter": {"weight": {"gte": 5}, "state": ["in", "out"], "depot": "N"}},
            Sent(
                "/parcels?filter%5Bweight%5D%5Bgte%5D=5&filter%5Bstate%5D=in&filter%5Bstate%5D=out&filter%5Bdepot%5D=N"
            ),
        ),
        ("p_array", {"id": ["mon", "tue"]}, Sent("/routes/mon,tue")),
        ("p_label_matrix", {"kind": "fast", "days": "mon"}, Sent("/r/.fast/;days=mon")),
        ("cookie", {"yard_session": "s1"}, Sent("/parcels", {**AUTH, "Cookie": "yard_session=s1"})),
        ("p_reserved", {"where": "a/b c"}, Sent("/data/a/b%20c")),
        (
            "form_array",
            {"events": ["in", "out"], "meta": {"a": "1"}, "lines": [{"sku": "x"}]},
            Sent(
                "/hooks",
                {**AUTH, "Content-Type": "application/x-www-form-urlencoded"},
                "events%5B0%5D=in&events%5B1%5D=out&meta%5Ba%5D=1&lines%5B0%5D%5Bsku%5D=x",
            ),
        ),
        (
            "sw2_lists GET /routes/{days}",
            {"id": ["mon", "tue"], "tags": ["a", "b"], "X-Depots": ["N", "S"]},
            Sent("/routes/mon%7Ctue?tags=a%09b", {"X-Depots": "N S"}),
        ),
        (
            "v32_querystring GET /parcels",
            {"asked": {"depot": "N", "states": ["in", "out"]}},
            Sent("/parcels?depot=N&states=in&states=out"),
        ),
        ("v32_querystring GET /depots", {"asked": {"depot": "N"}}, Sent("/depots?%7B%22depot%22%3A%22N%22%7D")),
        ("v32_querystring QUERY /parcels", {"depot": "N"}, Sent("/parcels", JSON, '{"depot":"N"}')),
        # ---- keys of paths
        ("p_query_in_path parcels_parcels_kind_box", {"n": 3}, Sent("/parcels?n=3&kind=box")),
        ("p_query_in_path parcels_parcels_two", {}, Sent("/parcels")),
        ("p_twice", {"id": "7"}, Sent("/a/7/b/7.json")),
        ("path_hash parcels_files_shared_link", {"id": "7", "fields_of": "link"}, Sent("/files/7?fields_of=link")),
        # ---- bodies
        (
            "b_mergepatch",
            {"id": "7", "weight": 3},
            Sent("/parcels/7", {**AUTH, "Content-Type": "application/merge-patch+json"}, '{"weight":3}'),
        ),
        (
            "b_vnd",
            {"weight": 3},
            Sent(
                "/parcels",
                {**AUTH, "Content-Type": "application/vnd.api+json", "Accept": "application/vnd.api+json"},
                '{"weight":3}',
            ),
        ),
        ("b_array_q", {"body": "act", "body_body": [1, 2]}, Sent("/parcels/tags?body=act", JSON, "[1,2]")),
        ("b_any", {"id": "7", "body": [1, "a"]}, Sent("/parcels/7/note", JSON, '[1,"a"]')),
        ("b_any", {"id": "7", "body": "a"}, Sent("/parcels/7/note", JSON, '"a"')),
        (
            "b_lines",
            {"body": '{"a":1}\n{"a":2}\n'},
            Sent("/parcels/bulk", {**AUTH, "Content-Type": "application/x-ndjson"}, '{"a":1}\n{"a":2}\n'),
        ),
        (
            "b_bytes",
            {"id": "7", "body": "aW1hZ2U="},
            Sent("/labels/7/image", {**AUTH, "Content-Type": "image/png"}, "image"),
        ),
        ("req_empty_body", {}, Sent("/sync", JSON, "{}")),
        ("req_empty_body", {"mode": "full"}, Sent("/sync", JSON, '{"mode":"full"}')),
        ("optional_body", {}, Sent("/sync")),
        ("optional_body", {"mode": "full"}, Sent("/sync", JSON, '{"mode":"full"}')),
        ("root_map", {"body": {"a": "b"}}, Sent("/labels", JSON, '{"a":"b"}')),
        ("null_root_31", {"id": "7"}, Sent("/jobs/7/rerun")),
        ("null_root_31", {"id": "7", "debug": True}, Sent("/jobs/7/rerun", JSON, '{"debug":true}')),
        ("null_root_30", {"id": "7", "debug": True}, Sent("/jobs/7/rerun", JSON, '{"debug":true}')),
        ("text_write", {"q": "x"}, Sent("/do/text", JSON, '{"q":"x"}')),
        # ---- unions and inheritance
        ("alt_types", {"id": "7", "value": "a"}, Sent("/cells/7", JSON, '{"value":"a"}')),
        ("alt_types", {"id": "7", "value": 85.1}, Sent("/cells/7", JSON, '{"value":85.1}')),
        ("alt_types", {"id": "7", "value": False}, Sent("/cells/7", JSON, '{"value":false}')),
        ("discr_parent", {"kind": "box", "edge": 4}, Sent("/things", JSON, '{"kind":"box","edge":4}')),
        ("discr_parent", {"kind": "tube", "bore": 2}, Sent("/things", JSON, '{"kind":"tube","bore":2}')),
        (
            "discr_default",
            {"thing": {"kind": "tube", "edge": 4}},
            Sent("/things", JSON, '{"thing":{"kind":"tube","edge":4}}'),
        ),
        (
            "cut_array",
            {"b": {"c": {"d": {"e": {"f": ["x"]}}}}},
            Sent("/deep", JSON, '{"a":{"b":{"c":{"d":{"e":{"f":["x"]}}}}}}'),
        ),
        (
            "discr_grandchild",
            {"kind": "Crate", "edge": 4, "wood": "oak"},
            Sent("/things", JSON, '{"kind":"Crate","edge":4,"wood":"oak"}'),
        ),
        ("discr_grandchild", {"edge": 4}, Sent("/things", JSON, '{"edge":4}')),
        (
            "read_only_closed",
            {"name": "N", "keeper": {"id": "7", "mail": "a@example.com"}},
            Sent("/depots", JSON, '{"name":"N","keeper":{"id":"7","mail":"a@example.com"}}'),
        ),
        ("closed_values", {"at": "now", "bay": 2}, Sent("/parcels?at=now&bay=2")),
        # ---- security
        ("cookie_auth", {}, Sent("/parcels", {"Cookie": "sid=k1"})),
        ("op_security get_single_parcels_parcel", {}, Sent("/parcels")),
        ("op_security GET /admin", {}, Sent("/admin", {"Authorization": "Bearer t1"})),
        ("op_security GET /open", {}, Sent("/open", {})),
        ("two_keys", {}, Sent("/parcels", {"X-App": "k1", "X-Key": "k2"})),
        # ---- answers
        ("text", {}, Sent("/manifest", {**AUTH, "Accept": "text/plain"})),
        ("moved", {}, Sent("/logs/moved")),
        # ---- versions
        ("v32", {}, Sent("/parcels")),
        ("sw2", {"n": 3}, Sent("/parcels?n=3", {})),
    ],
)
def test_a_call_leaves_as_the_document_says(made: Any, name: str, given: Json, expected: Sent) -> None:
    document, _, request_line = name.partition(" ")
    found = made(document)
    request = found.sent(found.tool(request_line), given)
    body = request.body.decode() if request.body is not None else None
    assert Sent(request.url.removeprefix(BASE), dict(request.headers), body) == expected


@pytest.mark.parametrize(
    ("name", "given", "parts"),
    [
        (
            "b_multipart",
            {
                "label": {"name": 'a "label".png', "base64": "iVBORw==", "media_type": "image/png"},
                "photos": [{"name": "1.txt", "text": "é"}, {"name": "2.bin", "base64": "AAE="}],
                "weight": 3.5,
                "tags": ["fragile", "up"],
                "meta": {"k": "v"},
                "lines": [1, 2],
            },
            [
                ("label", "a %22label%22.png", "image/png", b"\x89PNG"),
                ("photos", "1.txt", 'text/plain; charset="utf-8"', "é".encode()),
                ("photos", "2.bin", "application/octet-stream", b"\0\1"),
                ("weight", None, None, b"3.5"),
                ("tags", None, None, b"fragile"),
                ("tags", None, None, b"up"),
                ("meta", None, "application/json", b'{"k":"v"}'),
                ("lines", None, "application/json", b"[1,2]"),
            ],
        ),
        (
            "sw2_lists POST /photos",
            {"photo": {"name": "a.txt", "text": "x"}, "note": "y\r\n"},
            [("photo", "a.txt", 'text/plain; charset="utf-8"', b"x"), ("note", None, None, b"y\r\n")],
        ),
    ],
)
def test_a_multipart_form_has_one_part_for_each_value(made: Any, name: str, given: Json, parts: Json) -> None:
    """Read back by the parser of the standard library."""
    document, _, request_line = name.partition(" ")
    found = made(document)
    request = found.sent(found.tool(request_line), given)
    content_type = dict(request.headers)["Content-Type"]
    message = BytesParser(policy=HTTP).parsebytes(
        f"Content-Type: {content_type}\r\n\r\n".encode() + (request.body or b"")
    )
    assert [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part["Content-Type"],
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ] == parts


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ({"name": "a"}, '"label" needs "text" or "base64", and not both'),
        ({"name": "a", "text": "x", "base64": "eA=="}, '"label" needs "text" or "base64", and not both'),
        ({"name": "a", "base64": "x"}, '"label" has a "base64" that is not Base64'),
        (
            {"name": "a", "text": "x", "media_type": "image/png\r\nX: 1"},
            '"label" has a "media_type" that is none; write it like "image/png"',
        ),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused(made: Any, file: Json, problem: str) -> None:
    found = made("b_multipart")
    with pytest.raises(WrongArguments) as wrong:
        found.sent(found.tool(), {"label": file, "weight": 1})
    assert wrong.value.problems == (problem,)


def test_what_a_body_of_text_or_bytes_holds_is_told(imports: Import, into: Path) -> None:
    data = read(INPUTS / "b_bytes.yaml").data
    body = data["paths"]["/labels/{id}/image"]["put"]["requestBody"]
    body["description"] = "The picture on the label"
    body["content"] = {"image/*": {}}
    tool = Made(imports(data), into / "parcels").tool()
    assert tool.request.media_type == "application/octet-stream"
    said = tool.definition["inputSchema"]["properties"]["body"]["description"]
    assert said == "The picture on the label. The bytes of the body (image/*), in Base64."
    del body["description"]
    body["content"] = {"text/*": {"schema": {"type": "string", "description": "The words on the label."}}}
    shutil.rmtree(into / "parcels")
    tool = Made(imports(data), into / "parcels").tool()
    assert tool.request.media_type == "text/plain"
    assert tool.definition["inputSchema"]["properties"]["body"] == {
        "type": "string",
        "description": "The words on the label.",
    }


def test_bytes_that_are_not_in_base64_are_refused(made: Any) -> None:
    found = made("b_bytes")
    with pytest.raises(WrongArguments) as wrong:
        found.sent(found.tool(), {"id": "7", "body": "not this"})
    assert wrong.value.problems == ('"body" is not Base64; it holds the bytes of the body',)


# ---- what comes back


@pytest.mark.parametrize(
    ("name", "given", "told", "result"),
    [
        (
            *("text", {}, answer(200, b"3 parcels", ("content-type", "text/plain"))),
            {"text": "3 parcels", "media_type": "text/plain"},
        ),
        (
            *("text_write", {"q": "x"}, answer(200, b"done", ("content-type", "text/plain"))),
            {"text": "done", "media_type": "text/plain"},
        ),
        (
            *("moved", {}, answer(302, None, ("location", "https://files.example.com/7"))),
            {"redirect": {"status": 302, "location": "https://files.example.com/7"}},
        ),
        ("req_empty_body", {}, answer(204), {"result": None, "_postern": {"status_code": 204}}),
    ],
)
def test_an_answer_is_the_result_whatever_its_kind(made: Any, name: str, given: Json, told: Any, result: Json) -> None:
    found = made(name)
    with loopback.upstream() as upstream:
        upstream.answers(told)
        assert result_of(found.catalog, upstream.origin, found.tool().name, given) == result


# ---- what no tool is made of, and what is refused


def test_an_operation_on_another_host_gets_no_tool_and_the_reason_is_told(imports: Import) -> None:
    with pytest.raises(CannotImport):
        imports(INPUTS / "srv_path.yaml", paths=("/nothing",))
    report = imports(INPUTS / "srv_path.yaml")
    reason = "has a server of its own (https://print.example.net/v2); tools never leave the base URL"
    assert report.skipped == [("GET /labels", reason)]


@pytest.mark.parametrize(
    ("name", "skipped"),
    [
        (
            "b_xml",
            (
                "POST /parcels",
                "takes application/xml with named members, which are sent as JSON or as a form only; a record of your "
                "own can send one text: body_format: application/xml, and body_schema: {type: string}",
            ),
        ),
        ("v32_querystring", ("PURGE /parcels", "is a PURGE; tools send GET, QUERY, POST, PUT, PATCH and DELETE")),
    ],
)
def test_what_no_tool_can_send_is_told_with_the_reason(imports: Import, name: str, skipped: tuple[str, str]) -> None:
    assert imports(INPUTS / f"{name}.yaml").skipped == [skipped]


def test_a_server_of_an_operation_on_the_same_host_keeps_its_path(imports: Import, into: Path) -> None:
    data = read(INPUTS / "srv_path.yaml").data
    data["paths"]["/labels"]["servers"] = [{"url": "https://yard.example.com/print/v2"}]
    data["paths"]["/parcels"] = {"get": data["paths"]["/labels"]["get"]}
    found = Made(imports(data), into / "parcels")
    urls = {tool.request.path: found.sent(tool, {}).url for tool in found.catalog.tools.values()}
    assert urls == {
        "/print/v2/labels": "https://yard.example.com/print/v2/labels",
        "/api/parcels": "https://yard.example.com/api/parcels",
    }


def test_a_relative_server_that_a_base_url_replaces_is_told(imports: Import, into: Path) -> None:
    imports(INPUTS / "srv_relative.yaml", base_url="https://yard.example.com")
    text = (into / "parcels" / "integration.yaml").read_text()
    assert "# the source's server is /api/v2, which this URL does not have\nbase_url: https://yard.example.com" in text


def test_a_choice_without_its_discriminator_is_refused(made: Any) -> None:
    found = made("discr_default")
    with pytest.raises(jsonschema_rs.ValidationError):
        found.sent(found.tool(), {"thing": {"edge": 4}})


def test_a_body_that_may_be_left_out_needs_all_its_members_when_it_is_sent(imports: Import, into: Path) -> None:
    data = read(INPUTS / "optional_body.yaml").data
    schema = data["paths"]["/sync"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema["properties"]["since"] = {"type": "string", "description": "Only what changed since then."}
    found = Made(imports(data), into / "parcels")
    assert found.sent(found.tool(), {}).body is None
    with pytest.raises(AssertionError, match="a body needs mode; to send no body, leave out mode, since"):
        found.sent(found.tool(), {"since": "2026-01-01"})


def test_a_number_in_the_path_keeps_its_name_where_the_objects_have_another_id(imports: Import, into: Path) -> None:
    issue = {"type": "object", "properties": {"id": {"type": "integer"}, "number": {"type": "integer"}}}
    answers = {"200": {"description": "An issue.", "content": {"application/json": {"schema": issue}}}}
    number = {"name": "issue_number", "in": "path", "required": True, "schema": {"type": "integer"}}
    described = {"description": "Reads or changes an issue of the tracker.", "responses": answers}
    data = read(INPUTS / "v32.yaml").data
    data["paths"] = {"/issues/{issue_number}": {"parameters": [number], "get": described, "patch": described}}
    found = Made(imports(data), into / "parcels")
    assert sorted(found.catalog.tools) == [
        "get_single_parcels_issue_by_issue_number",
        "update_a_parcels_issue_by_issue_number",
    ]
    for tool in found.catalog.tools.values():
        assert list(tool.definition["inputSchema"]["properties"]) == ["issue_number"]


# ---- only what passes


def test_with_passing_a_write_is_left_out_rather_than_kept_without_its_body(imports: Import) -> None:
    report = imports(INPUTS / "passing_bodyless.yaml", passing=True)
    assert report.left_out == ["shifts.yaml: update (PUT /shifts/{id})"]


def test_with_passing_the_only_value_of_a_member_is_sent_and_what_was_dropped_is_listed(
    imports: Import, into: Path
) -> None:
    data = read(INPUTS / "passing_bodyless.yaml").data
    media = data["paths"]["/shifts/{id}"]["put"]["requestBody"]["content"]["application/json"]
    media["schema"]["properties"]["kind"] = {"type": "string", "enum": ["shift"]}
    media["schema"]["properties"]["note"] = {"type": "string", "description": "A line for the next shift."}
    media["schema"]["required"] = ["kind"]
    report = imports(data, passing=True)
    text = (into / "parcels" / "shifts.yaml").read_text()
    found = Made(report, into / "parcels")
    request = found.sent(found.tool(), {"id": "7", "note": "Keys are in the drawer."})
    assert json.loads(request.body or b"") == {"note": "Keys are in the drawer.", "kind": "shift"}
    assert report.cuts == [
        ("shifts.yaml: update.body_schema.start", "left out, because nobody describes it"),
        ("shifts.yaml: update.body_schema.end", "left out, because nobody describes it"),
    ]
    assert "# cut: start: left out, because nobody describes it" in text


def test_a_deprecated_operation_is_imported_when_asked_for(imports: Import) -> None:
    data = read(INPUTS / "v32.yaml").data
    data["paths"]["/parcels"]["get"]["deprecated"] = True
    data["paths"]["/depots"] = {"get": {**data["paths"]["/parcels"]["get"], "deprecated": False}}
    assert imports(data).methods == 1
    assert imports(data, deprecated=True).methods == 2


# ---- what holds for every document


@pytest.mark.parametrize("path", [*sorted(INPUTS.glob("*.yaml")), PARCELS], ids=lambda path: path.stem)
def test_every_draft_compiles_once_its_words_are_there_and_its_own_examples_are_accepted(
    tmp_path: Path, path: Path
) -> None:
    found = examine(path, tmp_path)
    assert found.problems == []
    assert found.refused == []


def test_made_up_texts_are_marked_and_compile_only_where_drafts_are_allowed(imports: Import, into: Path) -> None:
    data = read(INPUTS / "op_security.yaml").data
    for item in data["paths"].values():
        del item["get"]["summary"], item["get"]["description"]
    data["paths"]["/parcels"]["get"]["parameters"] = [{"name": "sortBy", "in": "query", "schema": {"type": "string"}}]
    report = imports(data, draft_texts=True)
    assert (report.methods, report.passed) == (4, 4)
    refused, problems = building.build(into / "parcels")
    assert refused is None
    assert {problem.message.partition(": ")[2] for problem in problems} == {
        "is a draft made up from names; write what the API does, or use --allow-drafts"
    }
    built, problems = building.build(into / "parcels", drafts=True)
    assert problems == []
    assert built is not None
    tools = compiled_file.read(to_bytes(built), "x").tools
    tool = tools["get_single_parcels_parcel"]
    assert tool.definition["description"] == "DRAFT: Get parcel. It sends GET /parcels. Returns ok."
    assert tool.definition["inputSchema"]["properties"]["sortBy"]["description"] == "DRAFT: the sort by of the parcels."


def test_ids_that_recur_are_proposed_as_pins_in_lines_to_uncomment(imports: Import, into: Path) -> None:
    data = read(INPUTS / "op_security.yaml").data
    team = {"name": "team_id", "in": "query", "description": "The team they belong to.", "schema": {"type": "string"}}
    for path in ("/parcels", "/depots", "/admin"):
        data["paths"][path]["get"]["parameters"] = [team]
    imports(data)
    integration = into / "parcels" / "integration.yaml"
    proposed = "# guessed: a server could be pinned to these ids: team_id in 3 of 4 methods\n# pinnable: [team_id]\n"
    assert proposed in integration.read_text()
    assert "    # pin: {kind: arguments}\n" in (into / "parcels" / "depots.yaml").read_text()
    assert "# pin:" not in (into / "parcels" / "open.yaml").read_text()
    for file in (into / "parcels").glob("*.yaml"):
        file.write_text(file.read_text().replace("# pinnable:", "pinnable:").replace("# pin:", "pin:"))
    built, problems = building.build(into / "parcels")
    assert problems == []
    assert built is not None
    assert built["pinnable"] == ["team_id"]


# ---- arguments with one reading


@pytest.mark.parametrize(
    ("name", "given", "target", "body"),
    [
        (
            "json_string_args",
            {"messages": '[{"text":"hi"}]', "metadata": '{"a":1}', "n": "5", "flag": "true"},
            "/memo",
            {"messages": [{"text": "hi"}], "metadata": {"a": 1}, "n": 5, "flag": True},
        ),
        ("null_args", {"id": "1", "after": None, "n": None}, "/parcels?id=1", None),
    ],
)
def test_what_clients_write_as_text_or_null_is_sent_as_it_is_meant(
    made: Any, name: str, given: Json, target: str, body: Json
) -> None:
    found = made(name)
    with loopback.upstream() as upstream:
        upstream.answers(answer(200, {"ok": True}))
        assert result_of(found.catalog, upstream.origin, found.tool().name, given)["ok"] is True
    [received] = upstream.requests
    assert received.target == target
    assert (received.json if received.body else None) == body


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("form", ["multipart/form-data", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(
    "label",
    [{"type": "object", "properties": {"to": {"type": "string"}}}, {"type": "array", "items": {"type": "object"}}],
)
def test_members_of_a_form_in_xml_are_told_and_not_sent_as_json(
    imports: Import, parcels: dict[str, Json], form: str, label: dict[str, Json], required: bool
) -> None:
    members = {"label": label, "note": {"type": "string"}, "weight": {"type": "integer"}}
    media = {
        "schema": {"type": "object", "properties": members, "required": ["label"] if required else []},
        "encoding": {name: {"contentType": "application/xml"} for name in ("label", "note")},
    }
    body = {"required": True, "content": {form: media}}
    ship = {"summary": "Ship a parcel.", "requestBody": body, "responses": {"204": {"description": "Done."}}}
    kept = {"summary": "List parcels.", "responses": {"200": {"description": "Parcels."}}}
    parcels["paths"] = {"/parcels": {"get": kept, "post": ship}}
    report = imports(parcels)
    if required:
        reason = 'needs "label" as application/xml, whose members are sent as JSON only'
        assert report.skipped == [("POST /parcels", reason)]
    else:
        assert report.skipped == []
        assert [text for _, text in report.cuts] == ["it is left out: members of application/xml are not sent"]
