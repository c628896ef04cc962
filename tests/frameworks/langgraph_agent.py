"""An agent of LangChain and LangGraph on an MCP URL, which waits out rate limits: MCP_URL POLICY."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.interceptors import MCPToolCallRequest

from tests.frameworks.host import pause, retry_after, tell
from tests.frameworks.policies import Call, ScriptedModel


class ScriptedChatModel(BaseChatModel):  # type: ignore[misc]
    """A chat model that follows a policy."""

    script: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> ScriptedChatModel:
        """The tools are known to the policy by name."""
        tell(bound=[tool.name for tool in tools])
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        results = [json.loads(_text(message)) for message in messages if isinstance(message, ToolMessage)]
        turn = self.script.decide(results)
        if isinstance(turn, Call):
            call = {"name": turn.name, "args": turn.arguments, "id": f"call_{len(results)}", "type": "tool_call"}
            message = AIMessage(content="", tool_calls=[call])
        else:
            message = AIMessage(content=turn)
        return ChatResult(generations=[ChatGeneration(message=message)])


def _text(message: ToolMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(block["text"] for block in message.content if block["type"] == "text")


async def wait_out_rate_limits(
    request: MCPToolCallRequest, handler: Callable[[MCPToolCallRequest], Awaitable[Any]]
) -> Any:
    """Repeat a call that was refused for its rate, after as many seconds as its rate limit says."""
    while True:
        result = await handler(request)
        tell(call=request.name, error=result.isError)
        seconds = retry_after(result)
        if seconds is None:
            return result
        await pause(seconds)


async def main(url: str, policy: str) -> None:
    client = MultiServerMCPClient(
        {"postern": {"transport": "http", "url": url}}, tool_interceptors=[wait_out_rate_limits]
    )
    agent = create_agent(ScriptedChatModel(script=ScriptedModel(policy)), await client.get_tools())
    state = await agent.ainvoke({"messages": [{"role": "user", "content": policy}]}, {"recursion_limit": 100})
    tell(final=state["messages"][-1].content)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
