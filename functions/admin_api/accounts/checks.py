"""What an operator may give for an account: credential fields, context and base URL."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from functions.admin_api.accounts.contract import MAX_CONTEXT_CHARS, MAX_CREDENTIAL_CHARS
from functions.gateway.addresses import NotPublic, NotReachable, is_public, public_addresses
from functions.gateway.credentials import Credential
from functions.gateway.errors import Invalid, invalid
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown
from tool_catalog.catalog import Catalog


def check_credential(catalog: Catalog, fields: Mapping[str, Json]) -> Credential:
    """The credential. Raises Invalid, without a value in it, when the fields are not those of the integration."""
    known = list(catalog.credentials)
    problems = [f"credentials.{name}: unknown key{did_you_mean(name, known)}" for name in fields if name not in known]
    for name, described in catalog.credentials.items():
        where = f"credentials.{name}"
        if name not in fields:
            if described.get("required", True):
                problems.append(f"{where} is missing; it is required: {described['description']}")
            continue
        value = fields[name]
        if not isinstance(value, str) or not value:
            problems.append(f"{where} must be a non-empty string")
        elif value != value.strip():
            problems.append(f"{where} starts or ends with a space or a line break; remove it")
        elif len(value) > MAX_CREDENTIAL_CHARS:
            problems.append(f"{where} has {len(value):,} characters; at most {MAX_CREDENTIAL_CHARS:,} are allowed")
        elif catalog.auth.scheme in ("header", "bearer") and not (value.isascii() and value.isprintable()):
            problems.append(f"{where} holds characters that a header cannot carry; it must be printable ASCII")
    if problems:
        raise invalid(problems)
    return Credential(dict(fields))


def check_context(catalog: Catalog, values: Mapping[str, Json], *, removable: bool = False) -> dict[str, Json]:
    """The context. Raises Invalid for a key that the integration does not have. `removable` allows null."""
    known = list(catalog.context)
    problems = []
    for name, value in values.items():
        if name not in known:
            problems.append(f"context.{name}: unknown key{did_you_mean(name, known)}")
        elif not (removable and value is None) and not (isinstance(value, str) and 0 < len(value) <= MAX_CONTEXT_CHARS):
            problems.append(
                f"context.{name} is {shown(value)}; it must be a string of 1 to {MAX_CONTEXT_CHARS} characters"
            )
    if problems:
        raise invalid(problems)
    return dict(values)


def check_base_url(text: str, *, private: bool) -> str:
    """The base URL without a trailing slash. `private` allows http and private addresses. Raises Invalid."""
    schemes = ("https", "http") if private else ("https",)
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise Invalid("base_url is not a URL; write it like https://api.example.com") from None
    if "@" in url.netloc:
        raise Invalid("base_url contains a user name or password; remove it and send the secret under credentials")
    if url.scheme not in schemes or not host:
        raise Invalid(
            f"base_url is {shown(text)}; it must start with {' or '.join(f'{name}://' for name in schemes)} and a host"
        )
    if url.query or url.fragment or "?" in text or "#" in text:
        raise Invalid("base_url has a query or a fragment; remove it")
    if not (text.isascii() and text.isprintable()) or " " in text or "\\" in text or port == 0:
        raise Invalid(f"base_url is {shown(text)}; it must be a plain ASCII URL with a valid port")
    if not private and _is_private(host):
        raise _private(host, "is not on the public internet")
    return text.rstrip("/")


def _is_private(host: str) -> bool:
    """True for an address that is not public and for a name that never is."""
    name = host.rstrip(".").lower()
    try:
        ipaddress.ip_address(name.split("%", maxsplit=1)[0])
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".local", ".internal", ".home.arpa"))
    return not is_public(name)


async def check_resolves(base_url: str) -> None:
    """Raises Invalid when the host does not resolve, or not to public addresses only. The sender checks again."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    try:
        await public_addresses(host, url.port or 443)
    except NotPublic as error:
        raise _private(host, "resolves to an address that is not on the public internet") from error
    except NotReachable as error:
        raise Invalid(f"base_url: the host {host} does not resolve; check its spelling") from error


def _private(host: str, what: str) -> Invalid:
    return Invalid(
        f"base_url: {host} {what}, and credentials are not sent there; use the API's public https address "
        "(a deployment for tests can allow it with POSTERN_PRIVATE_UPSTREAMS=true)"
    )
