"""What can unwrap an account's data key: AWS KMS in a deployment, a key file on a laptop.

Both bind the wrapped key to the account's id, so a wrapped key that was copied to another account does not open.
"""

from __future__ import annotations

import base64
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from functions.admin_api.aws import aws_client, error_code
from functions.gateway.credentials import KEY_BYTES, SealError, open_sealed, seal
from functions.gateway.errors import PosternError, Unavailable
from functions.gateway.metrics import Count, uncounted

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_PASSING = ("ThrottlingException", "KMSInternalException", "DependencyTimeoutException")
"""KMS error codes after which the same request may succeed."""


class KeyFailure(PosternError):
    """A data key cannot be opened here, and a retry will not help."""


class Keys(Protocol):
    """Wraps and unwraps data keys (32 bytes). Raises KeyFailure, or Unavailable when a retry may help."""

    def wrap(self, data_key: bytes, account_id: str) -> bytes:
        """The data key as it may be stored."""

    def unwrap(self, wrapped: bytes, account_id: str) -> bytes:
        """The data key."""


class LocalKeys:
    """A key file: 32 random bytes as base64, readable by its owner alone, made on first use."""

    def __init__(self, path: Path, random: Callable[[int], bytes]) -> None:
        self._path = path
        self._random = random
        self._key: bytes | None = None

    def wrap(self, data_key: bytes, account_id: str) -> bytes:
        """See Keys."""
        return seal(data_key, self._master(), account_id, self._random)

    def unwrap(self, wrapped: bytes, account_id: str) -> bytes:
        """See Keys."""
        try:
            return open_sealed(wrapped, self._master(), account_id)
        except SealError as error:
            raise KeyFailure(
                f"the key file {self._path} does not open account {account_id}: the account was connected with another "
                "file. Restore that file, or connect the account again"
            ) from error

    def _master(self) -> bytes:
        if self._key is None:
            self._key = self._read_or_make()
        return self._key

    def _read_or_make(self) -> bytes:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._path.exists():
            # Written aside and linked in: another process sees the whole file or none, and the first process wins.
            descriptor, made = tempfile.mkstemp(dir=self._path.parent, prefix=f"{self._path.name}.")
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(base64.b64encode(self._random(KEY_BYTES)).decode() + "\n")
            try:
                os.link(made, self._path)
            except FileExistsError:
                pass
            finally:
                os.unlink(made)
        if stat.S_IMODE(self._path.stat().st_mode) & 0o077:
            raise KeyFailure(f"the key file {self._path} can be read by other users; run: chmod 600 {self._path}")
        try:
            key = base64.b64decode(self._path.read_text(encoding="ascii").strip(), validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise KeyFailure(
                f"the key file {self._path} does not hold a key ({KEY_BYTES} bytes as base64); restore the right file"
            )
        return key


class KmsKeys:
    """A KMS key; the account id is the encryption context, so CloudTrail names the account that was opened.

    `count` counts the requests that KMS denies, because KMS has no metric of them.
    """

    def __init__(self, key_id: str, client: KMSClient | None = None, count: Count = uncounted) -> None:
        self._key_id = key_id
        self._count = count
        self._made = client

    def wrap(self, data_key: bytes, account_id: str) -> bytes:
        """See Keys."""
        with _kms_errors("wrapped", self._count):
            answer = self._client().encrypt(
                KeyId=self._key_id, Plaintext=data_key, EncryptionContext={"account_id": account_id}
            )
        return answer["CiphertextBlob"]

    def unwrap(self, wrapped: bytes, account_id: str) -> bytes:
        """See Keys."""
        with _kms_errors("opened", self._count):
            answer = self._client().decrypt(
                KeyId=self._key_id, CiphertextBlob=wrapped, EncryptionContext={"account_id": account_id}
            )
        return answer["Plaintext"]

    def _client(self) -> KMSClient:
        if self._made is None:
            self._made = aws_client("kms")
        return self._made


@contextmanager
def _kms_errors(done: str, count: Count) -> Iterator[None]:
    """Errors of KMS as KeyFailure or Unavailable, with the error code of KMS only."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in _PASSING:
            raise Unavailable(f"the data key could not be {done}: KMS returned {code}", retry_after=1) from error
        count("kms_denials", error=code)
        raise KeyFailure(
            f"the data key could not be {done}: KMS returned {code}; check POSTERN_KMS_KEY_ID and the "
            "role's permission on it"
        ) from error
    except BotoCoreError as error:
        raise Unavailable(f"the data key could not be {done}: KMS is out of reach", retry_after=1) from error
