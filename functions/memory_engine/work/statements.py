"""Which parts of a conversation are statements that someone would want to be remembered, found by rule.

A statement is a sentence about its speaker ("I live in Porto."), or about something with a name ("Tom works at NASA.").
Questions, requests, thanks, code, logs and quotations are none. Every text that is left out comes with its reason.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from functions.memory_engine import texts, words
from functions.memory_engine.work import secrets
from functions.memory_engine.work.messages import Message

MAX_ANSWER_WORDS = 4
"""Words of an answer that is stored together with its question; a longer one makes sense alone."""
MAX_CHATTER_CHARS = 40
"""Characters of a sentence in the first person that may be chatter; a longer one says something."""
MIN_CODE_SIGNS = 3
"""Signs of a programming language in one line that make it code."""

_CLOSERS = "\"')\\]»”’"
_END = re.compile(f"(?<=[.!?…])[{_CLOSERS}]*\\s+|[\\r\\n]+|(?<=[。！？।॥؟۔])[{_CLOSERS}]*\\s*")
_QUESTION = re.compile(f"[?？؟;][{_CLOSERS} ]*$")
_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_CODE_LINE = re.compile(
    r"^\s*(?:def |class \w+[:(]|import \w+(?:\.\w+)*$|from \w+ import |function\b.*[({]|(?:const|let|var) \w+ ?="
    r"|return\b.*[;()]|if ?\(.*\)|for ?\(|while ?\(|#include|@\w+\(|public |private |SELECT .* FROM |INSERT INTO "
    r"|UPDATE .* SET |sudo |pip3? install|npm |git |curl |docker |\$ |>>> |</?\w+[^>]*>|\w+\(.*\)$|[\w.]+ ?= ?\S+$)"
)
_LOG_LINE = re.compile(
    r"^\s*(?:Traceback |File \".*\", line \d|at [\w.$]+\(.*\)|\w*(?:Error|Exception|Warning)\b.*:"
    r"|\[?(?:INFO|ERROR|WARN|WARNING|DEBUG)\]?\b|\d{4}-\d\d-\d\d[T ]\d\d:\d\d)"
)
_CODE_SIGNS = re.compile(r"[{}();=<>\[\]]")
_QUOTED_LINE = re.compile(r"^\s*(?:>|On .{5,80} wrote:$)")
_QUOTATION = re.compile('^["“„«『「].*["”»』」][.!]?$', re.DOTALL)
_QUOTED = re.compile('["“„«][^"”»]{10,}["”»]')
_INSIDE = re.compile(r"(?<=[\w,;] )[^\W\d_]\w*")
_IDENTIFIER = re.compile(r"(?:[^\W_]+(?:_[^\W_]+)+|[^\W\d_]+-\d+)\s")
"""The id of something as the subject of a sentence, e.g. "acme_corp renewed." or "TICKET-7 is solved."."""
_NAMED_SUBJECT = re.compile(r"([A-Z][a-z]+)(?:'s [a-z]+)? (?:is|was|has|had|will|[a-z]{3,}(?:s|ed)) ")
"""A capitalised word with a verb of the third person behind it, e.g. "Sarah is allergic to nuts."."""
_STATED_CLAUSE = re.compile(
    r"^(?:(?:since|because|as|given that)\s+)?"
    r"(?P<clause>(?:(?:da|weil|comme|puisque|como|porque|poiche|siccome)\s+)?[^,?]{8,}?),\s+[^?]+\?",
    re.IGNORECASE,
)
_TURKISH = re.compile("[ığşİ]|\\b(?:var|ve|bir|çok|daha)\\b")
_TURKISH_FIRST = re.compile("[aeiou]m(?:[iu]z)?(?:[iu]n|[dt][ea]|[eaiu])?$")
_ARABIC_FIRST = re.compile("^(?!ال)[\u0621-\u064a]{2,}ي$")
_JAPANESE_STATEMENT = re.compile("[\u3040-\u30ff].{3,}(?:です|ます|ました|だ|だった|ません|ている)[。!！]?$")
_CHATTER = re.compile(
    r"^(?:well |oh |yes |no |and |but )?(?:i (?:know|see|understand|agree|guess|think so|hope so|mean|did|do|get it"
    r"|got it|don ?t know|(?:like|love|hate|tried) (?:it|that|this))"
    r"|i(?: a)?m (?:sorry|sure|not sure|done|ready|back|here|confused|stuck|fine|good)|me too"
    r"|my (?:bad|mistake|pleasure)|let me|we (?:re|are) (?:done|good))\b"
)
_WISH = re.compile(
    r"^(?:i|we)(?: d| would)?(?: also)? (?:want|need|like|have|got|get|ve got)\b.{0,40}\b(?:you|summary|list|recipe"
    r"|function|script|code|email|letter|version|example|answer|translation|help|poem|story|table|explanation|question"
    r"|error|bug|it|this)\b"
)
_OFFER = re.compile(
    r"\b(?:shall|should|can|may|could) i\b|\b(?:like|want) me\b|anything else|help you|do(?:es)? (?:that|this|it)\b"
    r"|sound good"
)


@dataclass(frozen=True)
class Statement:
    text: str
    role: str


@dataclass(frozen=True)
class NotStored:
    """A text of an add that is not stored, and why."""

    text: str
    reason: str


def read(messages: list[Message], roles: tuple[str, ...]) -> list[Statement | NotStored]:
    """Every part of the conversation, in order: a statement of one of the roles, or a text with its reason."""
    found: list[Statement | NotStored] = []
    asked = ""
    for message in messages:
        found += [NotStored(kind, "only text is stored") for kind in message.media]
        if message.role in roles:
            found += _of_message(message, asked)
        elif message.text:
            found.append(NotStored(message.text, _OTHER_ROLES[message.role]))
        sentences = [one for one, _ in _parts(message.text)]
        asked = sentences[-1] if message.role == "assistant" and sentences and _QUESTION.search(sentences[-1]) else ""
    return found


_OTHER_ROLES = {
    "system": "it is a system message",
    "assistant": "the assistant said it, and the add has no agent_id to store it for",
}


def _of_message(message: Message, asked: str) -> list[Statement | NotStored]:
    found: list[Statement | NotStored] = []
    for place, (text, dropped) in enumerate(_parts(message.text)):
        if dropped:
            found.append(NotStored(text, dropped))
            continue
        if place == 0 and asked and _answers(asked, text):
            found.append(Statement(f"{asked} {text}", message.role))
            continue
        before = found[-1] if found else None
        if isinstance(before, Statement) and _begins_with(text, "third_person") and not _QUESTION.search(text):
            found[-1] = Statement(f"{before.text} {text}", message.role)
            continue
        clause = _stated_clause(text) if _QUESTION.search(text) else None
        reason = None if clause else _no_statement(text)
        found.append(NotStored(text, reason) if reason else Statement(clause or text, message.role))
    return found


def _parts(text: str) -> list[tuple[str, str | None]]:
    """The sentences of a text in order. Code, logs and quotations come whole, each with the reason to leave it out."""
    found: list[tuple[str, str | None]] = []
    place = 0
    for fence in [*_FENCE.finditer(text), None]:
        for line in text[place : fence.start() if fence else len(text)].splitlines():
            reason = _foreign(line)
            if reason:
                found.append((line.strip(), reason))
            else:
                found += [(sentence, None) for sentence in _sentences(line)]
        if fence:
            found.append((fence[0], "it is code"))
            place = fence.end()
    return found


def _foreign(line: str) -> str | None:
    if _LOG_LINE.match(line):
        return "it is a log line"
    if _CODE_LINE.match(line) or len(_CODE_SIGNS.findall(line)) >= MIN_CODE_SIGNS:
        return "it is code"
    if _QUOTED_LINE.match(line):
        return "it is quoted"
    return None


def _sentences(line: str) -> list[str]:
    """The sentences of one line. A full stop behind an abbreviation, an initial or a day of the month ends none."""
    found, begin = [], 0
    for match in _END.finditer(line):
        before = line[begin : match.start()].rstrip(_CLOSERS)
        last = re.search(r"([^\s.]+)\.$", before)
        if last and (
            words.fold(last[1]) in _lexicon()["abbreviations"]
            or (len(last[1]) == 1 and last[1].isupper() and before[:-2].strip() != "")
            or (last[1].isdigit() and len(last[1]) < 3 and before != last[0])
            or re.search(r"\b[^\W\d_]\.[^\W\d_]\.$", before)
        ):
            continue
        found.append(line[begin : match.end()])
        begin = match.end()
    found.append(line[begin:])
    stripped = (sentence.strip(" \t-*•") for sentence in found)
    return [sentence for sentence in stripped if not texts.is_blank(sentence)]


def _no_statement(text: str) -> str | None:
    """Why a sentence is not a statement, or None."""
    if secrets.was_removed(text):
        return "it holds a secret"
    if _QUESTION.search(text):
        return "it is a question"
    if _is_small_talk(text):
        return "it is small talk"
    if _QUOTATION.match(text):
        return "it is quoted"
    if _is_command(text):
        return "it asks for a service"
    plain = " ".join(_spelled(text))
    short = len(text) <= MAX_CHATTER_CHARS
    if (short and (_CHATTER.match(plain) or _mentions_the_conversation(text, plain))) or _WISH.match(plain):
        return "it is about the conversation"
    own = _QUOTED.sub("", text)
    if not (
        _first_person(own) or _is_named(own) or _begins_with(own, "subjectless") or _JAPANESE_STATEMENT.search(own)
    ):
        return "it is not about the speaker or something with a name"
    return None


def _answers(asked: str, text: str) -> bool:
    """Whether a sentence is a short answer that makes sense only with the assistant's question."""
    spelled = _spelled(text)
    if _QUESTION.search(text) or secrets.was_removed(text) or _first_person(text) or _OFFER.search(words.fold(asked)):
        return False
    about = _has(asked, "second_person")
    rest = [word for word in spelled if word not in _lexicon()["yes_or_no"]]
    if len(rest) < len(spelled):
        return about if not rest else not _is_small_talk(" ".join(rest)) and len(rest) <= 2 * MAX_ANSWER_WORDS
    return about and not _is_small_talk(text) and not _is_command(text) and _short(text)


