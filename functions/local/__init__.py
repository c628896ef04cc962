"""The laptop: the whole of Postern in one process on 127.0.0.1, with its state in one folder.

Rule of the room: it composes both planes and the embedded memory, and decides nothing that a deployment decides too. It
uses the account and the servers over HTTP, like any client. Only the command line imports it.

    endpoint.py       start and run: what is built, in which order
    direct_http.py    requests of the MCP endpoint, answered by the protocol of their connection
    door.py           Host and Origin of a request to the management API or the memory, checked in front of it
    turns.py          whose request comes next when one caller sends very many
    planes.py         one ASGI app out of the data plane, the management API and the memory
    log_queue.py      the thread that writes the log, so that no call waits for a disk
    call_file.py      calls.jsonl, in files of bounded size
    first_server.py   the account and the MCP server that `postern serve` prints
    state_folder.py   one endpoint per folder
    state_file.py     local.json: what a restart needs to print the same URL
    web_server.py     the listening socket and the web server's thread
"""

from functions.local.endpoint import PORT, Ready, run, start
from functions.local.errors import LocalError, Occupied
from functions.local.web_server import HOST

__all__ = ["HOST", "PORT", "LocalError", "Occupied", "Ready", "run", "start"]
