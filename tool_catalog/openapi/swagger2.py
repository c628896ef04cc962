"""A Swagger 2.0 document becomes the OpenAPI 3.0 document that says the same.

What moves: host, basePath and schemes become servers; definitions, parameters, responses and securityDefinitions become
components; a body or form parameter becomes a request body; `collectionFormat` becomes style and explode; the type of a
parameter moves into its schema. References follow what they point at. Everything else stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from tool_catalog.catalog import Json
from tool_catalog.records import VERBS
from tool_catalog.request_template import FORM_MEDIA_TYPE, JSON_MEDIA_TYPE

Node = dict[str, Json]

_MOVED = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
"""Where references lead in each version."""

_OF_A_SCHEMA = (
    *("type", "format", "items", "default", "enum", "pattern", "multipleOf", "uniqueItems"),
    *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    *("maxLength", "minLength", "maxItems", "minItems"),
)
"""Keys of a parameter or header that are those of its schema in OpenAPI 3."""

_FORMATS: Mapping[str, Node] = {
    "csv": {"explode": False},
    "ssv": {"style": "spaceDelimited", "explode": False},
    "pipes": {"style": "pipeDelimited", "explode": False},
    "tsv": {"style": "tabDelimited", "explode": False},
    "multi": {"explode": True},
}
"""collectionFormat -> style and explode. OpenAPI 3 has no style for tabs, nor delimiters outside of queries; the names
continue its own."""

_FLOWS = {"implicit": "implicit", "password": "password", "application": "clientCredentials"}


def converted(data: Node) -> Node:
    """The OpenAPI 3.0 document. `data` stays as it is."""
    consumes, produces = _texts(data.get("consumes")), _texts(data.get("produces"))
    shared = {
        name: parameter
        for name, parameter in _mapping(data.get("parameters")).items()
        if isinstance(parameter, dict) and parameter.get("in") in ("body", "formData")
    }
    reader = _Reader(shared, consumes, produces)
    return {
        "openapi": "3.0.3",
        "info": data.get("info", {}),
        "servers": _servers(data),
        **({"security": data["security"]} if "security" in data else {}),
        "paths": {path: reader.item(item) for path, item in _mapping(data.get("paths")).items()},
        "components": {
            "schemas": _referring(_mapping(data.get("definitions"))),
            "parameters": {
                name: reader.parameter(parameter)
                for name, parameter in _mapping(data.get("parameters")).items()
                if name not in shared
            },
            "responses": {
                name: reader.response(response, produces) for name, response in _mapping(data.get("responses")).items()
            },
            "securitySchemes": {
                name: _scheme(scheme) for name, scheme in _mapping(data.get("securityDefinitions")).items()
            },
        },
    }


class _Reader:
    """Converts paths. `shared` are the parameters of the document that are bodies or parts of a form."""

    def __init__(self, shared: Mapping[str, Node], consumes: list[str], produces: list[str]) -> None:
        self.shared = shared
        self.consumes = consumes
        self.produces = produces

    def item(self, item: Json) -> Json:
        if not isinstance(item, dict):
            return item
        common, common_body = self._parted(item.get("parameters"))
        result: Node = {key: value for key, value in item.items() if key == "$ref" or key.startswith("x-")}
        if common:
            result["parameters"] = common
        for verb in VERBS:
            operation = item.get(verb.lower())
            if isinstance(operation, dict):
                result[verb.lower()] = self._operation(operation, common_body)
        return result

    def _operation(self, operation: Node, common_body: list[Node]) -> Node:
        parameters, body = self._parted(operation.get("parameters"))
        kept = {
            key: value
            for key, value in operation.items()
            if key not in ("parameters", "responses", "consumes", "produces", "schemes")
        }
        if parameters:
            kept["parameters"] = parameters
        consumes = _texts(operation.get("consumes")) if "consumes" in operation else self.consumes
        if own := body or common_body:
            kept["requestBody"] = _body(own, consumes)
        produces = _texts(operation.get("produces")) if "produces" in operation else self.produces
        responses = _mapping(operation.get("responses"))
        kept["responses"] = {str(code): self.response(response, produces) for code, response in responses.items()}
        return kept

    def _parted(self, parameters: Json) -> tuple[list[Node], list[Node]]:
        """The parameters, and those of them that make up the body."""
        found: list[Node] = []
        body: list[Node] = []
        for entry in parameters if isinstance(parameters, list) else ():
            if not isinstance(entry, dict):
                continue
            name = str(entry.get("$ref", "")).removeprefix("#/parameters/")
            if name in self.shared:
                body.append(self.shared[name])
            elif entry.get("in") in ("body", "formData"):
                body.append(entry)
            else:
                found.append(self.parameter(entry))
        return found, body

    def parameter(self, parameter: Json) -> Json:
        if not isinstance(parameter, dict) or "$ref" in parameter:
            return _referring(parameter)
        kept = {key: value for key, value in parameter.items() if key not in (*_OF_A_SCHEMA, "collectionFormat")}
        kept["schema"] = _referring({key: parameter[key] for key in _OF_A_SCHEMA if key in parameter})
        if parameter.get("type") == "array":
            style = _FORMATS.get(str(parameter.get("collectionFormat", "csv")), _FORMATS["csv"])
            kept |= style if parameter.get("in") == "query" or "style" in style else {}
        return kept

    def response(self, response: Json, produces: list[str]) -> Json:
        if not isinstance(response, dict) or "$ref" in response:
            return _referring(response)
        kept = {key: value for key, value in response.items() if key not in ("schema", "headers", "examples")}
        if "schema" in response:
            schema = _referring(response["schema"])
            kept["content"] = {media_type: {"schema": schema} for media_type in produces or [JSON_MEDIA_TYPE]}
        if isinstance(response.get("headers"), dict):
            kept["headers"] = {name: self.parameter(header) for name, header in response["headers"].items()}
        return kept


def _body(parameters: list[Node], consumes: list[str]) -> Node:
    whole = next((one for one in parameters if one.get("in") == "body"), None)
    if whole is not None:
        media = {"schema": _referring(whole.get("schema", {}))}
        body: Node = {"content": dict.fromkeys(consumes or [JSON_MEDIA_TYPE], media)}
        if "description" in whole:
            body["description"] = whole["description"]
        return {**body, "required": whole.get("required") is True}
    properties: Node = {}
    encoding: Node = {}
    for one in parameters:
        name = str(one.get("name"))
        schema = {key: one[key] for key in (*_OF_A_SCHEMA, "description") if key in one}
        properties[name] = {**schema, "type": "string", "format": "binary"} if one.get("type") == "file" else schema
        if one.get("type") == "array":
            encoding[name] = {"style": "form", **_FORMATS.get(str(one.get("collectionFormat", "csv")), _FORMATS["csv"])}
    required = [str(one.get("name")) for one in parameters if one.get("required") is True]
    schema = {"type": "object", "properties": _referring(properties), **({"required": required} if required else {})}
    usual = "multipart/form-data" if any(one.get("type") == "file" for one in parameters) else FORM_MEDIA_TYPE
    media_types = [one for one in consumes if one in (FORM_MEDIA_TYPE, "multipart/form-data")] or [usual]
    media = {"schema": schema, **({"encoding": encoding} if encoding else {})}
    return {"content": dict.fromkeys(media_types, media), "required": bool(required)}


def _servers(data: Node) -> list[Node]:
    host, path = data.get("host"), str(data.get("basePath") or "")
    if not isinstance(host, str) or not host:
        return [{"url": path}] if path else []
    schemes = _texts(data.get("schemes")) or ["https"]
    return [{"url": f"{scheme}://{host}{path}"} for scheme in schemes]


def _scheme(scheme: Json) -> Json:
    if not isinstance(scheme, dict):
        return scheme
    if scheme.get("type") == "basic":
        return {**{key: value for key, value in scheme.items() if key != "type"}, "type": "http", "scheme": "basic"}
    if scheme.get("type") == "oauth2":
        flow = _FLOWS.get(str(scheme.get("flow")), "authorizationCode")
        parts = {key: scheme[key] for key in ("authorizationUrl", "tokenUrl", "scopes") if key in scheme}
        described = {"description": scheme["description"]} if "description" in scheme else {}
        return {"type": "oauth2", "flows": {flow: parts}, **described}
    return scheme


def _referring(node: Json) -> Json:
    """`node` with every reference, and every discriminator, as OpenAPI 3 has it."""
    if isinstance(node, list):
        return [_referring(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    result = {key: _referring(value) for key, value in node.items()}
    if isinstance(reference := result.get("$ref"), str):
        for old, new in _MOVED.items():
            if reference.startswith(old):
                result["$ref"] = new + reference.removeprefix(old)
    if isinstance(tag := result.get("discriminator"), str):
        result["discriminator"] = {"propertyName": tag}
    if result.get("x-nullable") is True:
        result["nullable"] = True
    return result


def _texts(value: Json) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _mapping(value: Json) -> Node:
    return value if isinstance(value, dict) else {}
