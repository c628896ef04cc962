"""A built function as Lambda runs it: AWS's runtime interface client under AWS's emulator, in an empty environment."""

from __future__ import annotations

import base64
import copy
import json
import platform
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from functions.gateway.json_text import Json
from tests.aws import standins
from tests.mcp_endpoint.endpoint import Answer, Request
from tests.patience import STUCK_SECONDS, until

EVENTS = Path(__file__).parent / "events"
INVOKE = "2015-03-31/functions/function/invocations"
EMULATOR = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Running:
    """One execution environment."""

    url: str
    output: Path

    def invoke(self, event: Json) -> Json:
        """The handler's answer, or the runtime's error object."""
        request = urllib.request.Request(self.url, json.dumps(event).encode())
        try:
            with urllib.request.urlopen(request, timeout=STUCK_SECONDS) as response:
                answer = response.read()
        except urllib.error.HTTPError as error:
            answer = error.read()
        return json.loads(answer)

    def post(self, event: str, token: str | None, request: Request, *, encoded: bool = False) -> Answer:
        """A POST to the MCP endpoint inside a recorded event; `encoded`: the body as base64, as Lambda may send it."""
        envelope = self.invoke(
            http_event(event, "POST", "/mcp" if token is None else f"/mcp/{token}", request, encoded)
        )
        assert "statusCode" in envelope, envelope
        body = envelope["body"]
        content = base64.b64decode(body) if envelope["isBase64Encoded"] else body.encode()
        return Answer(envelope["statusCode"], list(envelope["headers"].items()), content)

    def log(self) -> str:
        """All that the function has written."""
        return self.output.read_text()


def http_event(name: str, verb: str, path: str, request: Request, encoded: bool = False) -> Json:
    """The recorded event `name` with this request in it."""
    event = copy.deepcopy(json.loads((EVENTS / f"{name}.json").read_text()))
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["requestContext"]["http"]["method"] = verb
    event["headers"] |= {**dict(request.lines), "content-length": str(len(request.body))}
    event["body"] = base64.b64encode(request.body).decode() if encoded else request.body.decode()
    event["isBase64Encoded"] = encoded
    return event


@contextmanager
def running(folder: Path, handler: str, timeout_seconds: int, **variables: str) -> Iterator[Running]:
    """The function in `folder`, as cold as it gets: the process is there, no event has come yet."""
    emulators = standins.tool("sam/lib").glob(
        f"python3.*/site-packages/samcli/local/rapid/aws-lambda-rie-{_emulator()}"
    )
    interpreter = standins.tool("runtime/bin/python")
    api, runtime = standins.free_port(), standins.free_port()
    output = folder.parent / f"{folder.name}-{api}.log"
    environment = {
        "PATH": "/usr/bin:/bin",
        "AWS_LAMBDA_FUNCTION_NAME": "postern",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_REGION": standins.REGION,
        "AWS_DEFAULT_REGION": standins.REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "test",
        "LAMBDA_TASK_ROOT": str(folder),
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    command = [
        str(next(emulators)),
        *("--log-level", "error"),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{api}"),
        *("--runtime-api-address", f"127.0.0.1:{runtime}"),
        *(str(interpreter), "-m", "awslambdaric", handler),
    ]
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        _listening(api, process)
        yield Running(f"http://127.0.0.1:{api}/{INVOKE}", output)
    finally:
        process.terminate()
        process.wait(STUCK_SECONDS)


def _emulator() -> str:
    return EMULATOR[platform.machine()]


def _listening(port: int, process: subprocess.Popen[bytes]) -> None:
    import socket

    def connected() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(lambda: process.poll() is not None or connected(), "the emulator listens")
    assert process.poll() is None, f"the emulator did not come up (exit status {process.poll()})"
