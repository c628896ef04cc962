"""The control plane: accounts, MCP servers, API tokens, the tool list and the proxy for agents without MCP, the log.

Rule of the room: imports `gateway`, `stores` and `tool_catalog.catalog`, never the data plane. It may be heavier than
the data plane: pydantic checks what comes in, boto3 (imported by the call that needs it) speaks to AWS.
"""
