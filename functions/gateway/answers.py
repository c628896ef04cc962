"""What an upstream's answer means: the JSON of a success, mapped as the catalogue says, or the words of a refusal.

Error bodies have no common shape even within one API; the words are looked for in the places where APIs put them.
"""

from __future__ import annotations

import base64
import re

from functions.gateway import caps, paging
from functions.gateway.errors import ToolFailure, UpstreamRefused, UpstreamUnreadable, effect
from functions.gateway.expressions import BadExpression, search
from functions.gateway.json_text import Json, NotJson, TooDeep, decode_large, decode_lenient, well_formed
from functions.gateway.paging import Position
from functions.gateway.rate_limits import RateLimit
from functions.gateway.redaction import Secrets
from functions.gateway.upstream import UpstreamResponse
from functions.gateway.value_classes import dataclass
from tool_catalog.catalog import Catalog, Tool
from tool_catalog.request_template import ANY_KIND, media_kind

RAW_BYTES = 8_000
"""Bytes of an upstream's error body that are passed on whole; of a larger one only its words."""

SAID_CHARS = 1_000
"""Characters of the words of a larger one that are passed on."""

READ_BYTES = 32_000
"""Bytes of an error body in which its words are looked for."""

SAID_DEPTH = 8
"""Levels of an error body in which its words are looked for."""

REDIRECTS = (301, 302, 303, 307, 308)
"""Statuses that name another place for the answer."""

BASE64_BYTES = 6_000
"""Bytes of an answer that is not text and is passed on, as 8,000 characters of Base64: more is of no use to a model."""

COMMON_TYPES = (
    "application/json",
    "application/xml",
    "application/octet-stream",
    "text/html",
    "text/plain",
    "text/xml",
)
"""Content types that a message names."""

_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9._-]+)", re.IGNORECASE)

