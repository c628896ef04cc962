"""What the keyless add keeps of a conversation: facts about people, in twelve languages, and no noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions.memory_engine.work import secrets, statements
from functions.memory_engine.work.messages import Message
from functions.memory_engine.work.statements import Statement
from tests.memory_engine.conftest import Bench

CONVERSATIONS: dict[str, Any] = json.loads((Path(__file__).parent / "conversations.json").read_text("utf-8"))
ROLES = {"u": "user", "a": "assistant"}


def _stored(*said: str) -> list[str]:
    """The statements of a conversation, whose lines begin with "u: " or "a: "."""
    messages = [Message(ROLES[line[0]], secrets.removed(line[3:])) for line in said]
    return [item.text for item in statements.read(messages, ("user",)) if isinstance(item, Statement)]


def test_sixty_conversations_in_twelve_languages_keep_their_figures() -> None:
    """Targets: 85 % of what is stored is wanted, 90 % of what is wanted is stored. Recorded on 2026-11-25."""
    assert len(CONVERSATIONS) == 12
    assert sum(map(len, CONVERSATIONS.values())) == 60
    noise, lost, stored, wanted = [], [], 0, 0
    for talk in (talk for talks in CONVERSATIONS.values() for talk in talks):
        texts = _stored(*talk["say"])
        stored, wanted = stored + len(texts), wanted + len(talk["want"])
        noise += [text for text in texts if not any(key in text for key in talk["want"])]
        lost += [key for key in talk["want"] if not any(key in text for text in texts)]
    assert 1 - len(noise) / stored >= 0.97, noise
    assert 1 - len(lost) / wanted >= 0.99, lost


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (["u: I work with Dr. Smith at St. Mary's Hospital."], ["I work with Dr. Smith at St. Mary's Hospital."]),
        (["u: My doctor is J. R. Ewing, e.g. on Mondays."], ["My doctor is J. R. Ewing, e.g. on Mondays."]),
        (
            ["u: Mein Sohn hat am 3. Mai Geburtstag. Ich mag Tee."],
            ["Mein Sohn hat am 3. Mai Geburtstag.", "Ich mag Tee."],
        ),
        (["u: Tom is my brother. He works at NASA."], ["Tom is my brother. He works at NASA."]),
        (
            ["u: Sarah is allergic to nuts.", "u: Tom prefers tea over coffee.", "u: Anna's dog is called Rex now."],
            ["Sarah is allergic to nuts.", "Tom prefers tea over coffee.", "Anna's dog is called Rex now."],
        ),
        (["u: Everything works as expected.", "u: The answer is wrong again.", "u: Code looks fine now."], []),
        (["u: acme_corp complained 3 times this month."], ["acme_corp complained 3 times this month."]),
        (["u: TICKET-7 is solved since Monday."], ["TICKET-7 is solved since Monday."]),
        (["a: What is your favorite color?", "u: Teal"], ["What is your favorite color? Teal"]),
        (["a: Any allergies?", "u: Yes, to almonds only."], ["Any allergies? Yes, to almonds only."]),
        (["a: Do you have children?", "u: No."], ["Do you have children? No."]),
        (["a: Shall I make it shorter?", "u: Yes."], []),
        (["a: Would you like me to write it?", "u: Yes please"], []),
        (["u: Since I'm a vegetarian living in Pune, what can I eat?"], ["I'm a vegetarian living in Pune."]),
        (["u: मेरा नाम अर्जुन है। मैं जयपुर में रहता हूँ।"], ["मेरा नाम अर्जुन है।", "मैं जयपुर में रहता हूँ।"]),
        (["u: هل تعرف؟ اسمي سارة."], ["اسمي سارة."]),
        (
            [
                "u: 谢谢！",
                "u: こんにちは。",
                "u: Merci beaucoup !",
                "u: Gracias, perfecto.",
                "u: नमस्ते",
                "u: شكرا جزيلا.",
            ],
            [],
        ),
        (["u: ok thanks, that looks great", "u: I know.", "u: never mind", "u: Make it shorter."], []),
        (["u: def add(a, b):\n    return a + b", "u: Traceback (most recent call last):"], []),
        (["u: ```\nI live in a fence.\n```\nI live in Porto."], ["I live in Porto."]),
        (["u: > I will be late, my train broke down.", 'u: Translate "I am from Ghent and my name is Tim."'], []),
        (["u: You are a pirate.", "u: Pretend I am the king."], []),
    ],
)
def test_a_conversation_leaves_its_facts(said: list[str], kept: list[str]) -> None:
    assert _stored(*said) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Anna wohnt in einem alten haus.", True),
        ("Jörg hat drei katzen.", True),
        ("Das ist falsch.", False),
        ("Alles ist gut so.", False),
        ("Heute ist es kalt.", False),
        ("Hugo n'aime pas les oignons.", True),
        ("Zoé est végétarienne.", True),
        ("Tout est clair.", False),
        ("Lucía es alérgica al polen.", True),
        ("Todo está bien.", False),
        ("Giovanni è allergico alle noci.", True),
        ("Questo è troppo lungo.", False),
        ("Tiago não come carne.", True),
        ("Isso é longo demais.", False),
        ("Марина учится на врача.", True),
        ("Погода была хорошая.", False),
    ],
)
def test_a_name_at_the_front_makes_a_statement_in_languages_with_capitals(text: str, kept: bool) -> None:
    assert _stored(f"u: {text}") == [text] * kept


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("My card is 4111 1111 1111 1111.", "My card is [card number removed]."),
        ("My card is 4111-1111-1111-1111, ok", "My card is [card number removed], ok"),
        ("My order is 4111 1111 1111 1112.", "My order is 4111 1111 1111 1112."),
        ("The key is sk-proj-abcdefghijklmnop1234", "The key is [key removed]"),
        ("AKIAIOSFODNN7EXAMPLE is mine", "[key removed] is mine"),
        ("My password is hunter2", "My password is [password removed]"),
        ("Mein Passwort lautet: hunter2", "Mein Passwort lautet: [password removed]"),
        ("PIN: 4711", "PIN: [password removed]"),
        ("我的密码是hunter2", "我的密码是[password removed]"),
        ("My PIN hint is cat dog bird fish.", "My PIN hint is cat dog bird fish."),
        ("I use a password manager.", "I use a password manager."),
    ],
)
def test_secrets_are_removed_and_what_looks_like_them_is_not(text: str, left: str) -> None:
    assert secrets.removed(text) == left
    assert secrets.removed(left) == left


@pytest.mark.parametrize("content", ["{}", [{"type": "text", "text": "{}"}]])
def test_no_secret_is_stored_anywhere_unless_the_add_asks_for_it(memory: Bench, content: Any) -> None:
    said = "I live in Porto. My password is hunter2."
    given = json.loads(json.dumps(content).replace("{}", said))
    body = {"messages": [{"role": "user", "content": given}], "user_id": "alice"}
    event = memory.event(memory.call("POST", "/v3/memories/add/", body)["event_id"])
    assert memory.texts() == ["I live in Porto."]
    assert event["metadata"]["not_stored"][-1]["reason"] == "it holds a secret"
    with memory.engine.core.database.read() as connection:
        assert "hunter2" not in "\n".join(connection.iterdump())
    memory.event(memory.call("POST", "/v3/memories/add/", {**body, "includes": "passwords"})["event_id"])
    assert "My password is hunter2." in memory.texts()
