"""An MCP server for the length of a test run: a pytest plugin (pytest-postern) and a GitHub Action (action.yml).

Rules of the folder: the management API and the MCP endpoint are used from outside, as anybody would. Only the standard
library and pytest are imported. The folder is a distribution of its own, `pytest-postern`, with the import package
`pytest_postern`.

    ephemeral_server.py   mints and revokes a server
    identity.py           asks GitHub for the identity token of a job
    plugin.py             the fixtures, and what the plugin does around each test
    server.py             what a test gets
    embedded.py           an endpoint for the run where none is named
    reports.py            no secret in a report
    action/               what the Action starts; not in the distribution
"""

from .server import PosternServer

__all__ = ["PosternServer"]
