"""How the control plane calls AWS: how long one request may take, how often it is tried, how an error is named.

boto3 is imported by the call that needs it.
"""

from __future__ import annotations

from typing import Any, Literal

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 2, 5, 3
"""Longest waits, and tries, of one request: an operator is waiting for the answer."""


def aws_client(service: Literal["kms", "scheduler", "secretsmanager"]) -> Any:
    """A boto3 client with these limits; region and credentials are the environment's."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return boto3.client(service, config=config)


def error_code(error: Exception) -> str:
    """A botocore error as AWS's code, or as its class where AWS gave none. Messages may repeat the request."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code") or type(error).__name__)
