"""`postern memory import` of what other services give away, against a real endpoint."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from functions.cli import tool_clients
from functions.cli.chat_exports import MAX_MESSAGE_CHARS, Found, Message, adds
from functions.cli.chat_exports.reading import read
from functions.cli.invocation import Failed
from functions.gateway.json_text import Json
from tests.cli.conftest import Local


def _node(name: str, parent: str | None, role: str, *parts: Json, **message: Json) -> dict[str, Json]:
    content = message.pop("content", {"content_type": "text", "parts": list(parts)})
    told = {"id": name, "author": {"role": role}, "create_time": 1.0, "content": content, "recipient": "all", **message}
    return {"id": name, "parent": parent, "children": [], "message": told if role else None}


def chatgpt(key: str = "c-1") -> dict[str, Json]:
    """A tree with a system prompt, a hidden message, a picture, a tool's answer and a branch that was regenerated."""
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    nodes = [
        {"id": "root", "parent": None, "children": ["s"], "message": None},
        _node("s", "root", "system", ""),
        _node("h", "s", "user", "Hidden.", metadata={"is_visually_hidden_from_conversation": True}),
        _node("u", "h", "user", picture, "I live in Porto.", content=None),
        _node("t", "u", "tool", "4 results"),
        _node("k", "t", "assistant", "import os", content={"content_type": "code", "text": "import os"}),
        _node("b", "k", "assistant", "Discarded."),
        _node("a", "k", "assistant", "Nice!", {"content_type": "audio_transcription", "text": "Spoken."}),
        _node("v", "a", "user", "My sister Ana is allergic to nuts."),
    ]
    nodes[3]["message"]["content"] = {"content_type": "multimodal_text", "parts": [picture, "I live in Porto."]}
    mapping = {node["id"]: node for node in nodes}
    return {"id": key, "title": "Moving", "create_time": 1700000000.5, "current_node": "v", "mapping": mapping}


CLAUDE = {
    "uuid": "0f-1",
    "name": "Dinner",
    "created_at": "2026-03-01T10:00:00.000000Z",
    "chat_messages": [
        {
            "sender": "human",
            "text": "I am vegan.",
            "content": [{"type": "text", "text": "I am vegan."}],
            "files": [{"file_name": "x.png"}],
        },
        {
            "sender": "assistant",
            "text": "",
            "content": [{"type": "tool_use", "name": "web"}, {"type": "text", "text": "Noted."}],
        },
        {"sender": "human", "text": "I cook on Sundays.", "content": []},
    ],
}


def gemini(at: str, prompt: str, answer: str | None) -> dict[str, Json]:
    item = {"safeHtmlItem": [{"html": answer}]} if answer else {}
    return {"header": "Gemini Apps", "title": prompt, "time": at, "products": ["Gemini Apps"], **item}


GEMINI = [
    gemini("2026-05-02T09:00:00.000Z", "Prompted I am from Ghent.", "<p>Nice &amp; old</p><ul><li>one</li></ul>"),
    gemini("2026-05-01T08:20:00.000Z", "Prompted I play chess.", "<p>Good.</p>"),
    gemini("2026-05-01T08:00:00.000Z", "Prompted I have a cat.", "<p>Sweet.</p>"),
    gemini("2026-05-01T07:59:00.000Z", "Used an Assistant feature", None),
]


