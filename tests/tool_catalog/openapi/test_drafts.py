"""One operation as a method: the source's words, arguments a model can name, guesses that say they are guesses."""

from __future__ import annotations

import pytest

from functions.gateway.json_text import Json
from tool_catalog.openapi import drafts, integration, responses
from tool_catalog.openapi.document import Document, Operation
from tool_catalog.openapi.drafts import Draft
from tool_catalog.openapi.inference import Placement
from tool_catalog.openapi.subjects import Context, Subject

OBJECT = {"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}}}


def answering(schema: Json) -> Json:
    return {"200": {"content": {"application/json": {"schema": schema}}}}


def drafted(
    verb: str, path: str, method: str, data: dict[str, Json], *, described_only: bool = False, by_id: bool = False
) -> Draft:
    """The method of one operation of the resource `pets`."""
    document = Document("openapi.json", {"openapi": "3.0.0"}, nullable=True)
    data = {"responses": answering(OBJECT), "summary": "Does something with a pet.", **data}
    operation = Operation(verb, path, data, tuple(data.get("parameters", ())))
    context = Context(document, "shop", frozenset({"x-key"}), described_only)
    names = {method: f"shop_pets_{method}", "list": "list_all_shop_pets"}
    place = Placement("pets", method, by_id)
    return drafts.draft(context, Subject(operation, place, responses.documented(document, operation), names))


def query(name: str, schema: Json, **more: Json) -> Json:
    return {"name": name, "in": "query", "description": "Something to look for.", "schema": schema, **more}


LIST = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    ("parameter", "mapping"),
    [
        (query("a", {"type": "string"}), {}),
        (query("a", LIST), {}),
        (query("a", LIST, explode=False), {"a": {"explode": False}}),
        (query("a", LIST, style="spaceDelimited"), {"a": {"style": "spaceDelimited"}}),
        (query("a", LIST, style="pipeDelimited", explode=True), {"a": {"style": "pipeDelimited", "explode": True}}),
        (query("a", {"type": "string"}, allowReserved=True), {"a": {"allow_reserved": True}}),
        (query("a", LIST, style="deepObject", explode=True), {"a": {"style": "brackets"}}),
        (query("a[]", LIST), {"a": {"name": "a[]"}}),
        (query("a", OBJECT, style="deepObject"), {"a": {"style": "deepObject"}}),
        (query("a", OBJECT), {}),
        (
            {"name": "a", "in": "query", "content": {"application/json": {"schema": OBJECT}}},
            {"a": {"style": "json"}},
        ),
        (query("filter[owner][id]", {"type": "string"}), {"filter_owner_id": {"name": "filter[owner][id]"}}),
        (query("$top", {"type": "string"}), {"top": {"name": "$top"}}),
        (query("Start>", {"type": "string"}), {"Start_after": {"name": "Start>"}}),
    ],
)
def test_a_query_parameter_is_named_for_models_and_sent_as_the_source_says(parameter: Json, mapping: Json) -> None:
    made = drafted("GET", "/pets/find", "find", {"parameters": [parameter]})
    assert made.data.get("parameters", {}) == mapping
    assert len(made.data["query_schema"]["properties"]) == 1


def test_arguments_that_would_clash_get_names_of_their_own() -> None:
    made = drafted(
        "POST",
        "/shops/{name}/pets/{id}/move",
        "move",
        {
            "parameters": [query("name", {"type": "string"}), query("id", {"type": "string"})],
            "requestBody": {"content": {"application/json": {"schema": OBJECT}}},
        },
    )
    assert list(made.data["path_schema"]["properties"]) == ["name", "id"]
    assert list(made.data["query_schema"]["properties"]) == ["query_name", "query_id"]
    assert list(made.data["body_schema"]["properties"]) == ["body_id", "body_name"]
    assert made.data["parameters"] == {
        "query_name": {"name": "name"},
        "query_id": {"name": "id"},
        "body_id": {"name": "id"},
        "body_name": {"name": "name"},
    }


