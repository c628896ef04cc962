"""Servers on three levels (document, path item, operation) become one base URL and the rest of each path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from tool_catalog.catalog import Json
from tool_catalog.openapi.document import Document, Operation


@dataclass(slots=True)
class Servers:
    """The base URL, a comment on it, and what differs by operation.

    `prefixes`   operation key -> what stands between the base URL and the path.
    `elsewhere`  operation key -> why no tool can be made of it: the operation is on another host.
    """

    base_url: str
    comment: str = ""
    prefixes: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)


def chosen(document: Document, operations: Iterable[Operation], base_url: str | None) -> Servers:
    """The base URL of the document, or `base_url` in its place, and the operations that have servers of their own."""
    listed = document.data.get("servers")
    servers = [server for server in listed if isinstance(server, dict)] if isinstance(listed, list) else []
    server = next((one for one in servers if _url(one).startswith("https://")), servers[0] if servers else {})
    url, variables = _url(server), server.get("variables")
    made = Servers(url.rstrip("/") if is_https(url) else url if "://" not in url else "")
    if isinstance(variables, dict) and variables:
        made.comment = f"# guessed: the defaults of {', '.join(variables)}; an account may have its own"
    if not is_https(url):
        made.comment = "# the source names no https:// server; write the API's URL, or import with --base-url"
    own = {operation.key: operation for operation in operations if operation.servers}
    if own:
        _part(made, own)
    if base_url is not None:
        relative = made.base_url.startswith("/") and not urlsplit(base_url).path.strip("/")
        made.comment = f"# the source's server is {made.base_url}, which this URL does not have" if relative else ""
        made.base_url = base_url
    return made


def is_https(url: str) -> bool:
    """Whether `url` can be a base URL."""
    split = _split(url)
    return split.scheme == "https" and bool(split.hostname)


def _part(made: Servers, own: Mapping[str, Operation]) -> None:
    """Shorten the base URL until the servers of all operations on its host start with it."""
    base = _split(made.base_url)
    paths: dict[str, str] = {}
    for key, operation in own.items():
        found = [_split(_url(server)) for server in operation.servers]
        same = next((one for one in found if (one.netloc or base.netloc) == base.netloc), None)
        if same is None:
            made.elsewhere[key] = (
                f"has a server of its own ({_url(operation.servers[0])}); tools never leave the base URL"
            )
        else:
            paths[key] = same.path.rstrip("/")
    common = base.path.rstrip("/").split("/")
    for path in paths.values():
        steps = path.split("/")
        while common != steps[: len(common)]:
            common = common[:-1]
    root = "/".join(common)
    rest = base.path.rstrip("/").removeprefix(root)
    made.base_url = made.base_url.removesuffix(rest) if rest else made.base_url
    made.prefixes = {"": rest, **{key: path.removeprefix(root) for key, path in paths.items()}}


def _url(server: Mapping[str, Json]) -> str:
    """The URL of a server, its variables replaced by their defaults."""
    url, variables = str(server.get("url", "")), server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")) if isinstance(variable, dict) else "")
    return url


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # "https://[x]"
        return urlsplit("")
