"""Sends a notice to the webhook of a deployment: one signed POST, in the form of the Standard Webhooks specification.

The address passes the checks of an upstream's base URL, and the sender checks what its name resolves to at the moment
of connecting. A redirect is not followed. An answer is read within the sender's limits and thrown away.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from functions.gateway.addresses import check_base_url
from functions.gateway.errors import Invalid, ToolFailure
from functions.gateway.grants import write_time
from functions.gateway.json_text import encode
from functions.gateway.notice import Notice
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings, SettingsError
from functions.gateway.upstream import Sender

SEND_SECONDS = 5.0
"""Longest wait for the receiver: it is to take the notice and work on it later."""

SECRET_PREFIX = "whsec_"  # noqa: S105 - a public prefix, not a secret

MIN_KEY_BYTES = 24
"""Shortest key, as the specification asks: 192 bits."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver. `clock` gives the present in UTC."""

    url: str
    key: bytes = field(repr=False)
    sender: Sender
    clock: Callable[[], datetime]

    @classmethod
    def of(cls, settings: Settings, secret: str, sender: Sender, clock: Callable[[], datetime]) -> Webhook:
        """The receiver that the settings name. Raises SettingsError for an address or a secret that cannot be used."""
        try:
            url = check_base_url(settings.webhook_url, private=settings.private_upstreams)
        except Invalid as problem:
            reason = problem.message.replace("base_url", "POSTERN_WEBHOOK_URL").replace("credentials are", "nothing is")
            raise SettingsError(reason) from None
        return cls(url, key_of(secret), sender, clock)

    async def send(self, notice: Notice) -> bool:
        """True when the receiver took it. Never raises; a failure is logged without the address."""
        now = self.clock()
        seconds = str(int(now.timestamp()))
        body = encode({"type": notice.type, "timestamp": write_time(notice.due), "data": dict(notice.data)})
        url = urlsplit(self.url)
        request = UpstreamRequest(
            "POST",
            f"{url.scheme}://{url.netloc}",
            url.path or "/",
            headers=(
                ("content-type", "application/json"),
                ("webhook-id", notice.id),
                ("webhook-timestamp", seconds),
                ("webhook-signature", signature(self.key, notice.id, seconds, body)),
            ),
            body=body,
            account_id="webhook",
        )
        try:
            answer = await self.sender.send(request, asyncio.get_running_loop().time() + SEND_SECONDS)
        except ToolFailure as failure:
            logger.warning("notice %s was not taken: %s", notice.id, type(failure).__name__)
            return False
        if not 200 <= answer.status < 300:
            logger.warning("notice %s was not taken: the receiver returned %s", notice.id, answer.status)
            return False
        return True


def key_of(secret: str) -> bytes:
    """The key in a secret. Raises SettingsError, without the secret in it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) < MIN_KEY_BYTES:
        raise SettingsError(
            f"POSTERN_WEBHOOK_SECRET is not a secret for signatures; give {SECRET_PREFIX} and at least "
            f"{MIN_KEY_BYTES} random bytes as base64"
        )
    return key


def signature(key: bytes, id: str, seconds: str, body: bytes) -> str:
    """The value of the header `webhook-signature`: version 1, HMAC-SHA256 over id, time and body."""
    signed = hmac.new(key, f"{id}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"