def test_headers_of_the_transport_and_of_the_credential_are_no_arguments() -> None:
    names = ["Accept", "Content-Type", "Authorization", "X-Key", "Cookie", "Idempotency-Key"]
    headers = [{"name": name, "in": "header", "description": "Some header.", "schema": {}} for name in names]
    made = drafted("GET", "/pets", "get", {"parameters": headers})
    assert list(made.data["header_schema"]["properties"]) == ["Idempotency-Key"]


def test_the_record_in_the_path_is_called_id_and_says_where_ids_come_from() -> None:
    made = drafted("DELETE", "/pets/{petId}", "delete", {}, by_id=True)
    assert made.data["path_schema"]["properties"] == {"id": {"type": "string"}}, (
        "described nowhere: for the gate to ask"
    )
    parameter = {"name": "petId", "in": "path", "required": True, "schema": {"type": "integer"}}
    made = drafted("DELETE", "/pets/{petId}", "delete", {"parameters": [parameter]}, by_id=True)
    assert made.data["path_schema"]["properties"] == {
        "id": {"type": "integer", "description": "Which of the pets, by its petId; list_all_shop_pets lists them."}
    }
    assert made.data["parameters"] == {"id": {"name": "petId"}}
    assert made.data["example"] == {"arguments": {"id": 1}}


def test_a_description_says_what_the_source_says_and_what_comes_back() -> None:
    said = drafted("GET", "/pets/x", "x", {"summary": "Find a pet", "description": "Looks in *all* <b>shops</b>."})
    assert said.data["description"] == "Find a pet. Looks in all shops. Returns id and name."
    once = drafted("GET", "/pets/x", "x", {"summary": "Find a pet.", "description": "Find a pet in all shops."})
    assert once.data["description"] == "Find a pet in all shops. Returns id and name."
    listing = drafted("GET", "/pets", "list", {"responses": answering({"type": "array", "items": OBJECT})})
    assert listing.data["description"].endswith(
        "Returns result (items with id and name), next_cursor and result_count."
    )
    gone = drafted("DELETE", "/pets/x", "delete", {"responses": {"204": {"description": "Gone"}}})
    assert gone.data["description"].endswith("Returns the status only.")


def test_a_source_without_words_gets_none_so_that_the_gate_asks_for_them() -> None:
    made = drafted("GET", "/pets/x", "x", {"summary": ""})
    assert made.data["description"] == ""
    assert made.comments["description",] == "# the source has no description"


def test_a_manual_is_cut_to_whole_sentences_and_says_so() -> None:
    made = drafted("GET", "/pets/x", "x", {"description": "A sentence of forty characters, no more. " * 60})
    text = made.data["description"]
    assert len(text) <= 1024
    assert text.endswith("no more. Returns id and name.")
    assert made.comments["description",] == "# shortened from 2,486 characters"


@pytest.mark.parametrize(
    ("verb", "access", "destructive", "idempotent"),
    [("GET", "read", None, None), ("POST", "write", True, False), ("PUT", "write", True, True)],
)
def test_only_a_get_is_taken_for_a_read_and_every_other_custom_method_for_destructive(
    verb: str, access: str, destructive: bool | None, idempotent: bool | None
) -> None:
    made = drafted(verb, "/pets/search", "search", {})
    found = tuple(made.data.get(key) for key in ("access", "destructive", "idempotent"))
    assert found == (access, destructive, idempotent)
    assert ("destructive" in made.guesses) is (verb != "GET")