_WORDS = ("detail", "message", "error", "error_description", "errors", "details", "title")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success, read and mapped.

    `objects`   those of a list-like tool, of one page or of several; None for any other tool.
    `position`  where the first of them stands in a paged list; `after`: where the next page starts, None at the end.
    `size`      bytes of what was read.
    `total`     objects of all pages, where the upstream says it.
    """

    status: int
    document: Json
    objects: list[Json] | None = None
    position: Position | None = None
    after: Position | None = None
    size: int = 0
    total: int | None = None


class Foreign(dict[str, Json]):
    """An answer that is not JSON, as a result: a text, bytes, or the place that a documented redirect names.

    The catalogue's mapping does not apply to it. A write that ends with one was carried out, and its result says so.
    """


def is_result(tool: Tool, response: UpstreamResponse) -> bool:
    """Whether an answer is a success: a status below 300, or a redirect that the tool documents."""
    redirected = response.status in REDIRECTS and "location" in response.headers
    return response.status < 300 or (tool.request.redirects and redirected)


def read(tool: Tool, response: UpstreamResponse, secrets: Secrets) -> Json:
    """The JSON of a success, or Foreign for what is not JSON; None for an empty body, which a list-like tool accepts
    only with status 204; without the secrets. Raises UpstreamUnreadable for a read that returns another kind than its
    API documents."""
    if response.status in REDIRECTS:
        place = secrets.out_of_text(response.headers["location"])
        return Foreign(redirect={"status": response.status, "location": place})
    media_type = secrets.out_of_text(response.headers.get("content-type", ""))
    documented = media_kind(tool.request.accept)
    if documented != "json" and response.body and media_kind(media_type) != "json":
        return _foreign(media_type or tool.request.accept, response.body, secrets)
    if not response.body.strip() and (tool.result.items is None or response.status == 204):
        return None
    try:
        return secrets.out_of_document(decode_large(response.body), response.body)
    except TooDeep as error:  # what one version of Python reads another does not
        raise UpstreamUnreadable(caps.TOO_DEEP) from error
    except NotJson as error:
        # The status says that a write was carried out, and of some reads nobody documents what they return.
        if (tool.access != "read" or tool.request.accept == ANY_KIND) and not _is_page(media_type, response.body):
            return _foreign(media_type, response.body, secrets)
        raise UpstreamUnreadable(
            f"the upstream answered {response.status} with {len(response.body)} bytes that are not JSON "
            f"({shown_type(media_type)}); {effect(changes_nothing=tool.access == 'read')}",
            upstream_status=response.status,
            detail=str(error),
        ) from error


def _foreign(media_type: str, body: bytes, secrets: Secrets) -> Foreign:
    """A text as `text`; other bytes in Base64, or only their number where they are more than BASE64_BYTES."""
    name, _, parameters = media_type.partition(";")
    kind = media_kind(name)
    if kind is not None or not name:
        charset = _CHARSET.search(parameters)
        try:
            words = body.decode(charset[1] if charset else "utf-8")
            return Foreign(text=secrets.out_of_text(words), media_type=name or "text/plain")
        except (LookupError, UnicodeDecodeError):
            if kind is not None:
                return Foreign(text=secrets.out_of_text(body.decode("utf-8", "replace")), media_type=name)
    found = Foreign(media_type=name or "application/octet-stream", bytes=len(body))
    if len(body) <= BASE64_BYTES:
        found["base64"] = base64.b64encode(secrets.out_of_bytes(body)).decode()
    return found


def shown_type(media_type: str) -> str:
    """A content type in a sentence of ours: one that is common, because an upstream may write anything there."""
    name = media_type.partition(";")[0].strip().lower()
    return (name if name in COMMON_TYPES else "another content type") if name else "no content type"


def _is_page(media_type: str, body: bytes) -> bool:
    """True for a page for browsers, which a proxy or a sign-in shows with status 200 and nothing done."""
    return "html" in media_type or body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))


def mapped(tool: Tool, document: Json, base_url: str) -> Json:
    """The answer with the catalogue's `drop`, `rename` and `map` applied, in this order; changes `document`. `base_url`
    is where the upstream is. Raises UpstreamUnreadable."""
    if isinstance(document, Foreign):
        return document
    rules = tool.result
    if rules.rename or rules.drop:
        for entry in _objects(document):
            for name in rules.drop:
                entry.pop(name, None)
            for old, new in rules.rename.items():
                if old in entry:
                    entry[new] = entry.pop(old)
    return document if rules.map is None else look_up(rules.map, document, base_url)


def objects(tool: Tool, document: Json) -> list[Json]:
    """The objects of a list-like tool's answer; none for null, as some APIs write an empty list. Raises
    UpstreamUnreadable where there is no array."""
    where = tool.result.items or "@"
    found = look_up(where, document)
    if isinstance(found, list):
        return found
    if document is None or (found is None and isinstance(document, dict) and where in document):
        return []
    raise UpstreamUnreadable(
        f"the upstream's answer holds no array {'' if where == '@' else f'at {where!r} '}"
        "and so is not the list its API documents"
    )


def next_page(tool: Tool, document: Json) -> Json:
    """What an answer, as read and not yet mapped, says about a next page. Raises UpstreamUnreadable."""
    return look_up(tool.pagination.next, document) if tool.pagination and tool.pagination.next else None


def total(tool: Tool, document: Json) -> int | None:
    """How many objects all pages hold, where an answer, as read and not yet mapped, says it."""
    found = look_up(tool.result.total, document) if tool.result.total else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def following(tool: Tool, position: Position | None, more: Json, count: int) -> Position | None:
    """Where the page after this one starts, None at the end. `more` is what `next_page` found; `count` is the number of
    objects of this page. Raises UpstreamUnreadable for a cursor of the upstream that cannot be passed on."""
    if tool.pagination is None or position is None:
        return None
    try:
        return paging.following(tool.pagination, position, more, count)
    except paging.BadCursor:
        raise UpstreamUnreadable(
            "the upstream returned an invalid next-page cursor (not a string of at most "
            f"{paging.POSITION_CHARS} characters); this list cannot be paged further"
        ) from None


def look_up(expression: str | None, document: Json, base_url: str = "") -> Json:
    """What a JMESPath expression of the catalogue finds; without one, the document. Raises UpstreamUnreadable."""
    if expression is None or expression == "@":
        return document
    if isinstance(document, dict) and expression.isidentifier():
        return document.get(expression)  # what JMESPath finds, for a list of 100,000 objects in reasonable time
    try:
        return search(expression, document, base_url)
    except BadExpression as error:
        raise UpstreamUnreadable(f"the upstream's answer is not of the kind its API documents ({error})") from error


def refusal(
    tool: Tool, catalog: Catalog, response: UpstreamResponse, rate_limit: RateLimit | None, secrets: Secrets
) -> ToolFailure:
    """The failure that stands for an answer of status 300 or above; the secrets are not in it."""
    status = response.status
    if status < 400:
        return UpstreamUnreadable(
            f"{catalog.label} answered with a redirect ({status}), which is not followed; "
            f"an operator should check the account's base URL{_unknown(tool)}",
            upstream_status=status,
        )
    answered = _document(response, secrets)
    said = _said(answered, SAID_DEPTH)[:SAID_CHARS]
    # The one place of the upstream's words: within a sentence of ours they could be taken for a part of it.
    raw_response = answered if len(response.body) <= RAW_BYTES else well_formed(said) or None
    if status >= 600:
        return UpstreamUnreadable(
            f"{catalog.label} answered with status {status}, which HTTP does not have{_pointer(raw_response)}; "
            f"{effect(changes_nothing=tool.access == 'read')}",
            raw_response=raw_response,
            upstream_status=status,
        )
    return UpstreamRefused(
        _meaning(tool, catalog.label, status, _pointer(raw_response), rate_limit),
        raw_response=raw_response,
        upstream_status=status,
    )


def _unknown(tool: Tool) -> str:
    """What is to be known of a write whose answer does not say whether it was carried out."""
    return "" if tool.access == "read" else f"; {effect(changes_nothing=False)}"


def _pointer(raw_response: Json) -> str:
    """Where the upstream's words are, if it said any."""
    return "" if raw_response is None else ", and raw_response holds what it said"


