"""What SDKs make of listed tools before a model sees them. Each environment has its own; Postern is in none of them.

    python converters.py CONVERTER... < tools.json > failures.json

The input is a list of entries: `definition` as a client receives it, and `formats` as the management API returns them.
A tool fails if the SDK raises, or if an argument of the tool is not in what the SDK makes.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched

Json = Any
Entry = Mapping[str, Json]
Convert = Callable[[Entry], None]


class Lost(Exception):
    """What the SDK makes of a tool lacks some of its arguments."""


def _kept(entry: Entry, properties: Mapping[str, Json] | None) -> None:
    """Raise Lost if an argument is missing."""
    if missing := sorted(set(entry["definition"]["inputSchema"].get("properties", {})) - set(properties or {})):
        raise Lost(", ".join(missing))


def _schema(entry: Entry) -> dict[str, Json]:
    schema: dict[str, Json] = copy.deepcopy(entry["definition"]["inputSchema"])
    return schema


def _mcp_tool(entry: Entry) -> Any:
    from mcp.types import Tool

    return Tool.model_validate(entry["definition"])


def google_genai() -> Convert:
    """`mcp_to_gemini_tool`, and our `format=gemini` as a function declaration."""
    from google.genai import types
    from google.genai._mcp_utils import mcp_to_gemini_tool

    def convert(entry: Entry) -> None:
        [declaration] = mcp_to_gemini_tool(_mcp_tool(entry)).function_declarations or []
        _kept(entry, declaration.parameters.properties if declaration.parameters else None)
        own = types.FunctionDeclaration.model_validate(entry["formats"]["gemini"])
        _kept(entry, own.parameters.properties if own.parameters else None)

    return convert


def anthropic() -> Convert:
    """`async_mcp_tool`, and our `format=anthropic` as a tool parameter."""
    from anthropic.lib.tools.mcp import async_mcp_tool
    from anthropic.types import ToolParam
    from pydantic import TypeAdapter

    adapter = TypeAdapter(ToolParam)

    def convert(entry: Entry) -> None:
        made = async_mcp_tool(_mcp_tool(entry), None).to_dict()
        _kept(entry, made["input_schema"]["properties"])
        adapter.validate_python(entry["formats"]["anthropic"])

    return convert


def anthropic_strict() -> Convert:
    """`transform_schema`, which makes a schema strict."""
    from anthropic import transform_schema

    def convert(entry: Entry) -> None:
        _kept(entry, transform_schema(_schema(entry))["properties"])

    return convert


def openai() -> Convert:
    """Our `format=openai` as a function tool."""
    from openai.types.chat import ChatCompletionFunctionToolParam
    from pydantic import TypeAdapter

    adapter = TypeAdapter(ChatCompletionFunctionToolParam)

    def convert(entry: Entry) -> None:
        made = adapter.validate_python(entry["formats"]["openai"])
        _kept(entry, made["function"]["parameters"]["properties"])

    return convert


def openai_strict() -> Convert:
    """The step of `pydantic_function_tool` that makes a schema strict."""
    from openai.lib._pydantic import _ensure_strict_json_schema

    def convert(entry: Entry) -> None:
        schema = _schema(entry)
        _kept(entry, _ensure_strict_json_schema(schema, path=(), root=schema)["properties"])

    return convert


def pydantic_ai() -> Convert:
    """The schema transformers of its OpenAI, Anthropic, Google and Bedrock models, as they are and strict."""
    from pydantic_ai.profiles.google import GoogleJsonSchemaTransformer, GoogleOpenAPISchemaTransformer
    from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer
    from pydantic_ai.providers.anthropic import AnthropicJsonSchemaTransformer
    from pydantic_ai.providers.bedrock import BedrockJsonSchemaTransformer

    transformers = (
        *(GoogleJsonSchemaTransformer, GoogleOpenAPISchemaTransformer, OpenAIJsonSchemaTransformer),
        *(AnthropicJsonSchemaTransformer, BedrockJsonSchemaTransformer),
    )

    def convert(entry: Entry) -> None:
        for transformer in transformers:
            for strict in (None, True):
                _kept(entry, transformer(_schema(entry), strict=strict).walk()["properties"])

    return convert


def litellm() -> Convert:
    """Its tools for OpenAI and Anthropic, and from these the schemas for Vertex and the tool blocks for Bedrock."""
    from botocore.validate import ParamValidator
    from litellm.litellm_core_utils.prompt_templates.factory import _bedrock_tools_pt
    from litellm.llms.vertex_ai.common_utils import build_vertex_schema
    from litellm.mcp_client.tools import transform_mcp_tool_to_anthropic_tool, transform_mcp_tool_to_openai_tool

    shape = _converse()

    def convert(entry: Entry) -> None:
        tool = _mcp_tool(entry)
        made = transform_mcp_tool_to_openai_tool(tool)
        _kept(entry, transform_mcp_tool_to_anthropic_tool(tool)["input_schema"]["properties"])
        _kept(entry, build_vertex_schema(copy.deepcopy(made["function"]["parameters"])).get("properties"))
        blocks = _bedrock_tools_pt([copy.deepcopy(made)])
        _raise(ParamValidator().validate({"modelId": "any", "toolConfig": {"tools": blocks}}, shape))

    return convert


def bedrock() -> Convert:
    """Our `format=bedrock`, validated as a request of Converse by the AWS client."""
    from botocore.validate import ParamValidator

    shape = _converse()

    def convert(entry: Entry) -> None:
        request = {"modelId": "any", "toolConfig": {"tools": [entry["formats"]["bedrock"]]}}
        _raise(ParamValidator().validate(request, shape))

    return convert


def langchain() -> Convert:
    """`convert_mcp_tool_to_langchain_tool`, and LangChain's own form for OpenAI."""
    from langchain_core.utils.function_calling import convert_to_openai_tool
    from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool

    nowhere = {"transport": "streamable_http", "url": "http://127.0.0.1:9/"}

    def convert(entry: Entry) -> None:
        tool = convert_mcp_tool_to_langchain_tool(None, _mcp_tool(entry), connection=nowhere)
        _kept(entry, convert_to_openai_tool(tool)["function"]["parameters"]["properties"])

    return convert


