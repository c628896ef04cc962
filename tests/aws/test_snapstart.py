"""SnapStart: the built data plane through the hooks of Lambda's own runtime, with the keys of the container."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.aws import standins
from tests.aws.conftest import Built
from tests.aws.lambda_runtime import http_event
from tests.mcp_endpoint.endpoint import legacy

pytestmark = pytest.mark.aws

DRIVE = """
import json, sys
from types import SimpleNamespace
import functions.mcp_endpoint.handler as function
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore, run_before_snapshot

event = json.load(open(sys.argv[1]))
context = SimpleNamespace(aws_request_id="r", get_remaining_time_in_millis=lambda: 29_000)
before = set(sys.modules)
run_before_snapshot()
print("loaded", *sorted({name for name in set(sys.modules) - before if "." not in name}))
print("connection", function.store._connection)
run_after_restore()
print("answers", *(function.handler(event, context)["statusCode"] for _ in range(3)))
"""


class KeysOfTheContainer(ThreadingHTTPServer):
    """The endpoint that Lambda gives a function with SnapStart in place of keys."""

    asked: int = 0
    authorizations: list[str]


@pytest.fixture
def keys() -> Iterator[KeysOfTheContainer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert isinstance(self.server, KeysOfTheContainer)
            self.server.asked += 1
            self.server.authorizations.append(self.headers["Authorization"])
            ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            body = {"AccessKeyId": "test", "SecretAccessKey": "test", "Token": "t", "Expiration": ends}
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = KeysOfTheContainer(("127.0.0.1", 0), Handler)
    server.authorizations = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_snapshot_has_what_calls_need_and_no_connection_and_the_copy_asks_for_its_keys(
    built: Built, keys: KeysOfTheContainer, tmp_path: Path
) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps(http_event("function_url", "POST", f"/mcp/{'t' * 43}", legacy("ping"))))
    folder = built.function("mcp_endpoint")
    with standins.table(standins.ministack()) as (_, table):
        done = subprocess.run(
            [str(standins.tool("runtime/bin/python")), "-B", "-c", DRIVE, str(event)],
            cwd=folder,
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(folder),
                "AWS_REGION": standins.REGION,
                "AWS_ENDPOINT_URL": standins.ministack(),
                "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{keys.server_port}/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token-of-the-container",
                "POSTERN_STORE": "dynamodb",
                "POSTERN_TABLE": table,
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.split(" ")[0] != '{"_aws"')
    assert {"jmespath", "jsonschema_rs", "nacl"} <= set(said["loaded"].split())
    assert said["connection"] == "None"
    assert said["answers"] == "200 200 200", "a dead URL is answered: the table was read with the container's keys"
    assert (keys.asked, keys.authorizations) == (1, ["token-of-the-container"])
