"""The identity token that GitHub signs for a job: what stands in place of an API token where a trust admits the job."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import quote

from .ephemeral_server import CiError, send

TIMEOUT_SECONDS = 30
"""Limit of the request for an identity token."""

NO_IDENTITY = (
    "GitHub gives this job no identity token; add `permissions: id-token: write` to the job. A workflow of a pull "
    "request from a fork never gets one"
)


def identity_token(environment: Mapping[str, str], audience: str) -> str:
    """The identity token of this job for an audience. Raises CiError."""
    url, request_token = (environment.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
    if not url or not request_token:
        raise CiError(NO_IDENTITY)
    address = f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}"
    request = urllib.request.Request(address, headers={"authorization": f"Bearer {request_token}"})  # noqa: S310
    try:
        token = str(json.loads(send(request, TIMEOUT_SECONDS))["value"])
    except urllib.error.HTTPError as error:
        with error:
            raise CiError(
                f"GitHub answers {error.code} to the request for an identity token; run the job again"
            ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CiError(
            f"GitHub did not give this job an identity token ({type(error).__name__}); run the job again"
        ) from None
    return token
