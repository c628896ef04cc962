"""What a subscription of CloudWatch Logs delivers: the lines in one event."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

from functions.gateway import json_text

MAX_BYTES = 50_000_000
"""Decoded bytes of one delivery. CloudWatch Logs sends at most 256 kB in Base64, and text rarely shrinks to a tenth."""


class NotADelivery(ValueError):
    """The event is not one of a subscription of CloudWatch Logs."""


def lines(event: Mapping[str, Any]) -> list[str]:
    """The messages of a delivery; none of the control messages by which CloudWatch Logs tests a subscription. Raises
    NotADelivery."""
    try:
        packed = base64.b64decode(event["awslogs"]["data"], validate=True)
        decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        text = decoder.decompress(packed, MAX_BYTES)
        if not decoder.eof:
            raise NotADelivery("the data is cut, or over the limit")
        delivery = json_text.decode_lenient(text)
        if delivery["messageType"] != "DATA_MESSAGE":
            return []
        return [str(one["message"]) for one in delivery["logEvents"]]
    except (KeyError, TypeError, binascii.Error, zlib.error, json_text.NotJson) as error:
        raise NotADelivery(f"not a delivery of CloudWatch Logs: {type(error).__name__}") from error
