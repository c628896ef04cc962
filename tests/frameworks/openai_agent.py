"""An agent of the OpenAI Agents SDK on an MCP URL, which waits out rate limits: MCP_URL POLICY."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from tests.frameworks.host import pause, retry_after, tell
from tests.frameworks.policies import Call, ScriptedModel


class ScriptedResponses(Model):  # type: ignore[misc]
    """A model that follows a policy."""

    def __init__(self, policy: str) -> None:
        self._script = ScriptedModel(policy)

    async def get_response(self, *, input: Any, tools: list[Any], **_: Any) -> ModelResponse:
        """The policy's next turn."""
        items = input if isinstance(input, list) else []
        results = [json.loads(_text(item["output"])) for item in items if item.get("type") == "function_call_output"]
        if not results:
            tell(bound=[tool.name for tool in tools])
        turn = self._script.decide(results)
        if isinstance(turn, Call):
            output: Any = ResponseFunctionToolCall(
                type="function_call",
                name=turn.name,
                arguments=json.dumps(turn.arguments),
                call_id=f"call_{len(results)}",
                id=f"item_{len(results)}",
            )
        else:
            text = ResponseOutputText(type="output_text", text=turn, annotations=[])
            output = ResponseOutputMessage(
                type="message", id="item_last", role="assistant", status="completed", content=[text]
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        """Not used: the run is not streamed."""
        raise NotImplementedError


def _text(output: Any) -> str:
    """A tool's output as the SDK shows it to a model: text, or a list of text parts."""
    parts = output if isinstance(output, list) else [output]
    text = "".join(part if isinstance(part, str) else part["text"] for part in parts)
    shown: Any = json.loads(text)
    return str(shown["text"]) if isinstance(shown, dict) and shown.get("type") == "text" else text


class PatientServer(MCPServerStreamableHttp):  # type: ignore[misc]
    """Repeats a call that was refused for its rate, after as many seconds as its rate limit says."""

    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> Any:
        """See MCPServer.call_tool."""
        while True:
            result = await super().call_tool(tool_name, arguments, meta)
            tell(call=tool_name, error=result.is_error)
            seconds = retry_after(result)
            if seconds is None:
                return result
            await pause(seconds)


async def main(url: str, policy: str) -> None:
    set_tracing_disabled(True)
    async with PatientServer(name="postern", params={"url": url}, cache_tools_list=True) as server:
        agent = Agent(name="memory", model=ScriptedResponses(policy), mcp_servers=[server])
        result = await Runner.run(agent, policy, max_turns=50)
        tell(final=result.final_output)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
