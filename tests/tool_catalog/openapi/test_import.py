"""From someone's OpenAPI file to a catalogue that builds the right requests, and again without losing hand edits.

UPDATE_GOLDEN=1 rewrites the reviewed records.
"""

from __future__ import annotations

import os
from pathlib import Path

import jsonschema_rs
import pytest

from functions.gateway import paging, requests
from functions.gateway.json_text import Json
from tests.tool_catalog.openapi.conftest import GOLDEN, PARCELS, Import
from tool_catalog import building, cli, compiled_file
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_document import to_bytes
from tool_catalog.openapi.document import CannotImport
from tool_catalog.openapi.importer import MEMORY
from tool_catalog.request_template import Auth


def compiled(folder: Path) -> Catalog:
    document, problems = building.build(folder)
    assert problems == []
    assert document is not None
    return compiled_file.read(to_bytes(document), "parcels.json")


def sent(
    loaded: Catalog, name: str, given: dict[str, Json] | None = None
) -> tuple[str, str, dict[str, str], str | None]:
    """Verb, URL, headers and body of a call; of the record's example unless other arguments are given."""
    tool = loaded.tools[name]
    values = dict(tool.example) if given is None else given
    jsonschema_rs.validate(tool.definition["inputSchema"], values, validate_formats=True)
    request = requests.build(tool, values, loaded.base_url, {}, paging.start(tool, values))
    return request.verb, request.url, dict(request.headers), request.body.decode() if request.body else None


def test_the_records_of_the_small_specification_are_the_reviewed_ones(imports: Import, into: Path) -> None:
    imports()
    actual = {path.name: path.read_text() for path in (into / "parcels").glob("*.yaml")}
    if os.environ.get("UPDATE_GOLDEN"):
        for old in GOLDEN.glob("*.yaml"):
            old.unlink()
        GOLDEN.mkdir(exist_ok=True)
        for name, text in actual.items():
            (GOLDEN / name).write_text(text)
    assert actual == {path.name: path.read_text() for path in GOLDEN.glob("*.yaml")}


def test_the_report_says_what_was_made_guessed_cut_and_left_to_write(imports: Import) -> None:
    told = "\n".join(imports().lines()) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / "report.txt").write_text(told)
    assert told == (GOLDEN / "report.txt").read_text()


def test_the_drafts_compile_as_they_are_and_every_example_is_accepted(imports: Import, into: Path) -> None:
    report = imports()
    loaded = compiled(into / "parcels")
    assert (report.methods, report.passed) == (10, 10)
    assert sorted(loaded.tools) == [
        "create_a_parcels_label",
        "create_a_parcels_parcel",
        "delete_a_parcels_parcel_by_id",
        "get_single_parcels_account",
        "get_single_parcels_parcel_by_id",
        "list_all_parcels_events",
        "list_all_parcels_parcels",
        "parcels_parcels_release",
        "parcels_parcels_search",
        "update_a_parcels_parcel_by_id",
    ]
    assert loaded.auth == Auth("header", name="X-Api-Key", value="{api_key}")
    assert loaded.rate_limits == {
        "limit": "X-RateLimit-Limit",
        "remaining": "X-RateLimit-Remaining",
        "retry_after": "Retry-After",
    }
    for name in loaded.tools:
        sent(loaded, name)


