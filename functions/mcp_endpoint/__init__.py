"""The data plane: one MCP endpoint, without state, for both eras of the protocol.

Rule of the room: imports `functions.gateway`, `functions.stores` and the catalogues (`tool_catalog.catalog`,
`request_template` and `compiled_file`), never the control plane. Importing `handler` imports the standard library only:
a cold start that lists tools needs no package, and what a call needs is imported by the first call.
"""
