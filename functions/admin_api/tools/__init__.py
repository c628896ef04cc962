"""The tools of an account for agents without MCP: the list of tools and the proxy that runs one."""
