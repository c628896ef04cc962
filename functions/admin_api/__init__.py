"""The control plane: accounts, MCP servers, API tokens, the tool list and the proxy for agents without MCP, the log.

Rule of the room: it imports `gateway`, `stores` and the catalogues (`tool_catalog.catalog`, `request_template` and
`compiled_file`), never the data plane. It may be heavier than the data plane: pydantic checks what comes in, and boto3
(imported by the call that needs it) calls AWS.

operations.py is the table of all operations. Each subject has a folder with its stored form (item.py), its service and
its part of the HTTP contract (contract.py).
"""
