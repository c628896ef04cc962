"""AWS Signature Version 4 for JSON requests, without an SDK.

Importing botocore costs about 80 ms of a cold start; this file needs two hashes and one HMAC per request. A test
proves that both produce the same bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from functions.stores.credentials import Credentials, CurrentKeys

CONTENT_TYPE = "application/x-amz-json-1.0"


class Signer:
    """Signs `POST /` requests to one service in one region. The signing key is derived once per UTC day and secret."""

    def __init__(self, keys: CurrentKeys, region: str, service: str) -> None:
        self._keys = keys
        self._region = region
        self._service = service
        self._derived_from = ("", "")
        self._day_key = b""

    def headers(self, host: str, target: str, body: bytes, now: datetime) -> dict[str, str]:
        """All headers of the request except its length. `host` includes the port unless it is the default port.
        `target` is the operation, e.g. "DynamoDB_20120810.GetItem". `now` is in UTC. Raises StoreUnavailable."""
        keys = self._keys(now)
        day = f"{now.year:04}{now.month:02}{now.day:02}"
        stamp = f"{day}T{now.hour:02}{now.minute:02}{now.second:02}Z"
        signed = {"content-type": CONTENT_TYPE, "host": host, "x-amz-date": stamp}
        if keys.session_token:
            signed["x-amz-security-token"] = keys.session_token
        signed["x-amz-target"] = target
        names = ";".join(signed)
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{_sha256(_canonical(signed, names, body))}"
        signature = hmac.digest(self._key(keys, day), to_sign.encode(), "sha256").hex()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return signed

    def _key(self, keys: Credentials, day: str) -> bytes:
        if self._derived_from != (day, keys.secret_key):
            key = f"AWS4{keys.secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived_from, self._day_key = (day, keys.secret_key), key
        return self._day_key


def _canonical(signed: Mapping[str, str], names: str, body: bytes) -> bytes:
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())  # already sorted by name
    return f"POST\n/\n\n{lines}\n{names}\n{_sha256(body)}".encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