BASE = "https://eu.parcels.example.com/api/v1"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        (
            "list_all_parcels_parcels",
            {
                "status": ["waiting", "moving"],
                "weight_gte": 500,
                "created": {"after": "2026-01-01"},
                "query_fields": "id,to",
                "X-Trace": "t1",
                "limit": 50,
            },
            (
                "GET",
                f"{BASE}/parcels?status=waiting,moving&weight%5Bgte%5D=500&created%5Bafter%5D=2026-01-01"
                "&fields=id%2Cto&page=1&per_page=50",
                {"X-Trace": "t1"},
                None,
            ),
        ),
        (
            "create_a_parcels_parcel",
            {"to": {"city": "Lyon"}, "weight": 1200},
            ("POST", f"{BASE}/parcels", {"Content-Type": "application/json"}, '{"weight":1200,"to":{"city":"Lyon"}}'),
        ),
        ("get_single_parcels_parcel_by_id", None, ("GET", f"{BASE}/parcels/PA000000", {}, None)),
        (
            "update_a_parcels_parcel_by_id",
            {"id": "PA123456", "note": None},
            (
                "PATCH",
                f"{BASE}/parcels/PA123456",
                {"Content-Type": "application/json"},
                '{"parcel":{"note":null}}',
            ),
        ),
        ("delete_a_parcels_parcel_by_id", {"id": "PA123456"}, ("DELETE", f"{BASE}/parcels/PA123456", {}, None)),
        ("parcels_parcels_release", {"parcelId": "PA1"}, ("POST", f"{BASE}/parcels/PA1/release", {}, None)),
        (
            "create_a_parcels_label",
            {"parcel": "PA 1", "copies": 2},
            (
                "POST",
                f"{BASE}/labels",
                {"Content-Type": "application/x-www-form-urlencoded"},
                "parcel=PA+1&copies=2",
            ),
        ),
        ("list_all_parcels_events", {"parcelId": "PA1"}, ("GET", f"{BASE}/parcels/PA1/events?limit=25", {}, None)),
    ],
)
def test_a_call_of_an_imported_tool_is_the_request_the_specification_describes(
    imports: Import, into: Path, name: str, given: dict[str, Json] | None, expected: tuple[Json, ...]
) -> None:
    imports()
    assert sent(compiled(into / "parcels"), name, given) == expected


def test_an_operation_that_no_tool_can_be_made_of_is_named_with_the_reason(imports: Import) -> None:
    assert imports().skipped == [
        ("GET /shipments", "is deprecated"),
        (
            "PUT /parcels/{parcelId}/photo",
            "takes application/xml with named members, which are sent as JSON or as a form only; a record of your own "
            "can send one text: body_format: application/xml, and body_schema: {type: string}",
        ),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"parameters": [{"name": "f", "in": "query", "required": True, "content": {"application/pdf": {}}}]},
            'needs "f" as application/pdf, which cannot be sent in the query',
        ),
        (
            {"servers": [{"url": "https://files.example.com"}]},
            "has a server of its own (https://files.example.com); tools never leave the base URL",
        ),
        (
            {"parameters": [{"name": "sid", "in": "formData", "required": True, "schema": {"type": "string"}}]},
            'needs "sid" in the formData, where nothing can be sent',
        ),
        (
            {"parameters": [{"$ref": "common.yaml#/x"}]},
            '"common.yaml#/x" is outside this file; bundle the files into one first',
        ),
        ({"requestBody": {"$ref": "#/components/nowhere"}}, '"#/components/nowhere" is not in this file'),
    ],
)
def test_what_cannot_be_served_is_left_out_and_the_rest_is_imported(
    imports: Import, parcels: dict[str, Json], change: dict[str, Json], reason: str
) -> None:
    parcels["paths"]["/account"]["get"] |= change
    report = imports(parcels)
    assert ("GET /account", reason) in report.skipped
    assert report.methods == 9


# ---- what does not pass the gate


def undescribed(parcels: dict[str, Json]) -> dict[str, Json]:
    """With an optional and a required parameter that nobody described."""
    parcels["paths"]["/account"]["get"]["parameters"] = [
        {"name": "expand", "in": "query", "schema": {"type": "string"}}
    ]
    parcels["paths"]["/labels"]["post"]["parameters"] = [
        {"name": "tray", "in": "query", "required": True, "schema": {"type": "string"}}
    ]
    return parcels


