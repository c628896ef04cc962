"""A Swagger 2.0 document means what the OpenAPI 3.0 document means that it becomes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tool_catalog.openapi.swagger2 import converted


def api(operation: Any = None, **more: Any) -> dict[str, Any]:
    """A document with one operation, as it is converted; `more` are members of the document."""
    document = {"swagger": "2.0", "paths": {"/a": {"post": operation or {"responses": {}}}}, **more}
    before = copy.deepcopy(document)
    found = converted(document)
    assert document == before
    return found


def post(operation: Any, **more: Any) -> Any:
    """The operation that one becomes."""
    return api({"responses": {}, **operation}, **more)["paths"]["/a"]["post"]


@pytest.mark.parametrize(
    ("where", "urls"),
    [
        ({"host": "x.example"}, ["https://x.example"]),
        (
            {"host": "x.example", "basePath": "/v1", "schemes": ["http", "https"]},
            ["http://x.example/v1", "https://x.example/v1"],
        ),
        ({"basePath": "/v1"}, ["/v1"]),
        ({"basePath": None, "host": ""}, []),
        ({"host": 7}, []),
    ],
)
def test_where_the_api_is(where: dict[str, Any], urls: list[str]) -> None:
    assert [server["url"] for server in api(**where)["servers"]] == urls


def test_a_body_parameter_becomes_the_request_body_in_each_media_type() -> None:
    schema = {"$ref": "#/definitions/Thing"}
    body = {"name": "thing", "in": "body", "required": True, "description": "The thing.", "schema": schema}
    media = {"schema": {"$ref": "#/components/schemas/Thing"}}
    found = post({"parameters": [body], "consumes": ["application/json", "text/json"]})
    assert found["requestBody"] == {
        "content": {"application/json": media, "text/json": media},
        "description": "The thing.",
        "required": True,
    }
    assert "parameters" not in found
    assert "consumes" not in found


def test_without_a_media_type_of_its_own_an_operation_has_the_document_s_or_json() -> None:
    body = {"name": "thing", "in": "body"}
    assert post({"parameters": [body]})["requestBody"] == {
        "content": {"application/json": {"schema": {}}},
        "required": False,
    }
    assert list(post({"parameters": [body]}, consumes=["text/x"])["requestBody"]["content"]) == ["text/x"]


def test_form_parameters_become_the_properties_of_a_form() -> None:
    parameters = [
        {
            "name": "title",
            "in": "formData",
            "type": "string",
            "required": True,
            "description": "A title.",
            "maxLength": 9,
        },
        {"name": "tags", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
        {"name": "ids", "in": "formData", "type": "array", "items": {"type": "string"}},
    ]
    assert post({"parameters": parameters})["requestBody"] == {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "title": {"type": "string", "maxLength": 9, "description": "A title."},
                        "tags": {"type": "array", "items": {"type": "string"}},
                        "ids": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["title"],
                },
                "encoding": {"tags": {"style": "form", "explode": True}, "ids": {"style": "form", "explode": False}},
            }
        },
        "required": True,
    }


def test_a_file_makes_the_form_one_of_several_parts() -> None:
    file = {"name": "picture", "in": "formData", "type": "file"}
    body = post({"parameters": [file], "consumes": ["application/json"]})["requestBody"]
    assert list(body["content"]) == ["multipart/form-data"]
    assert body["content"]["multipart/form-data"]["schema"]["properties"] == {
        "picture": {"type": "string", "format": "binary"}
    }
    assert body["required"] is False


def test_parameters_of_the_document_that_are_bodies_are_put_where_they_are_named() -> None:
    shared = {
        "Thing": {"name": "thing", "in": "body", "schema": {"type": "object"}},
        "Page": {"name": "page", "in": "query", "type": "integer", "minimum": 1},
    }
    named = [{"$ref": "#/parameters/Thing"}, {"$ref": "#/parameters/Page"}, "not a parameter"]
    found = api({"responses": {}, "parameters": named}, parameters=shared)
    operation = found["paths"]["/a"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {"type": "object"}
    assert operation["parameters"] == [{"$ref": "#/components/parameters/Page"}]
    assert found["components"]["parameters"] == {
        "Page": {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1}}
    }


def test_a_body_of_the_path_is_that_of_each_operation_without_its_own() -> None:
    common = {"name": "common", "in": "body", "schema": {"title": "common"}}
    own = {"name": "own", "in": "body", "schema": {"title": "own"}}
    page = {"name": "page", "in": "query", "type": "integer"}
    item = {
        "parameters": [common, page],
        "put": {"responses": {}},
        "post": {"parameters": [own], "responses": {}},
        "x-a": 1,
    }
    found = converted({"swagger": "2.0", "paths": {"/a": item, "/b": "not an item"}})["paths"]
    bodies = {
        verb: found["/a"][verb]["requestBody"]["content"]["application/json"]["schema"] for verb in ("put", "post")
    }
    assert bodies == {"put": {"title": "common"}, "post": {"title": "own"}}
    assert found["/a"]["parameters"] == [{"name": "page", "in": "query", "schema": {"type": "integer"}}]
    assert (found["/a"]["x-a"], found["/b"]) == (1, "not an item")


@pytest.mark.parametrize(
    ("format", "where", "style"),
    [
        (None, "query", {"explode": False}),
        ("csv", "query", {"explode": False}),
        ("multi", "query", {"explode": True}),
        ("ssv", "query", {"style": "spaceDelimited", "explode": False}),
        ("pipes", "header", {"style": "pipeDelimited", "explode": False}),
        ("csv", "path", {}),
        ("unheard of", "query", {"explode": False}),
    ],
)
def test_a_list_is_written_as_its_format_says(format: str | None, where: str, style: dict[str, Any]) -> None:
    parameter: dict[str, Any] = {"name": "a", "in": where, "type": "array", "items": {"type": "string"}}
    if format is not None:
        parameter["collectionFormat"] = format
    [found] = post({"parameters": [parameter]})["parameters"]
    assert found == {"name": "a", "in": where, "schema": {"type": "array", "items": {"type": "string"}}, **style}


def test_an_answer_has_its_schema_in_each_media_type_and_its_headers_have_schemas() -> None:
    responses = {
        200: {
            "description": "Fine.",
            "schema": {"$ref": "#/definitions/A"},
            "headers": {"X-Left": {"type": "integer"}},
            "examples": {"application/json": {}},
        },
        "404": {"$ref": "#/responses/Missing"},
        "500": "not a response",
    }
    missing = {"Missing": {"description": "Not there."}}
    found = api({"responses": responses, "produces": ["application/xml"]}, responses=missing)
    assert found["paths"]["/a"]["post"]["responses"] == {
        "200": {
            "description": "Fine.",
            "content": {"application/xml": {"schema": {"$ref": "#/components/schemas/A"}}},
            "headers": {"X-Left": {"schema": {"type": "integer"}}},
        },
        "404": {"$ref": "#/components/responses/Missing"},
        "500": "not a response",
    }
    assert found["components"]["responses"] == missing


def test_credentials_are_those_of_openapi_3() -> None:
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "basic": {"type": "basic", "description": "Name and password."},
        "app": {"type": "oauth2", "flow": "application", "tokenUrl": "https://x.example/t", "scopes": {"a": "A"}},
        "code": {
            "type": "oauth2",
            "flow": "accessCode",
            "authorizationUrl": "https://x.example/a",
            "description": "D.",
        },
        "odd": "not a scheme",
    }
    assert api(securityDefinitions=schemes, security=[{"key": []}])["components"]["securitySchemes"] == {
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "basic": {"type": "http", "scheme": "basic", "description": "Name and password."},
        "app": {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": "https://x.example/t", "scopes": {"a": "A"}}},
        },
        "code": {
            "type": "oauth2",
            "flows": {"authorizationCode": {"authorizationUrl": "https://x.example/a"}},
            "description": "D.",
        },
        "odd": "not a scheme",
    }
    assert api(security=[{"key": []}])["security"] == [{"key": []}]


def test_schemas_keep_their_references_their_kinds_and_that_they_may_be_null() -> None:
    definitions = {
        "Pet": {
            "type": "object",
            "discriminator": "kind",
            "properties": {"kind": {"type": "string"}, "tag": {"type": "string", "x-nullable": True}},
            "allOf": [{"$ref": "#/definitions/Base"}, {"$ref": "other.yaml#/definitions/Base"}],
        }
    }
    assert api(definitions=definitions)["components"]["schemas"] == {
        "Pet": {
            "type": "object",
            "discriminator": {"propertyName": "kind"},
            "properties": {"kind": {"type": "string"}, "tag": {"type": "string", "x-nullable": True, "nullable": True}},
            "allOf": [{"$ref": "#/components/schemas/Base"}, {"$ref": "other.yaml#/definitions/Base"}],
        }
    }