def _written(folder: Path, name: str, document: Json) -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def _zipped(folder: Path, name: str, members: dict[str, Json]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, document in members.items():
            archive.writestr(member, document if isinstance(document, str) else json.dumps(document))
    return path


def _said(found: Found) -> list[list[tuple[str, str]]]:
    return [[(message.role, message.text) for message in talk.messages] for talk in found.conversations]


def test_chatgpt_is_read_along_the_branch_that_was_shown_last(tmp_path: Path) -> None:
    members = {"user.json": {"id": "user-x"}, "conversations.json": [chatgpt()], "chat.html": "<html>"}
    found = read(_zipped(tmp_path, "chatgpt.zip", members))
    assert found.service == "chatgpt"
    [talk] = found.conversations
    assert (talk.key, talk.title, talk.at) == ("c-1", "Moving", 1700000000)
    assert _said(found) == [
        [
            ("user", "I live in Porto."),
            ("assistant", "Nice!\nSpoken."),
            ("user", "My sister Ana is allergic to nuts."),
        ]
    ]
    assert +found.left_out == {"pictures, sounds and files": 1, "messages of tools": 1}
    broken = {**chatgpt(), "current_node": "gone"}
    assert len(read(_written(tmp_path, "conversations.json", [broken])).conversations[0].messages) == 4


def test_numbered_files_of_one_export_are_read_together(tmp_path: Path) -> None:
    members: dict[str, Json] = {f"conversations-00{n}.json": [chatgpt(f"c-{n}")] for n in (0, 1)}
    assert [talk.key for talk in read(_zipped(tmp_path, "e.zip", members)).conversations] == ["c-0", "c-1"]


def test_claude_is_read_from_its_zip_and_its_json(tmp_path: Path) -> None:
    members = {"users.json": [{"uuid": "u"}], "projects.json": [], "conversations.json": [CLAUDE]}
    for path in (_zipped(tmp_path, "claude.zip", members), _written(tmp_path, "conversations.json", [CLAUDE])):
        found = read(path)
        assert found.service == "claude"
        assert _said(found) == [[("user", "I am vegan."), ("assistant", "Noted."), ("user", "I cook on Sundays.")]]
        assert found.conversations[0].at == 1772359200
        assert +found.left_out == {"messages of tools": 1, "pictures, sounds and files": 1}


def test_gemini_is_read_oldest_first_and_a_pause_begins_another_conversation(tmp_path: Path) -> None:
    found = read(_zipped(tmp_path, "takeout.zip", {"Takeout/My Activity/Gemini Apps/MyActivity.json": GEMINI}))
    assert found.service == "gemini"
    assert _said(found) == [
        [("user", "I have a cat."), ("assistant", "Sweet."), ("user", "I play chess."), ("assistant", "Good.")],
        [("user", "I am from Ghent."), ("assistant", "Nice & old\none")],
    ]
    assert +found.left_out == {"entries of My Activity without a prompt": 1}


def test_a_takeout_as_html_names_the_format_to_choose(tmp_path: Path) -> None:
    members = {"Takeout/My Activity/Gemini Apps/MyActivity.html": "<html>", "Takeout/archive_browser.json": {}}
    with pytest.raises(Failed, match="as HTML; ask Google Takeout for it again, with JSON"):
        read(_zipped(tmp_path, "takeout.zip", members))


@pytest.mark.parametrize("wrapped", [lambda found: found, lambda found: {"results": found}])
def test_memories_of_mem0_keep_their_ids_metadata_and_time(tmp_path: Path, wrapped: Any) -> None:
    memory = {
        "id": "m",
        "memory": "Likes tea.",
        "user_id": "u",
        "session_id": "r",
        "metadata": {"a": 1},
        "created_at": "2026-01-01T00:00:00Z",
    }
    found = read(_written(tmp_path, "mem0.json", wrapped([memory, {"memory": ""}])))
    [one] = adds.of(found, "me", verbatim=False)
    assert one.arguments == {
        "messages": [{"role": "user", "content": "Likes tea."}],
        "user_id": "u",
        "run_id": "r",
        "metadata": {"source": "mem0", "a": 1},
        "infer": False,
        "timestamp": 1767225600,
    }
    assert +found.left_out == {"entries without a text": 1}


def test_markdown_gives_items_and_paragraphs_with_their_heading(tmp_path: Path) -> None:
    text = "# Me\n\n- I live\n  in Porto.\n* [x] I have a dog.\n\nA paragraph\nof two lines.\n\n"
    text += "```\ncode\n```\n---\n## Work\n1. I teach.\n"
    found = read(_written(tmp_path, "me.md", text))
    assert [(fact.text, dict(fact.metadata)["section"]) for fact in found.facts] == [
        ("I live in Porto.", "Me"),
        ("I have a dog.", "Me"),
        ("A paragraph of two lines.", "Me"),
        ("I teach.", "Work"),
    ]
    assert +found.left_out == {"blocks of code": 1}


def test_json_lines_hold_facts_conversations_and_messages(tmp_path: Path) -> None:
    lines: list[Json] = [
        {"text": "I like tea."},
        "I swim.",
        {"run_id": "r", "messages": [{"role": "user", "content": "Hi"}, {"role": "tool", "content": "x"}]},
        {"role": "user", "content": "I run."},
        {"role": "assistant", "content": "Good."},
        {"other": 1},
        7,
    ]
    path = _written(tmp_path, "all.jsonl", "\n".join([*map(json.dumps, lines), "{not json", ""]))
    found = read(path)
    assert [fact.text for fact in found.facts] == ["I like tea.", "I swim."]
    assert _said(found) == [[("user", "Hi")], [("user", "I run."), ("assistant", "Good.")]]
    expected = {"entries without a text": 1, "lines that hold no object": 1, "lines that are not JSON": 1}
    assert +found.left_out == expected


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"mapping": 1}', '[{"chat_messages": 1}]', "\x00\xff"])
def test_a_file_of_no_known_form_is_refused_with_what_can_be_read(tmp_path: Path, content: str) -> None:
    with pytest.raises(Failed, match="is of no known form; importable are: the zip or JSON that ChatGPT, Claude"):
        read(_written(tmp_path, "x.json", content))


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = _zipped(tmp_path, "e.zip", {"conversations.json": [chatgpt()]})
    content = bytearray(path.read_bytes())
    content[60:80] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(Failed, match="is damaged or encrypted"):
        read(path)