def test_what_does_not_pass_the_gate_is_written_and_listed_with_file_line_and_what_to_write(
    imports: Import, into: Path, parcels: dict[str, Json]
) -> None:
    report = imports(undescribed(parcels))
    text = "missing description: what it is, unit, limit, default, an example value"
    assert [str(problem) for problem in report.problems] == [
        f"parcels/account.yaml:12: methods.get.query_schema.properties.expand: {text}",
        f"parcels/labels.yaml:11: methods.create.query_schema.properties.tray: {text}",
    ]
    assert (report.methods, report.passed) == (10, 8)
    for problem in report.problems:
        line = (into / problem.file).read_text().splitlines()[problem.line - 1]
        assert line.strip() in ("expand: {type: string}", "tray: {type: string}")


def test_with_passing_only_what_the_gate_lets_pass_is_written_and_the_rest_comes_once_it_is_described(
    imports: Import, into: Path, parcels: dict[str, Json]
) -> None:
    report = imports(undescribed(parcels), passing=True)
    assert report.problems == []
    assert report.left_out == ["labels.yaml: create (POST /labels)"]
    loaded = compiled(into / "parcels")
    assert len(loaded.tools) == report.methods == report.passed == 9
    assert "expand" not in loaded.tools["get_single_parcels_account"].definition["inputSchema"]["properties"]
    parcels["paths"]["/labels"]["post"]["parameters"][0]["description"] = "The tray to print from."
    assert imports(parcels, passing=True).written == ["integration.yaml", "labels.yaml"]
    assert len(compiled(into / "parcels").tools) == 10


def test_paths_choose_what_is_imported(imports: Import, into: Path) -> None:
    report = imports(paths=("/parcels/{parcelId}*", "/account"))
    assert report.operations == 7
    assert {path.name for path in (into / "parcels").glob("*.yaml")} == {
        "integration.yaml",
        "parcels.yaml",
        "events.yaml",
        "account.yaml",
    }


# ---- the second time


def test_importing_the_same_file_again_writes_nothing(imports: Import, into: Path) -> None:
    imports()
    before = {path.name: path.read_bytes() for path in (into / "parcels").iterdir()}
    report = imports()
    assert report.written == report.changed == report.kept == report.removed == report.absent == []
    assert {path.name: path.read_bytes() for path in (into / "parcels").iterdir()} == before


def test_two_imports_into_fresh_folders_give_the_same_bytes(imports: Import, into: Path, tmp_path: Path) -> None:
    imports()
    first = {path.name: path.read_bytes() for path in (into / "parcels").iterdir()}
    (into / "parcels").rename(tmp_path / "elsewhere")
    imports()
    assert {path.name: path.read_bytes() for path in (into / "parcels").iterdir()} == first


