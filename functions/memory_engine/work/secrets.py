"""Card numbers, keys and passwords in what people say: found by their form, and removed before anything is stored."""

from __future__ import annotations

import re

_CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])")
_KEY = re.compile(
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{12,}|\bAKIA[0-9A-Z]{12,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}"
    r"|\bxox[abprs]-[\w-]{10,}|\beyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?|\bAIza[\w-]{20,}|\bm0-[A-Za-z0-9]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_PASSWORD = re.compile(
    r"((?:pass(?:word|code|phrase)|passwort|kennwort|mot de passe|contrase[nñ]a|clave|senha|palavra-passe|пароль"
    r"|[sş]ifre(?:m)?|密码|密碼|パスワード|비밀번호|كلمة المرور|كلمة السر|पासवर्ड|\bpin(?: code)?|\bcvv|\bcvc)"
    r"\s*(?:is|was|are|ist|lautet|est|es|era|è|é|это|是|は|है)?\s*[:=：]?\s+|(?:密码|密碼|パスワード)[是は:：]\s*)"
    r"(?!hint|manager|reset|policy|protected|forgotten|is\b|for\b|to\b|and\b|or\b|on\b|in\b"
    r"|(?:was|are|ist|lautet|est|es|era|это|है)[:\s]|\[(?:card number|key|password) removed\])(\S+)"
    r"|(?P<mark>\[(?:card number|key|password) removed\])",
    re.IGNORECASE,
)

REMOVED = "[{} removed]"
_MARKS = tuple(REMOVED.format(kind) for kind in ("card number", "key", "password"))


def removed(text: str) -> str:
    """The text with each secret replaced by a mark. A text that was cleaned before stays as it is."""
    text = _KEY.sub(REMOVED.format("key"), text)
    text = _CARD.sub(lambda match: REMOVED.format("card number") if _is_card(match[0]) else match[0], text)
    return _PASSWORD.sub(lambda match: match[0] if match["mark"] else match[1] + REMOVED.format("password"), text)


def was_removed(text: str) -> bool:
    """Whether `removed` left a mark in the text."""
    return any(mark in text for mark in _MARKS)


def _is_card(text: str) -> bool:
    """Luhn's check, which every card number passes and one in ten of other numbers."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