@pytest.mark.parametrize(
    ("parameters", "answer", "expected"),
    [
        (
            [query("page", {"type": "integer"}), query("per_page", {"type": "integer", "default": 30, "maximum": 100})],
            {"items": {"type": "array"}, "total_count": {}},
            {"style": "page", "page": "page", "size": "per_page", "default_size": 30, "max_size": 100},
        ),
        (
            [
                query("offset", {"type": "integer"}),
                query("limit", {"type": "integer"}, description="Up to 50. Default 10."),
            ],
            {"data": {"type": "array"}, "has_more": {"type": "boolean"}},
            {
                "style": "offset",
                "offset": "offset",
                "size": "limit",
                "default_size": 10,
                "max_size": 50,
                "next": "has_more",
            },
        ),
        (
            [query("pageToken", {"type": "string"}), query("pageSize", {"type": "integer"})],
            {"files": {"type": "array"}, "nextPageToken": {"type": "string"}},
            {
                "style": "cursor",
                "cursor": "pageToken",
                "size": "pageSize",
                "default_size": 25,
                "max_size": 25,
                "next": "nextPageToken",
            },
        ),
        (
            [query("starting_after", {"type": "string"}), query("limit", {"type": "integer"})],
            {"data": {"type": "array"}, "has_more": {"type": "boolean"}},
            {
                "style": "cursor",
                "cursor": "starting_after",
                "size": "limit",
                "default_size": 25,
                "max_size": 25,
                "next": "has_more && data[-1].id",
            },
        ),
        (
            [query("offset", {"type": "string"}), query("limit", {"type": "integer"})],
            {"data": {"type": "array"}, "next_page": {"type": "object", "properties": {"offset": {"type": "string"}}}},
            {
                "style": "cursor",
                "cursor": "offset",
                "size": "limit",
                "default_size": 25,
                "max_size": 25,
                "next": "next_page.offset",
            },
        ),
        ([query("cursor", {"type": "string"})], {"data": {"type": "array"}}, None),
        ([query("page", {"type": "string"})], {"data": {"type": "array"}}, None),
        ([], {"data": {"type": "array"}}, None),
    ],
)
def test_paging_is_guessed_from_names_and_marked_and_its_parameters_are_ours(
    parameters: list[Json], answer: Json, expected: Json
) -> None:
    made = drafted(
        "GET",
        "/files",
        "list",
        {"parameters": parameters, "responses": answering({"type": "object", "properties": answer})},
    )
    assert made.data.get("pagination") == expected
    assert ("pagination" in made.guesses) is (expected is not None)
    assert ("query_schema" in made.data) is (expected is None and parameters != [])


@pytest.mark.parametrize(
    ("schema", "items"),
    [
        ({"type": "array", "items": OBJECT}, "@"),
        ({"properties": {"pets": {"type": "array"}, "x": {"type": "array"}}}, "pets"),
        ({"properties": {"data": {"properties": {"pets": {"type": "array"}}}}}, "data.pets"),
        ({"properties": {"found": {"type": "array"}, "next": {}}}, "found"),
        ({"properties": {"found": {"type": "array"}, "name": {}}}, None),
        ({"properties": {"id": {}, "items": {"type": "array"}}}, None),
        (OBJECT, None),
    ],
)
def test_the_records_of_a_list_are_found_in_its_answer(schema: Json, items: str | None) -> None:
    document = Document("openapi.json", {"openapi": "3.0.0"}, nullable=True)
    operation = Operation("GET", "/shops/{id}/pets", {"responses": answering(schema)}, ())
    assert responses.documented(document, operation).items == items


def test_a_body_that_only_wraps_an_object_is_unwrapped_and_wrapped_again_on_the_way() -> None:
    body = {"type": "object", "properties": {"data": {**OBJECT, "required": ["name"]}}}
    content = {"application/json": {"schema": body, "example": {"data": {"name": "Rex"}}}}
    made = drafted("POST", "/pets", "create", {"requestBody": {"content": content}})
    assert list(made.data["body_schema"]["properties"]) == ["id", "name"]
    assert made.data["body_schema"]["required"] == ["name"]
    assert made.data["parameters"] == {"id": {"name": "/data/id"}, "name": {"name": "/data/name"}}
    assert made.data["example"] == {"arguments": {"name": "Rex"}}


