"""A loopback server that answers DynamoDB requests from a script, to show what the emulators never do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.patience import STUCK_SECONDS

HANG_UP = "hang up"
"""A script entry: read the request, close the connection, answer nothing."""

SILENCE = "silence"
"""A script entry: read the request and never answer; the connection closes with the server."""

LAST_WORDS = "last words"
"""A script entry: answer with an empty object, then close the connection without announcing it."""

FAREWELL = "farewell"
"""A script entry: answer with an empty object and `Connection: close`, then close the connection."""


@dataclass
class Script:
    """`answers` are used up in order: an object (status 200), a pair (status, object or text), or one of the words."""

    answers: list[Any]
    endpoint: str = ""
    operations: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    over: threading.Event = field(default_factory=threading.Event)


def error(code: str, message: str = "") -> tuple[int, dict[str, str]]:
    """DynamoDB's way to refuse."""
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}


@contextmanager
def scripted(*answers: Any) -> Iterator[Script]:
    """A server for the with block; at its end every answer must have been asked for."""
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            script.connections += 1

        def finish(self) -> None:
            super().finish()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()
            script.closed.release()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            script.operations.append(self.headers["x-amz-target"].partition(".")[2])
            script.requests.append(json.loads(body))
            answer = script.answers.pop(0)
            if answer == HANG_UP:
                self.close_connection = True
                return
            if answer == SILENCE:
                script.over.wait(STUCK_SECONDS)
                self.close_connection = True
                return
            announced = answer == FAREWELL
            if answer in (LAST_WORDS, FAREWELL):
                self.close_connection = True
                answer = {}
            status, content = answer if isinstance(answer, tuple) else (200, answer)
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.0")
            self.send_header("content-length", str(len(data)))
            if announced:
                self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
    assert script.answers == []