def _short(text: str) -> bool:
    return len(text.split()) <= MAX_ANSWER_WORDS and len(text) <= MAX_CHATTER_CHARS


def _stated_clause(question: str) -> str | None:
    """The clause of a question that states something about its speaker, e.g. "Since I'm vegan, what can I eat?"."""
    match = _STATED_CLAUSE.match(question)
    if match is None or not _first_person(match["clause"]) or _is_command(match["clause"]):
        return None
    clause = match["clause"].strip()
    return f"{clause[0].upper()}{clause[1:]}."


def _is_small_talk(text: str) -> bool:
    folded = words.fold(text)
    for part in sorted(_lexicon()["small_talk_parts"], key=len, reverse=True):
        if not part.isascii():
            folded = folded.replace(part, " ")
    left = re.findall(r"(?:[^\W_]|[\u0900-\u0dff])+", folded)
    return all(word in _lexicon()["small_talk"] for word in left)


def _is_command(text: str) -> bool:
    folded = words.fold(text).strip(" .!。！।")
    if _begins_with(text, "commands") and not folded.startswith("call me"):
        return True
    last = folded.split()[-1] if folded else ""
    return (
        last in _lexicon()["commands_at_end"]
        or folded.startswith(tuple(_lexicon()["commands_in_front_parts"]))
        or folded.endswith(tuple(_lexicon()["commands_at_end_parts"]))
    )