def edited(into: Path, name: str, old: str, new: str) -> None:
    path = into / "parcels" / name
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def test_hand_edits_and_comments_stay_while_the_rest_follows_the_source(
    imports: Import, into: Path, parcels: dict[str, Json]
) -> None:
    imports(parcels)
    edited(
        into,
        "labels.yaml",
        "    title: Print",
        "    # short titles fit the menu\n    title: Print a label  # was: Print",
    )
    edited(into, "labels.yaml", "Id of the parcel.", "'Id of the parcel, as \"PA123456\".'")
    body = parcels["paths"]["/labels"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    body["properties"]["parcel"]["description"] = "The parcel."
    body["properties"]["copies"]["description"] = "How many labels to print."
    body["properties"]["size"] = {"type": "string", "description": "Paper size.", "enum": ["A5", "A6"]}
    parcels["paths"]["/labels"]["post"]["summary"] = "Print a label for a parcel."
    report = imports(parcels)
    text = (into / "parcels" / "labels.yaml").read_text()
    assert "    # short titles fit the menu\n    title: Print a label  # was: Print" in text
    assert "'Id of the parcel, as \"PA123456\".'" in text
    assert "How many labels to print." in text
    assert "size: {type: string, description: Paper size., enum: [A5, A6]}" in text
    assert report.kept == [
        "labels.yaml: methods.create.title",
        "labels.yaml: methods.create.body_schema.properties.parcel",
    ]
    assert report.changed == [
        "labels.yaml: methods.create.description",
        "labels.yaml: methods.create.body_schema.properties.copies",
        "labels.yaml: methods.create.body_schema.properties.size",
    ]
    assert compiled(into / "parcels")


def test_new_operations_are_added_and_gone_ones_are_told_and_stay(
    imports: Import, into: Path, parcels: dict[str, Json]
) -> None:
    imports(parcels)
    del parcels["paths"]["/parcels/{parcelId}"]["delete"]
    del parcels["paths"]["/account"]
    parcels["paths"]["/labels/{labelId}"] = {
        "delete": {
            "summary": "Take a label back before it is printed.",
            "parameters": [
                {
                    "name": "labelId",
                    "in": "path",
                    "required": True,
                    "description": "The label.",
                    "schema": {"type": "string"},
                }
            ],
            "responses": {"204": {"description": "Gone."}},
        }
    }
    report = imports(parcels)
    assert report.removed == ["account.yaml: methods.get", "parcels.yaml: methods.delete"]
    assert report.changed == ["labels.yaml: methods.delete"]
    tools = compiled(into / "parcels").tools
    assert {"delete_a_parcels_label_by_id", "delete_a_parcels_parcel_by_id", "get_single_parcels_account"} <= set(tools)
    assert imports(parcels).removed == report.removed, "told until someone deletes them"


def test_a_method_that_is_gone_keeps_the_shared_schema_it_refers_to(
    imports: Import, into: Path, parcels: dict[str, Json]
) -> None:
    imports(parcels)
    del parcels["paths"]["/parcels"], parcels["paths"]["/parcels/search"]
    del parcels["paths"]["/parcels/{parcelId}"]["patch"]
    report = imports(parcels)
    gone = ["list", "create", "update", "search"]
    assert report.removed == [f"parcels.yaml: methods.{method}" for method in gone]
    assert len(compiled(into / "parcels").tools) == 10
    text = (into / "parcels" / "parcels.yaml").read_text()
    for method in gone:
        start = text.index(f"\n  {method}:\n")
        following = text.find("\n  ", text.index("example: {", start))
        text = text[:start] + (text[following:] if following > 0 else "\n")
    (into / "parcels" / "parcels.yaml").write_text(text)
    report = imports(parcels)
    assert report.removed == []
    assert "schemas:" not in (into / "parcels" / "parcels.yaml").read_text(), "nobody refers to it any more"


def test_importing_other_paths_later_adds_them_and_takes_nothing_for_gone(imports: Import, into: Path) -> None:
    imports(paths=("/account",))
    report = imports(paths=("/labels", "/parcels"))
    assert report.removed == []
    assert report.changed == [
        "integration.yaml: instructions",
        "labels.yaml: methods.create",
        "parcels.yaml: methods.list",
        "parcels.yaml: methods.create",
    ]
    assert len(compiled(into / "parcels").tools) == 4
    assert imports(paths=("/parcels/{parcelId}",)).removed == []
    assert len(compiled(into / "parcels").tools) == 7


def test_what_was_removed_by_hand_stays_away(imports: Import, into: Path) -> None:
    imports()
    (into / "parcels" / "account.yaml").unlink()
    text = (into / "parcels" / "parcels.yaml").read_text()
    start, end = text.index("  release:\n"), text.index("  search:\n")
    (into / "parcels" / "parcels.yaml").write_text(text[:start] + text[end:])
    report = imports()
    assert report.absent == ["account.yaml: methods", "parcels.yaml: methods.release"]
    assert report.written == []
    assert len(compiled(into / "parcels").tools) == 8


def test_names_do_not_change_when_a_later_version_brings_a_clash(
    imports: Import, into: Path, parcels: dict[str, Json]
) -> None:
    imports(parcels)
    parcels["paths"]["/depots/{depotId}/events"] = {
        "get": {
            "summary": "List what happened in a depot.",
            "parameters": [
                {
                    "name": "depotId",
                    "in": "path",
                    "required": True,
                    "description": "The depot.",
                    "schema": {"type": "string"},
                }
            ],
            "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": {}}}}}},
        }
    }
    imports(parcels)
    tools = compiled(into / "parcels").tools
    assert tools["list_all_parcels_events"].request.path == "/parcels/{parcelId}/events"
    assert tools["list_all_parcels_depot_events"].request.path == "/depots/{depotId}/events"


