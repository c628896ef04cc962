"""Credentials never come back: an upstream's answer is searched for them before anything else reads it.

What is searched are decoded strings and numbers, values and names alike, because JSON spells one string in many ways:
`a/b` is also `a\\/b` and `a\\u002Fb`, and a secret of digits may come back as a number. It happens before any
expression of the catalogue or of a caller sees the answer, because an expression could take a secret apart.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from functions.gateway.credentials import filled
from functions.gateway.json_text import Json

if TYPE_CHECKING:
    from tool_catalog.request_template import Auth

REDACTED = "***"

REDACTED_CHARS = 8
"""Shortest secret that is looked for; a shorter one would be found by chance, in ids and dates."""

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")
"""An escape of a JSON string."""

_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Secrets:
    """What must not come back of one credential: its secret fields, and each form in which it was sent.

    `described`  the catalogue's description of the fields; a field without one is secret.
    """

    __slots__ = ("_secrets",)

    def __init__(self, credential: Mapping[str, str], described: Mapping[str, Mapping[str, Any]], *auths: Auth) -> None:
        values = [value for name, value in credential.items() if described.get(name, {}).get("secret", True)]
        sent = [one for auth in auths for one in (auth, *auth.also)]
        pairs = [filled(f"{one.username}:{one.password}", credential) for one in sent if one.scheme == "basic"]
        encoded = [base64.b64encode(pair.encode("utf-8", "replace")).decode() for pair in pairs]
        forms = [*values, *encoded, *(quote(value, safe="", errors="replace") for value in values)]
        # The longest first: a secret that contains another one is replaced whole.
        self._secrets = sorted({form for form in forms if len(form) >= REDACTED_CHARS}, key=len, reverse=True)

    def out_of_text(self, words: str) -> str:
        """The text without the secrets, also where it is a piece of JSON that spells them with escapes."""
        redacted = self._replaced(words)
        unescaped = _ESCAPE.sub(_unescaped, redacted)
        return self._replaced(unescaped) if self._are_in(unescaped) else redacted

    def out_of_bytes(self, body: bytes) -> bytes:
        """The bytes without the secrets as they were sent, for what is not text."""
        for secret in self._secrets:
            body = body.replace(secret.encode("utf-8", "replace"), REDACTED.encode())
        return body

    def out_of_document(self, document: Json, written: bytes) -> Json:
        """The document without the secrets, in its names and values; changes `document`. `written` is the JSON text
        that it was decoded from."""
        if not self._may_be_in(written, document):
            return document
        document = self._clean(document)
        inside = [document]
        while inside:
            node = inside.pop()
            if isinstance(node, list):
                node[:] = map(self._clean, node)
                inside += [entry for entry in node if isinstance(entry, list | dict)]
            elif isinstance(node, dict):
                entries = list(node.items())
                node.clear()
                for name, entry in entries:
                    node[self._replaced(name)] = self._clean(entry)
                inside += [entry for _, entry in entries if isinstance(entry, list | dict)]
        return document

    def _may_be_in(self, written: bytes, document: Json) -> bool:
        """False when no secret is in the document. Searches its text, because a document of 300,000 values is soon
        searched as one text and slowly value by value."""
        if not all(map(str.isascii, self._secrets)):
            return self._are_in("\n".join(_strings(document)))  # its text may mix bytes and escapes of other characters
        if b"\\" not in written:
            return any(secret.encode() in written for secret in self._secrets)
        # What is left of JSON's escapes, Python has too. No control character stands in JSON text as it is.
        unescaped = written.replace(b"\\\\", b"\0").replace(b"\\/", b"/").decode("unicode_escape").replace("\\", "\0")
        return any(secret.replace("\\", "\0") in unescaped for secret in self._secrets)

    def _are_in(self, words: str) -> bool:
        return any(secret in words for secret in self._secrets)

    def _clean(self, value: Json) -> Json:
        """A string without the secrets, and REDACTED for a number that spells one; any other value as it is."""
        if isinstance(value, str):
            return self._replaced(value)
        return REDACTED if _is_number(value) and self._are_in(str(value)) else value

    def _replaced(self, words: str) -> str:
        for secret in self._secrets:
            words = words.replace(secret, REDACTED)
        return words


def _strings(document: Json) -> list[str]:
    """The names, strings and numbers of a document, as text."""
    if isinstance(document, str) or _is_number(document):
        return [str(document)]
    strings: list[str] = []
    inside = [document] if isinstance(document, list | dict) else []
    while inside:
        node = inside.pop()
        if isinstance(node, dict):
            strings += node
        values = node.values() if isinstance(node, dict) else node
        strings += [str(value) for value in values if isinstance(value, str) or _is_number(value)]
        inside += [value for value in values if value and isinstance(value, list | dict)]
    return strings


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unescaped(match: re.Match[str]) -> str:
    if match[1] is not None:
        return chr(int(match[1], 16))
    return _PLAIN.get(match[2], match[2])