def test_a_body_that_is_a_list_is_one_argument() -> None:
    content = {"application/json": {"schema": {"type": "array", "items": OBJECT}}}
    made = drafted("DELETE", "/pets", "bulk_delete", {"requestBody": {"content": content}})
    assert made.data["body_schema"]["type"] == "array"
    assert made.data["body_schema"]["description"] == "The pets to bulk delete, as a list."
    assert made.data["example"] == {"arguments": {"body": [{}]}}


def test_json_is_preferred_and_a_form_is_told() -> None:
    both = {"application/x-www-form-urlencoded": {"schema": OBJECT}, "application/json": {"schema": OBJECT}}
    assert "body_format" not in drafted("POST", "/p", "create", {"requestBody": {"content": both}}).data
    del both["application/json"]
    assert drafted("POST", "/p", "create", {"requestBody": {"content": both}}).data["body_format"] == "form"


def test_described_only_leaves_out_what_is_optional_and_undescribed() -> None:
    schema = {"type": "string"}
    parameters = [
        {"name": "needed", "in": "query", "required": True, "schema": schema},
        {"name": "loose", "in": "query", "schema": schema},
        query("said", schema),
    ]
    made = drafted("GET", "/pets/x", "x", {"parameters": parameters}, described_only=True)
    assert list(made.data["query_schema"]["properties"]) == ["needed", "said"]


# ---- the specification as a whole


def whole(data: dict[str, Json], *operations: Json, base_url: str | None = None) -> integration.IntegrationDraft:
    document = Document("openapi.json", {"openapi": "3.0.0", "info": {"title": "Shop"}, **data}, nullable=True)
    made = [
        Operation("GET", f"/{index}", one, tuple(one.get("parameters", ()))) for index, one in enumerate(operations)
    ]
    return integration.draft(document, "shop", made, base_url)


def schemes(**entries: Json) -> Json:
    return {"components": {"securitySchemes": entries}}


KEY = {"type": "apiKey", "in": "header", "name": "X-Key"}


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        (KEY, {"scheme": "header", "name": "X-Key", "value": "{api_key}"}),
        ({**KEY, "in": "query", "name": "key"}, {"scheme": "query", "name": "key", "value": "{api_key}"}),
        ({"type": "http", "scheme": "Bearer"}, {"scheme": "bearer", "value": "{token}"}),
        (
            {"type": "http", "scheme": "basic"},
            {"scheme": "basic", "username": "{username}", "password": "{password}"},
        ),
        ({"type": "oauth2", "flows": {}}, {"scheme": "bearer", "value": "{token}"}),
        (
            {**KEY, "name": "Authorization", "description": "Prefix the key with 'Token '."},
            {"scheme": "header", "name": "Authorization", "value": "Token {api_key}"},
        ),
        (
            {**KEY, "name": "Authorization", "description": "The key, with format `Token token=<API_KEY>`."},
            {"scheme": "header", "name": "Authorization", "value": "Token token={api_key}"},
        ),
        (
            {**KEY, "name": "Authorization", "description": "Enter the key prefixed with Bearer, e.g. Bearer abc123"},
            {"scheme": "header", "name": "Authorization", "value": "Bearer {api_key}"},
        ),
        (
            {**KEY, "name": "Authorization", "description": "Use the format 'ApiKey YOUR_KEY'."},
            {"scheme": "header", "name": "Authorization", "value": "ApiKey {api_key}"},
        ),
        (
            {**KEY, "name": "Authorization", "description": "Parcel-API-Key {key}"},
            {"scheme": "header", "name": "Authorization", "value": "Parcel-API-Key {api_key}"},
        ),
        (
            {**KEY, "name": "Authorization", "description": "SSWS followed by the key <see the manual>."},
            {"scheme": "header", "name": "Authorization", "value": "SSWS {api_key}"},
        ),
        ({**KEY, "in": "cookie"}, {"scheme": "cookie", "name": "X-Key", "value": "{api_key}"}),
        ({"type": "mutualTLS"}, {"scheme": "none"}),
    ],
)
def test_a_security_scheme_becomes_the_auth_of_the_integration(scheme: Json, auth: Json) -> None:
    assert whole(schemes(one=scheme)).data["auth"] == auth