def test_records_written_by_hand_in_the_same_folder_are_left_alone(imports: Import, into: Path) -> None:
    imports()
    text = (into / "parcels" / "account.yaml").read_text().replace("resource: account", "resource: plan")
    own = into / "parcels" / "plan.yaml"
    own.write_text(text.replace("name: get_single_parcels_account", "name: parcels_plan"))
    imports()
    assert own.exists()
    assert len(compiled(into / "parcels").tools) == 11


def test_a_broken_record_stops_the_import_and_nothing_is_written(
    imports: Import, into: Path, parcels: dict[str, Json]
) -> None:
    imports(parcels)
    (into / "parcels" / "labels.yaml").write_text("resource: labels\n  tags: [x]\n")
    before = {path.name: path.read_bytes() for path in (into / "parcels").iterdir()}
    parcels["info"]["title"] = "Parcels 2"
    with pytest.raises(CannotImport, match=r"^parcels/labels.yaml:2: not YAML: "):
        imports(parcels)
    assert {path.name: path.read_bytes() for path in (into / "parcels").iterdir()} == before
    assert [path.name for path in into.iterdir()] == ["parcels"], "nothing is left beside it"


def test_a_broken_memory_is_named_and_not_guessed_at(imports: Import, into: Path) -> None:
    imports()
    (into / "parcels" / MEMORY).write_text("{}")
    with pytest.raises(CannotImport) as caught:
        imports()
    assert str(caught.value) == (
        "parcels/.imported.json: cannot be read; restore it from version control. If you delete it, "
        "everything in the folder counts as written by hand"
    )


# ---- the command


def run(into: Path, *given: str) -> int:
    return cli.main([*given, "--into", str(into.parent)], {})


def test_the_command_imports_and_the_result_compiles(into: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(into, "import", str(PARCELS), "--integration", "parcels") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("parcels: 12 operations read; 10 methods of 4 resources, 10 pass the gate; 5 files")
    assert captured.err == ""
    assert run(into, "compile") == 0
    assert capsys.readouterr().out == "parcels.json: 10 tools\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["https://api.example.com/openapi.json", "--integration", "parcels"],
            '"https://api.example.com/openapi.json" is a URL, and nothing is fetched; download the file, give its path',
        ),
        (["nowhere.json", "--integration", "parcels"], 'there is no file "nowhere.json"'),
        (
            [str(PARCELS), "--integration", "My Parcels"],
            '"My Parcels" is not an integration name; use lower-case letters, digits and single "_" or "-"',
        ),
        (
            [str(PARCELS), "--integration", "parcels", "--base-url", "http://a.example.com"],
            '"http://a.example.com" is not a base URL; give one that starts with https:// and has a host',
        ),
        (
            [str(PARCELS), "--integration", "parcels", "--path", "/nothing*"],
            "parcels.yaml: there is no operation to import; check --path",
        ),
    ],
)
def test_the_command_refuses_in_one_line(
    into: Path, capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    assert run(into, "import", *given) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"{message}\nnothing was written\n"
    assert not into.exists()


def test_two_resources_that_spell_one_tool_name_get_two(imports: Import, into: Path, parcels: dict[str, Json]) -> None:
    get = next(iter(parcels["paths"].values()))["get"]
    one = {**get, "parameters": []}
    number = {
        "name": "field",
        "in": "path",
        "required": True,
        "description": "Which field.",
        "schema": {"type": "string"},
    }
    parcels["paths"] = {
        "/app/field/value": {"post": {**one, "operationId": "a"}},
        "/app/field/{field}/value": {"put": {**one, "operationId": "b", "parameters": [number]}},
        "/app/field/{field}/configuration": {"get": {**one, "operationId": "c", "parameters": [number]}},
    }
    imports(parcels)
    names = [tool.name for tool in compiled(into / "parcels").tools.values()]
    assert len(names) == len(set(names)) == 3
