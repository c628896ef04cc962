"""Upstream credentials: how they are sealed, opened and attached to a request.

::

    token --HKDF-SHA256--> token key --opens--> account data key --opens--> credential
    KMS or local key  -----------------wraps--> account data key             (control plane only)

Both boxes are XChaCha20-Poly1305 (libsodium) with a random 24-byte nonce in front and the account id as additional
data, so a box moved to another account does not open. A copy of the table opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from functions.gateway import json_text
from functions.gateway.errors import UpstreamUnreachable
from functions.gateway.json_text import well_formed
from functions.gateway.requests import UNSENDABLE, UpstreamRequest
from functions.gateway.value_classes import replace

if TYPE_CHECKING:
    from tool_catalog.request_template import Auth

KEY_BYTES = 32
"""Length of data keys and token keys: 256 bits."""

NONCE_BYTES = 24
"""Nonce of XChaCha20-Poly1305; long enough to draw at random for ever."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class SealError(Exception):
    """A sealed value does not open with this key and account: wrong key, or the bytes were changed."""


class Credential(Mapping[str, str]):
    """The fields of an upstream credential, as {"api_key": "..."}. Its repr shows the names only."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __iter__(self) -> Any:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Credential({', '.join(f'{name}=***' for name in self._fields)})"


def token_key(token: str) -> bytes:
    """The key that a token stands for: HKDF-SHA256 (RFC 5869) of the token, without salt, 32 bytes."""
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), token.encode(), "sha256")
    return hmac.digest(extracted, b"postern token key v1\x01", "sha256")


def signing_key(data_key: bytes) -> bytes:
    """The key that signs and seals what a server gives to its callers and takes back: 32 bytes, made of the account's
    data key. A caller has the token and not the table, and a copy of the table has no token; neither gives the key."""
    return hmac.digest(data_key, b"postern signing key v1", "sha256")


def seal(plain: bytes, key: bytes, account_id: str, random: Callable[[int], bytes]) -> bytes:
    """Nonce and ciphertext of `plain` under `key`, bound to the account."""
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt

    nonce = random(NONCE_BYTES)
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plain, account_id.encode(), nonce, key)


def open_sealed(sealed: bytes, key: bytes, account_id: str) -> bytes:
    """Inverse of `seal`. Raises SealError."""
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
    from nacl.exceptions import CryptoError

    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[NONCE_BYTES:], account_id.encode(), sealed[:NONCE_BYTES], key
        )
    except (CryptoError, ValueError) as error:
        raise SealError(f"a sealed value of account {account_id} does not open") from error


def seal_credential(
    credential: Mapping[str, str], data_key: bytes, account_id: str, random: Callable[[int], bytes]
) -> bytes:
    """A credential under its account's data key."""
    return seal(json_text.encode(dict(credential)), data_key, account_id, random)


def open_credential(sealed: bytes, data_key: bytes, account_id: str) -> Credential:
    """Inverse of `seal_credential`. Raises SealError."""
    return Credential(json_text.decode_lenient(open_sealed(sealed, data_key, account_id)))


def open_with_token(
    sealed_credential: bytes, sealed_data_key: bytes, key: bytes, account_id: str
) -> tuple[Credential, bytes]:
    """The credential of a server and its account's data key, opened with nothing but the request's token, whose token
    key is `key`. Raises SealError."""
    data_key = open_sealed(sealed_data_key, key, account_id)
    return open_credential(sealed_credential, data_key, account_id), data_key


def attach(
    request: UpstreamRequest, auth: Auth, credential: Mapping[str, str], own: Auth | None = None
) -> UpstreamRequest:
    """The request with the credential on it, as the integration's `auth` says; a field that is not given is empty.

    `own` is the auth of a tool that needs another credential than the rest. Raises UpstreamUnreachable if the account
    has no field of it, and for a credential that cannot be sent; the text shows nothing of it.
    """
    if any(UNSENDABLE.search(value) or well_formed(value) != value for value in credential.values()):
        raise UpstreamUnreachable(
            "this account's credential holds a character that cannot be sent, as a line break; nothing was sent. "
            "An operator must reconnect the account",
            sent=False,
        )

    chosen = auth if own is None else own
    for one in (chosen, *chosen.also):
        fields = _PLACEHOLDER.findall(f"{one.value}{one.username}{one.password}")
        if own is not None and fields and not any(name in credential for name in fields):
            names = " and ".join(dict.fromkeys(fields))
            raise UpstreamUnreachable(
                f"this tool needs the credential field {names}, which this account does not have; nothing was sent. "
                "An operator must reconnect the account with it",
                sent=False,
            )
        request = _attached(request, one, credential)
    return request


def filled(template: str, credential: Mapping[str, str]) -> str:
    """The template with the fields of the credential in it; a field that is not given is empty."""
    return _PLACEHOLDER.sub(lambda match: credential.get(match[1], ""), template)


def _attached(request: UpstreamRequest, auth: Auth, credential: Mapping[str, str]) -> UpstreamRequest:
    """The request with one credential on it."""
    match auth.scheme:
        case "header":
            header = (auth.name, filled(auth.value, credential))
        case "bearer":
            header = ("Authorization", f"Bearer {filled(auth.value, credential)}")
        case "basic":
            pair = filled(f"{auth.username}:{auth.password}", credential)
            header = ("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
        case "query":
            pair = f"{quote(auth.name, safe='')}={quote(filled(auth.value, credential), safe='')}"
            return replace(request, query="&".join(filter(None, (request.query, pair))))
        case "cookie":
            cookies = [value for name, value in request.headers if name == "Cookie"]
            cookies.append(f"{auth.name}={quote(filled(auth.value, credential), safe='')}")
            others = tuple(header for header in request.headers if header[0] != "Cookie")
            return request.with_headers((*others, ("Cookie", "; ".join(cookies))))
        case "none":
            return request
    return request.with_headers((*request.headers, (header[0], header[1].strip(" \t"))))
