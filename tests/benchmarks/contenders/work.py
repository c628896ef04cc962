"""The work of one Postern request without a framework: what the floor does, and what the peers do in their same-work
form, so that a difference between two contenders is a difference of the frameworks.

It is the fastest form we know: no SDK, one kept connection, validators made once per tool. The peers' users would take
boto3 for the read, which costs a cold start 150 ms more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

Json = Any

RETENTION = 30 * 86_400
MAX_ANSWER = 5_000_000


class Refused(Exception):
    """The token is dead, or an argument is wrong."""


class Table:
    """BatchGetItem over one kept connection, signed by hand."""

    def __init__(self, endpoint: str, table: str) -> None:
        parts = urlsplit(endpoint)
        self._host = parts.netloc
        self._table = table
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
        self._access = os.environ["AWS_ACCESS_KEY_ID"]
        self._secret = os.environ["AWS_SECRET_ACCESS_KEY"]
        self._region = os.environ["AWS_REGION"]

    def get(self, partitions: Sequence[str]) -> list[dict[str, Json] | None]:
        """The bodies of the items with these keys."""
        keys = [{"pk": {"S": partition}, "sk": {"S": "-"}} for partition in partitions]
        body = json.dumps(
            {"RequestItems": {self._table: {"Keys": keys, "ConsistentRead": True}}}, separators=(",", ":")
        ).encode()
        self._connection.request("POST", "/", body, self._signed("DynamoDB_20120810.BatchGetItem", body))
        items = json.loads(self._connection.getresponse().read())["Responses"][self._table]
        found = {item["pk"]["S"]: json.loads(item["body"]["S"]) for item in items}
        return [found.get(partition) for partition in partitions]

    def _signed(self, target: str, body: bytes) -> dict[str, str]:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {
            "content-type": "application/x-amz-json-1.0",
            "host": self._host,
            "x-amz-date": stamp,
            "x-amz-target": target,
        }
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{stamp[:8]}/{self._region}/dynamodb/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self._secret}".encode()
        for part in (stamp[:8], self._region, "dynamodb", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._access}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return signed


class Work:
    """Everything around the protocol. `definitions` are the MCP tools by name."""

    def __init__(self, setup: dict[str, str], definitions: dict[str, dict[str, Json]]) -> None:
        self._table = Table(setup["table"], setup["table_name"])
        self._definitions = definitions
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}

    def admit(self, token: str) -> dict[str, Json]:
        """The live grant of a token, with its account. Raises Refused."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        grant, account = self._table.get([f"TOKEN#{digest}", f"ACCOUNT#{token[:8]}#{int(digest[:8], 16) % 4}"])
        if grant is None or account is None:
            raise Refused
        end = grant["expires_at"]
        if end is not None and datetime.now(UTC) >= datetime.fromisoformat(end):
            raise Refused
        return {**account, **grant}

    def credential(self, grant: dict[str, Json], token: str) -> dict[str, str]:
        """The credential, opened with the token."""
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt

        account = grant["account_id"].encode()
        key = self.key(token)
        for sealed in (grant["sealed_data_key"], grant["sealed_credential"]):
            box = base64.b64decode(sealed)
            key = decrypt(box[24:], account, box[:24], key)
        fields: dict[str, str] = json.loads(key)
        return fields

    @staticmethod
    def key(token: str) -> bytes:
        """The key that a token stands for."""
        extracted = hmac.digest(bytes(32), token.encode(), "sha256")
        return hmac.digest(extracted, b"postern token key v1\x01", "sha256")

    def check_arguments(self, name: str, arguments: dict[str, Json]) -> None:
        """All problems of the arguments at once. Raises Refused."""
        if name not in self._inputs:
            import jsonschema_rs

            self._inputs[name] = jsonschema_rs.validator_for(self._definitions[name]["inputSchema"])
        problems = [error.message for error in self._inputs[name].iter_errors(arguments)]
        if problems:
            raise Refused(problems)

    def check_answer(self, name: str, answer: Json) -> None:
        """Whether the answer is what the output schema says. Raises Refused."""
        if name not in self._outputs:
            import jsonschema_rs

            self._outputs[name] = jsonschema_rs.validator_for(self._definitions[name]["outputSchema"])
        if not self._outputs[name].is_valid(answer):
            raise Refused("answer")

    def log(
        self,
        grant: dict[str, Json],
        token: str,
        *,
        name: str,
        arguments: Json,
        size: int,
        started: float,
        seconds: float,
    ) -> None:
        """The line that is the log entry, in CloudWatch's embedded metric format."""
        now = time.time()
        canonical = json.dumps(arguments, sort_keys=True, separators=(",", ":")).encode()
        entry = {
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
            "request_id": os.urandom(8).hex(),
            "plane": "mcp",
            "server_id": grant["id"],
            "account_id": grant["account_id"],
            "integration": grant["integration"],
            "tool": name,
            "outcome": "ok",
            "status": 200,
            "error": "",
            "upstream_status": 200,
            "upstream_requests": 1,
            "duration_ms": round((time.perf_counter() - started) * 1000, 2),
            "upstream_ms": round(seconds * 1000, 2),
            "result_bytes": size,
            "client_name": "bench",
            "client_version": "1",
            "argument_hash": hmac.digest(self.key(token), canonical, "sha256").hex()[:16],
            "environment": "bench",
            "calls": 1,
            "failures": 0,
            "_aws": {
                "Timestamp": int(now * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Bench",
                        "Dimensions": [["environment"]],
                        "Metrics": [
                            {"Name": "calls", "Unit": "Count"},
                            {"Name": "failures", "Unit": "Count"},
                            {"Name": "duration_ms", "Unit": "Milliseconds"},
                            {"Name": "upstream_ms", "Unit": "Milliseconds"},
                            {"Name": "result_bytes", "Unit": "Bytes"},
                        ],
                    }
                ],
            },
        }
        sys.stdout.write(json.dumps(entry, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def token_of(event: dict[str, Any]) -> str:
    """The token in an event's path."""
    path: str = event["rawPath"]
    return path.rpartition("/")[2]
