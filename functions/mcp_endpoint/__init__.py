"""The data plane: one MCP endpoint, without state, for both eras of the protocol.

Rule of the room: imports `functions.gateway`, `functions.stores` and `tool_catalog.catalog`, never the control plane.
Importing `handler` imports no pydantic, boto3, mcp, yaml, jsonschema, jsonschema-rs, h11 or PyNaCl: a cold start that
only lists tools needs none of them.
"""
