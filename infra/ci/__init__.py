"""An MCP server for the length of a test run: a GitHub Action (action.yml) and a pytest plugin (pytest_postern.py).

Rule of the folder: the management API and the MCP endpoint are used from outside, as anybody would; `functions` is
imported only to start an embedded endpoint where none is named.
"""