def _meaning(tool: Tool, label: str, status: int, pointer: str, rate_limit: RateLimit | None) -> str:
    if status == 401:
        return (
            f"{label} refused this account's credential (401){pointer}. "
            "Repeating the call will not help; an operator must reconnect the account"
        )
    if status == 403:
        return f"{label} does not allow this account to do that (403){pointer}"
    if status == 404:
        if tool.pagination is not None:
            return f"{label} found nothing there (404){pointer}. Leave next_cursor out to start again, or check the ids"
        return f"{label} found nothing under these ids (404){pointer}. Check the ids; list or search to find valid ones"
    if status == 409:
        return (
            f"{label} reports a conflict with what is there (409){pointer}. Read the present state, then decide again"
        )
    if status == 429:
        wait = rate_limit.retry_after_seconds if rate_limit else None
        unknown = "wait (no usable time was given; start with 10 s and double it)"
        pause = unknown if wait is None else f"wait {wait} s"
        return f"{label} is limiting the rate of calls (429){pointer}. Nothing was done; {pause}, then repeat the call"
    if refused_unsure(status):
        return f"{label} failed ({status}){pointer}; {effect(changes_nothing=tool.access == 'read')}"
    return f"{label} refused the request ({status}){pointer}. Correct the arguments; repeating them will not help"


def refused_unsure(status: int) -> bool:
    """True for an error status after which a write may have been carried out nevertheless."""
    return status >= 500 or status == 408


def _objects(document: Json) -> list[dict[str, Json]]:
    """The root object and the objects of the arrays it is or holds."""
    root = [document] if isinstance(document, dict) else []
    arrays = [document] if isinstance(document, list) else []
    arrays += [value for entry in root for value in entry.values() if isinstance(value, list)]
    return root + [entry for array in arrays for entry in array if isinstance(entry, dict)]


def _document(response: UpstreamResponse, secrets: Secrets) -> Json:
    """The body as JSON, else as text; of an HTML page nothing, for it is written for browsers."""
    text = response.body[:READ_BYTES].decode("utf-8", "replace").strip()
    try:
        document = decode_lenient(text, any_number=True) if text else None
        return _kept(secrets.out_of_document(document, text.encode()))
    except (NotJson, UpstreamUnreadable):
        is_html = "html" in response.headers.get("content-type", "") or text[:1] == "<"
        return None if is_html else secrets.out_of_text(text)[:SAID_CHARS]


def _kept(document: Json) -> Json:
    """The document in a form that JSON in UTF-8 has. Raises UpstreamUnreadable for one that is nested too deep."""
    kept = caps.whole(document, caps.Caps(READ_BYTES, READ_BYTES), 6 * READ_BYTES)
    return kept.value if kept is not None else None


def _said(document: Json, depth: int) -> str:
    """The human words of an error body."""
    if isinstance(document, str):
        return document
    if depth == 0:
        return ""
    if isinstance(document, list):
        return "; ".join(filter(None, (_said(entry, depth - 1) for entry in document)))
    if not isinstance(document, dict):
        return ""
    words = [_said(document[name], depth - 1) for name in _WORDS if name in document]
    if any(words):
        return ": ".join(dict.fromkeys(filter(None, words)))
    members = ((name, _said(value, depth - 1)) for name, value in document.items())
    return "; ".join(f"{name}: {said}" for name, said in members if said)