def langchain_google() -> Convert:
    """LangChain's function declarations for Gemini, from the form that it has for OpenAI."""
    from langchain_google_genai._function_utils import convert_to_genai_function_declarations

    def convert(entry: Entry) -> None:
        [tool] = convert_to_genai_function_declarations([entry["formats"]["openai"]])
        [declaration] = tool.function_declarations or []
        _kept(entry, declaration.parameters.properties if declaration.parameters else None)

    return convert


def _converse() -> Any:
    """The input of Bedrock's Converse."""
    import botocore.session

    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def _raise(report: Any) -> None:
    if report.has_errors():
        raise ValueError(report.generate_report())


CONVERTERS: Mapping[str, Callable[[], Convert]] = {
    "google-genai": google_genai,
    "anthropic": anthropic,
    "anthropic-strict": anthropic_strict,
    "openai": openai,
    "openai-strict": openai_strict,
    "pydantic-ai": pydantic_ai,
    "litellm": litellm,
    "bedrock": bedrock,
    "langchain": langchain,
    "langchain-google": langchain_google,
}


def failures(name: str, entries: list[Entry]) -> Iterator[str]:
    """The tools that this converter does not convert, each with the reason."""
    convert = CONVERTERS[name]()
    for entry in entries:
        try:
            convert(entry)
        except Exception as error:
            words = " ".join(f"{type(error).__name__}: {error}".split())
            yield f"{entry['definition']['name']}: {words[:300]}"


def main() -> None:
    """Run the named converters over the tools of standard input."""
    warnings.simplefilter("ignore")
    entries = json.load(sys.stdin)
    json.dump({name: list(failures(name, entries)) for name in sys.argv[1:]}, sys.stdout)


if __name__ == "__main__":
    main()