def test_a_long_conversation_is_sent_in_parts_and_a_pasted_file_is_left_out() -> None:
    found = Found("chatgpt")
    said = [Message("user", f"I know number {n}.") for n in range(45)]
    found.talk("c", "", None, [*said, Message("user", "x" * (MAX_MESSAGE_CHARS + 1)), Message("user", " ")])
    found.talk("d", "", None, [Message("assistant", "Hello.")])
    sent = list(adds.of(found, "me", verbatim=True))
    assert [one.size for one in sent] == [20, 20, 5]
    assert {one.arguments["run_id"] for one in sent} == {"chatgpt-c"}
    assert all(one.arguments["infer"] is False for one in sent)
    assert len(found.left_out) == 2


def test_an_import_shows_itself_first_and_is_sent_once(local: Local, tmp_path: Path) -> None:
    path = str(_zipped(tmp_path, "chatgpt.zip", {"conversations.json": [chatgpt("once")]}))
    dry = local("memory", "import", path, "--user-id", "importer", "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert (dry.json["conversations"], dry.json["messages"], dry.json["requests"]) == (1, 3, 1)
    assert dry.json["samples"] == ["Moving: I live in Porto."]
    first = local("memory", "import", path, "--user-id", "importer", "--verbatim", "--json")
    assert first.code == 0, first.err
    assert (first.json["requests"], first.json["imported_before"]) == (1, 0)
    again = local("memory", "import", path, "--user-id", "importer", "--verbatim", "--json")
    assert (again.json["requests"], again.json["imported_before"]) == (0, 1)
    told = local("call", "mem_0_memories_get_conversation", "run_id=chatgpt-once", "--json")
    assert sorted(memory["memory"] for memory in told.json["result"]) == [
        *("I live in Porto.", "My sister Ana is allergic to nuts.", "Nice!\nSpoken.")
    ]
    assert {memory["created_at"][:10] for memory in told.json["result"]} == {"2023-11-14"}
    text = local("memory", "import", path, "--user-id", "importer", "--dry-run")
    assert "  e.g. Moving: I live in Porto." in text.out


def test_an_import_that_stopped_continues_where_it_was(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "\n".join(json.dumps({"text": f"Fact number {n}.", "run_id": f"stopped-{n}"}) for n in range(4))
    path = str(_written(tmp_path, "facts.jsonl", lines))
    real, calls = tool_clients.proxied_call, list[Any]()

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:
            raise Failed("the upstream is gone")
        return real(*arguments)

    monkeypatch.setattr(tool_clients, "proxied_call", failing)
    stopped = local("memory", "import", path)
    assert stopped.code == 1
    assert "the upstream is gone\n2 of 4 requests were accepted; the same command continues" in stopped.err
    rest = local("memory", "import", path, "--json")
    assert (rest.json["requests"], rest.json["imported_before"]) == (2, 2)
    assert len(calls) == 5