def _first_person(text: str) -> bool:
    if _has(text, "first_person"):
        return True
    spelled = _spelled(text)
    if _TURKISH.search(text):
        return any(_TURKISH_FIRST.search(word) for word in spelled)
    return any(_ARABIC_FIRST.match(word) for word in words.fold(text).split())


def _is_named(text: str) -> bool:
    """Whether a word inside the sentence is written as a name, or the sentence begins with a name or an id."""
    if _IDENTIFIER.match(text) or any(word[0].isupper() for word in _INSIDE.findall(text)):
        return True
    subject = _NAMED_SUBJECT.match(text)
    name = subject[1] if subject else _named_subject(text)
    return bool(name) and not any(words.fold(name) in _lexicon()[kind] for kind in _NO_NAMES)


def _named_subject(text: str) -> str:
    """A capitalised word at the front with a verb of people behind it, in the languages that have capitals, or ""."""
    spelled, first = _spelled(text), text.split(maxsplit=1)[0]
    if len(first) < 2 or not first.istitle() or not first.isalpha():
        return ""
    behind = [word for word in spelled[1:4] if word not in _lexicon()["before_verbs"]]
    return first if behind and behind[0] in _lexicon()["verbs_of_people"] else ""


_NO_NAMES = ("not_names", "third_person", "first_person", "second_person", "small_talk", "commands", "yes_or_no")
"""Kinds of words of which none is a name, although each may begin a sentence."""


def _mentions_the_conversation(text: str, plain: str) -> bool:
    folded = words.fold(text)
    return any(words.fold(part) in folded or part in plain for part in _lexicon()["chatter_parts"])


def _has(text: str, kind: str) -> bool:
    lexicon = _lexicon()
    return any(word in lexicon[kind] for word in _spelled(text)) or any(
        part in text for part in lexicon.get(f"{kind}_parts", ())
    )


def _begins_with(text: str, kind: str) -> bool:
    spelled = _spelled(text)
    return (bool(spelled) and spelled[0] in _lexicon()[kind]) or text.startswith(
        tuple(_lexicon().get(f"{kind}_parts", ()))
    )


def _spelled(text: str) -> list[str]:
    return re.findall(r"(?:[^\W_]|[\u0900-\u0dff])+", words.fold(text))


@lru_cache(maxsize=1)
def _lexicon() -> dict[str, frozenset[str]]:
    stored = tomllib.loads(resources.files(__package__).joinpath("lexicon.toml").read_text("utf-8"))
    return {kind: frozenset(_terms(kind, listed)) for kind, listed in stored.items()}


def _terms(kind: str, listed: str | list[str]) -> Iterable[str]:
    terms = listed.split() if isinstance(listed, str) else listed
    return terms if kind.endswith("_parts") else (words.fold(term) for term in terms)