@pytest.mark.parametrize(
    ("info", "parameters", "value"),
    [
        ("Send `Authorization: Token token=<key>` with every request.", [], "Token token={api_key}"),
        ("Books.", [{"name": "Authorization", "in": "header", "description": "Bearer {token}"}], "Bearer {api_key}"),
        ("Books.", [{"name": "authorization", "in": "header"}], "{api_key}"),
        ("Authorization is by department.", [], ""),
    ],
)
def test_a_credential_that_only_the_prose_shows_is_proposed(info: str, parameters: Json, value: str) -> None:
    made = whole({"info": {"description": info}}, {"parameters": parameters})
    assert made.data["auth"] == {"scheme": "none"}
    comment = made.comments["auth",]
    assert comment.startswith("# the source names no credential")
    assert (f'# auth: {{scheme: header, name: Authorization, value: "{value}"}}\n' in comment) == bool(value)


def test_the_scheme_that_most_operations_take_is_chosen_and_a_pair_is_told() -> None:
    both = schemes(bearer={"type": "http", "scheme": "bearer"}, key=KEY)
    made = whole(both, {"security": [{"key": []}]}, {"security": [{"key": []}, {"bearer": []}]})
    assert made.data["auth"]["scheme"] == "header"
    pair = whole({**both, "security": [{"key": [], "bearer": []}]}, {})
    assert pair.data["auth"] == {
        **{"scheme": "header", "name": "X-Key", "value": "{api_key}"},
        "also": [{"scheme": "bearer", "value": "{token}"}],
    }
    assert list(pair.data["credentials"]) == ["api_key", "token"]


@pytest.mark.parametrize(
    ("servers", "url", "marked"),
    [
        ([{"url": "https://api.example.com/v1/"}], "https://api.example.com/v1", ""),
        ([{"url": "http://a.example.com"}, {"url": "https://b.example.com"}], "https://b.example.com", ""),
        (
            [{"url": "https://{r}.example.com", "variables": {"r": {"default": "eu"}}}],
            "https://eu.example.com",
            "# guessed",
        ),
        ([{"url": "/api"}], "/api", "# the source names no https:// server"),
        ([{"url": "http://a.example.com"}], "", "# the source names no https:// server"),
        ([{"url": "https://[x]"}], "", "# the source names no https:// server"),
        (None, "", "# the source names no https:// server"),
    ],
)
def test_the_base_url_is_the_first_https_server(servers: Json, url: str, marked: str) -> None:
    made = whole({"servers": servers})
    assert made.data["base_url"] == url
    assert made.comments.get(("base_url",), "").startswith(marked)
    assert (
        whole({"servers": servers}, base_url="https://other.example.com").data["base_url"]
        == "https://other.example.com"
    )


def test_instructions_say_what_the_source_says_and_which_resources_there_are() -> None:
    info = {"title": "Shop", "description": "# Shop\n\nSells **pets**."}
    document = Document("openapi.json", {"openapi": "3.0.0", "info": info}, nullable=True)
    assert integration.instructions(document, ["pet_foods", "pets"]) == "Shop. Sells pets. Covers pet foods, pets."
    many = integration.instructions(document, [f"r{number}" for number in range(30)])
    assert many.endswith("r18, r19 and 10 more.")
    info["description"] = "A sentence that says little. " * 100
    assert len(integration.instructions(document, ["pets"])) <= 2000


def test_an_example_that_what_clients_see_does_not_allow_is_replaced() -> None:
    rules = {"type": "object", "description": "Rules by name.", "additionalProperties": {"description": "Any value."}}
    schema = {"type": "object", "required": ["rules"], "properties": {"rules": rules}}
    content = {"application/json": {"schema": schema, "example": {"rules": {"a": [1]}}}}
    made = drafted("POST", "/pets", "create", {"requestBody": {"required": True, "content": content}})
    assert made.data["example"] == {"arguments": {"rules": {}}}
