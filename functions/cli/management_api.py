"""A client of the management API: one request, every page of a listing, errors as text."""

from __future__ import annotations

import importlib.metadata
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import httpx

from functions.cli.api_words import in_cli_words
from functions.cli.connection import Connection, connection
from functions.cli.invocation import Failed, Invocation, UsageError, Where
from functions.cli.terminal import Terminal, printable
from functions.gateway import json_text
from functions.gateway.json_text import Json

TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""Seconds. A proxied call may wait 25 s for its upstream, a probe 10 s; a cold start adds a few."""

CLIENT_NAME = "postern-cli"
"""The name of this client in the log, over MCP and over the management API."""

SAID_CHARS = 1_000
"""Characters of an upstream's own answer that an error repeats."""

ANY_ACCOUNT = "-"
"""In a path, this stands for every account that the API token may see."""

Query = Mapping[str, str | list[str]]

PAGE = "100"
"""Entries per page: the maximum of the API."""


class ManagementApi:
    """Every method raises Failed. When the endpoint refuses, the message is the one it sent."""

    def __init__(self, connection: Connection, http: httpx.Client, terminal: Terminal) -> None:
        self.connection = connection
        self._http = http
        self._terminal = terminal

    def request(
        self, verb: str, path: str, *, query: Query | None = None, body: Json = None
    ) -> tuple[Json, httpx.Headers]:
        """The JSON and the headers of the response."""
        response = self._send(verb, path, query, body)
        return _document(response, self.connection.base_url), response.headers

    def text(self, path: str, query: Query) -> tuple[str, httpx.Headers]:
        """The text at a path that does not return JSON, and the headers of the response."""
        response = self._send("GET", path, query, None)
        return response.text, response.headers

    def _send(self, verb: str, path: str, query: Query | None, body: Json) -> httpx.Response:
        url = self.connection.base_url
        try:
            with self._terminal.waiting(f"waiting for {url}"):
                response = self._http.request(verb, path, params=query, json=body)
        except httpx.TimeoutException:
            raise Failed(
                f"{url} did not answer in time; whether it acted is unknown, so check before you repeat the command"
            ) from None
        except httpx.HTTPError as error:
            raise Failed(
                f"{url} cannot be reached ({type(error).__name__}); check that it is running (`postern serve` starts "
                "one here)"
            ) from None
        if response.is_success:
            return response
        raise refusal(response.status_code, _document(response, url))

    def get(self, path: str, query: Query | None = None) -> Json:
        """The JSON at a path."""
        return self.request("GET", path, query=query)[0]

    def post(self, path: str, body: Json) -> Json:
        """The JSON that a POST returns."""
        return self.request("POST", path, body=body)[0]

    def patch(self, path: str, body: Json) -> Json:
        """The JSON that a PATCH returns."""
        return self.request("PATCH", path, body=body)[0]

    def delete(self, path: str, query: Query | None = None) -> Json:
        """The JSON that a DELETE returns: what was removed."""
        return self.request("DELETE", path, query=query)[0]

    def all(self, path: str, query: Query | None = None) -> list[Json]:
        """Every entry of a listing, from all its pages."""
        return list(self._pages(path, {**(query or {}), "limit": PAGE}))

    def server(self, account: str | None, named: str) -> str:
        """The path of a server by its id or name: of this account, or of any."""
        return path("integrated-account", account or ANY_ACCOUNT, "mcp", named)

    def _pages(self, path: str, query: dict[str, str | list[str]]) -> Iterator[Json]:
        while True:
            page = self.get(path, query)
            yield from page["result"]
            if page["next_cursor"] is None:
                return
            query["next_cursor"] = page["next_cursor"]

    def account_id(self, named: str | None) -> str:
        """The account a command uses: the one it names, else the local one, else the only one that exists."""
        if named or self.connection.account_id:
            return named or self.connection.account_id or ""
        ids = [account["id"] for account in self.all("/integrated-account")]
        if len(ids) == 1:
            return str(ids[0])
        if not ids:
            raise Failed("there is no integrated account; connect one with `postern account add`")
        raise Failed(f"there are {len(ids)} integrated accounts; name one with --account: {', '.join(ids)}")


def _document(response: httpx.Response, url: str) -> Json:
    try:
        return response.json()
    except ValueError:
        raise Failed(
            f"{url} answered {response.status_code} without JSON; check that this is the address of a Postern endpoint"
        ) from None


@contextmanager
def open_api(invocation: Invocation[Where], timeout: float | httpx.Timeout = TIMEOUT) -> Iterator[ManagementApi]:
    """The management API that this run uses."""
    where = connection(invocation)
    headers = {"authorization": f"Bearer {where.api_token}", "user-agent": f"{CLIENT_NAME}/{version()}"}
    with httpx.Client(
        base_url=where.base_url,
        headers=headers,
        timeout=timeout,
        trust_env=not is_loopback(where.base_url),
        verify=verification(where.base_url),
    ) as http:
        yield ManagementApi(where, http, invocation.terminal)


def is_loopback(url: str) -> bool:
    """True for this machine, for which a proxy from the environment must not be used."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def verification(url: str) -> ssl.SSLContext | bool:
    """What a client of `url` checks certificates with. Loading the roots takes 20 ms, so a client of plain HTTP on this
    machine has none, and trusts no certificate."""
    plain = url.startswith("http://") and is_loopback(url)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True


def version() -> str:
    """The version of this package; 0 when the package is not installed."""
    try:
        return importlib.metadata.version("postern")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def path(*parts: str) -> str:
    """A path of words and ids. Each part is encoded, so an id cannot change the path. Raises UsageError."""
    for part in parts:
        if part in {"", ".", ".."}:  # an HTTP client takes them for another path, e.g. that of the whole server
            raise UsageError(f'"{part}" is neither an id nor a name')
    return "/" + "/".join(quote(part, safe="") for part in parts)


def refusal(status: int, body: Json) -> Failed:
    """An error response as text: its message or, when it reports several problems, one line for each."""
    if not isinstance(body, dict) or "message" not in body:
        return Failed(f"refused with status {status}", body)
    details = body.get("details")
    problems = details.get("problems", []) if isinstance(details, dict) else []
    text = f"{body.get('error', 'refused')} ({status}): "
    if len(problems) > 1:
        text += f"{len(problems)} problems" + "".join(
            f"\n  - {printable(in_cli_words(str(problem)))}" for problem in problems
        )
    else:
        text += "\n  ".join(printable(in_cli_words(line)) for line in str(body["message"]).split("\n"))
    if isinstance(details, dict) and (others := {k: v for k, v in details.items() if k != "problems"}):
        text += f"\n  {printable(json_text.spaced(others))}"
    if (said := body.get("raw_response")) is not None:
        text += f"\n  raw_response: {printable(json_text.spaced(said))[:SAID_CHARS]}"
    limits = body.get("rate_limit")
    if isinstance(limits, dict) and limits.get("retry_after_seconds") is not None:
        text += f"\n  retry in {limits['retry_after_seconds']} s"
    return Failed(text, body)
