"""Local stand-ins for AWS, started once per test process on loopback ports and stopped with it.

`infra/aws-tools.sh` installs them. Where they are missing, tests that need them are skipped with that command as the
reason. With POSTERN_AWS_TESTS=required, which `infra/test-aws.sh` sets, they fail instead. Only the runtime client of
Lambda may still be missing: it needs a Python 3.13, which a machine may not have.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from functions.stores.dynamodb import DynamoStore
from functions.stores.store import Store
from tests.patience import STUCK_SECONDS, until

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".cache" / "aws"
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


def tool(path: str) -> Path:
    """A program of the stand-ins, as "sam/bin/sam". Skips the test, or fails it, when it is not installed."""
    found = TOOLS / path
    if not found.exists():
        missing = f"{found.relative_to(ROOT)} is not installed; run infra/aws-tools.sh"
        if path.startswith("runtime/"):
            pytest.skip(f"{missing} (on a machine with Python 3.13)")
        if os.environ.get("POSTERN_AWS_TESTS") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until `url` answers at all; fails when `process` ends before."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return True
        except OSError:
            return process.poll() is not None

    until(answers, f"{url} answers")
    assert process.poll() is None, f"{url} did not answer; exit status {process.poll()}"


def start(command: list[str], environment: Mapping[str, str], url: str) -> subprocess.Popen[bytes]:
    """A server that lives as long as this process, ready at `url`; its output goes to a file of its own."""
    folder = Path(tempfile.mkdtemp(prefix="postern-standin-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )

    def stop() -> None:
        """At once, with the functions it runs: nothing is to be saved, and nobody waits for a test worker that ends."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STUCK_SECONDS)

    atexit.register(stop)
    try:
        wait_for(url, process)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(folder / 'output.txt').read_text()[-4000:]}") from None
    return process


def start_ministack(**settings: str) -> str:
    """The endpoint of a new ministack that listens on loopback and nowhere else."""
    port = free_port()
    environment = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "PERSIST_STATE": "0",
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
        **settings,
    }
    endpoint = f"http://127.0.0.1:{port}"
    start([str(tool("standins/bin/ministack"))], environment, f"{endpoint}/_ministack/health")
    return endpoint


@functools.cache
def ministack() -> str:
    """The endpoint of this process's ministack."""
    return start_ministack()


@functools.cache
def moto() -> str:
    """The endpoint of this process's moto server."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    start([str(tool("standins/bin/moto_server")), "-H", "127.0.0.1", "-p", str(port)], {}, f"{endpoint}/moto-api/")
    return endpoint


def client(service: str, endpoint: str, *, region: str = REGION, **credentials: str) -> Any:
    """A boto3 client of a stand-in, without retries."""
    import boto3
    from botocore.config import Config

    keys = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=STUCK_SECONDS)
    return boto3.client(service, endpoint_url=endpoint, region_name=region, config=config, **keys)  # type: ignore[call-overload]


@contextmanager
def table(endpoint: str) -> Iterator[tuple[DynamoDBClient, str]]:
    """A client and an empty table with our keys, gone after."""
    dynamodb: DynamoDBClient = client("dynamodb", endpoint)
    name = f"postern-{uuid.uuid4().hex}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    try:
        yield dynamodb, name
    finally:
        dynamodb.delete_table(TableName=name)
        dynamodb.close()


@contextmanager
def store_on_ministack(folder: Path) -> Iterator[Store]:
    """An empty DynamoStore on ministack, for the contract tests."""
    with table(ministack()) as (dynamodb, name):
        yield DynamoStore(name, client=dynamodb)


class OneAtATime(DynamoStore):
    """moto looks at a condition and then writes, with nothing in between to keep another request out."""

    _lock = threading.Lock()

    def _call(self, operation: str, deadline: float, *, again: bool, **request: Any) -> dict[str, Any]:
        with self._lock:
            return super()._call(operation, deadline, again=again, **request)


@contextmanager
def store_on_moto(folder: Path) -> Iterator[Store]:
    """An empty DynamoStore on moto, for the contract tests."""
    with table(moto()) as (dynamodb, name):
        yield OneAtATime(name, client=dynamodb)
