"""`postern install --capture` and the command that an agent then runs after each turn."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from functions.cli.capture.agents import AGENTS, TAIL_BYTES, Turn
from functions.cli.capture.outbox import MAX_WAITING, Outbox, Settings, is_ignored
from functions.cli.commands import capture
from tests.cli.conftest import Local, run

EARLIER = {
    "claude-code": {"model": "opus", "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]}},
    "cursor": {"version": 1, "hooks": {"stop": [{"command": "./mine.sh"}], "afterAgentResponse": [{"command": "x"}]}},
    "gemini-cli": {"theme": "dark", "hooks": {"AfterAgent": [], "BeforeTool": [{"matcher": "*", "hooks": []}]}},
}


def _install(home: Path, agent: str, *more: str) -> Any:
    environment = {"HOME": str(home), "POSTERN_STATE_DIR": str(home / "state")}
    return run("install", "--capture", agent, *more, environment=environment)


def _config(home: Path, agent: str) -> Path:
    return AGENTS[agent].config({"HOME": str(home)})


def _payload(agent: str, folder: Path, session: str = "s-1") -> dict[str, Any]:
    """What the agent passes after a turn, as its documentation shows it."""
    if agent == "codex":
        return {
            "type": "agent-turn-complete",
            "thread-id": session,
            "turn-id": "12345",
            "cwd": "/home/me/project",
            "input-messages": ["I live in Porto. My password is hunter2."],
            "last-assistant-message": "Noted.",
        }
    if agent == "cursor":
        return {
            "conversation_id": session,
            "generation_id": "g",
            "hook_event_name": "afterAgentResponse",
            "workspace_roots": ["/home/me/project"],
            "text": "Noted.",
        }
    common = {"session_id": session, "cwd": "/home/me/project"}
    if agent == "gemini-cli":
        asked = "I live in Porto. My password is hunter2."
        return {**common, "hook_event_name": "AfterAgent", "prompt": asked, "prompt_response": "Noted."}
    transcript = folder / "transcript.jsonl"
    blocks = [{"type": "text", "text": "Noted."}, {"type": "tool_use", "name": "Bash", "input": {}}]
    lines: list[Any] = [
        {"type": "user", "message": {"role": "user", "content": "An earlier turn."}},
        {"type": "assistant", "message": {"role": "assistant", "content": [{"type": "text", "text": "Earlier."}]}},
        {"type": "user", "isMeta": True, "message": {"role": "user", "content": "Caveat: meta."}},
        {"type": "user", "message": {"role": "user", "content": "<command-name>/clear</command-name>"}},
        {"type": "user", "message": {"role": "user", "content": "I live in Porto. My password is hunter2."}},
        {"type": "assistant", "isSidechain": True, "message": {"content": [{"type": "text", "text": "Side."}]}},
        {"type": "assistant", "message": {"role": "assistant", "content": blocks}},
        {"type": "user", "message": {"role": "user", "content": [{"type": "tool_result", "content": "x"}]}},
        {"type": "summary"},
        7,
    ]
    transcript.write_text("\n".join([*map(json.dumps, lines), "{half"]), encoding="utf-8")
    return {**common, "transcript_path": str(transcript), "hook_event_name": "Stop", "stop_hook_active": False}


def _prompted(session: str = "s-1") -> dict[str, Any]:
    asked = "I live in Porto. My password is hunter2."
    return {"conversation_id": session, "hook_event_name": "beforeSubmitPrompt", "prompt": asked, "attachments": []}


@pytest.mark.parametrize("agent", sorted(EARLIER))
def test_a_hook_is_added_once_beside_the_others_and_taken_out_alone(tmp_path: Path, agent: str) -> None:
    file = _config(tmp_path, agent)
    file.parent.mkdir()
    file.write_text(json.dumps(EARLIER[agent]), encoding="utf-8")
    file.chmod(0o640)
    for _ in range(3):
        ran = _install(tmp_path, agent, "--ignore", "~/work/*")
        assert ran.code == 0, ran.err
    installed = json.loads(file.read_text())
    assert json.dumps(installed).count(f"capture {agent} --state") == (2 if agent == "cursor" else 1)
    assert "mine" in json.dumps(installed) or agent == "gemini-cli"
    assert file.stat().st_mode & 0o777 == 0o640
    removed = _install(tmp_path, agent, "--remove")
    assert removed.code == 0, removed.err
    expected = json.loads(json.dumps(EARLIER[agent]))
    if agent == "gemini-cli":
        del expected["hooks"]["AfterAgent"]
    assert json.loads(file.read_text()) == expected
    assert Outbox(tmp_path / "state").settings(agent) is None


def test_codex_gets_one_line_before_its_tables_and_keeps_every_other(tmp_path: Path) -> None:
    file, earlier = _config(tmp_path, "codex"), '# mine\nmodel = "o"\n\n[mcp_servers.x]\ncommand = "y"\n'
    file.parent.mkdir()
    file.write_text(earlier, encoding="utf-8")
    for _ in range(2):
        assert _install(tmp_path, "codex").code == 0
    found = tomllib.loads(file.read_text())
    assert found["notify"][1:5] == ["-m", "functions.cli", "capture", "codex"]
    assert found["mcp_servers"] == {"x": {"command": "y"}}
    assert _install(tmp_path, "codex", "--remove").code == 0
    assert file.read_text() == earlier
    file.write_text(f'notify = ["other"]\n{earlier}', encoding="utf-8")
    refused = _install(tmp_path, "codex")
    assert refused.code == 1
    assert "was left as it is: it already names a command under notify" in refused.err
    assert file.read_text() == f'notify = ["other"]\n{earlier}'


@pytest.mark.parametrize("content", ["{ // comment\n}", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}'])
def test_a_configuration_that_cannot_be_read_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    file = _config(tmp_path, "claude-code")
    file.parent.mkdir()
    file.write_text(content, encoding="utf-8")
    ran = _install(tmp_path, "claude-code")
    assert ran.code == 1
    assert "was left as it is" in ran.err
    assert file.read_text() == content


def test_a_new_configuration_is_made_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    ran = _install(tmp_path, "claude-code", "--json")
    assert ran.json["captured"] is True
    assert _config(tmp_path, "claude-code").stat().st_mode & 0o777 == 0o600
    assert AGENTS["codex"].config({"CODEX_HOME": "/elsewhere"}) == Path("/elsewhere/config.toml")


@pytest.mark.parametrize("agent", sorted(AGENTS))
def test_a_finished_turn_is_kept_without_secrets_and_once_installed_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(capture, "_send_later", lambda name, state: sent.append(name))
    outbox, payload = Outbox(tmp_path), json.dumps(_payload(agent, tmp_path))

    def finish(*more: str) -> Any:
        if agent == "cursor":
            first = run("capture", agent, "--state", str(tmp_path), stdin=json.dumps(_prompted()))
            assert json.loads(first.out) == {"continue": True}
        return run("capture", agent, *more, "--state", str(tmp_path), stdin=payload)

    assert finish().code == 0
    assert (outbox.waiting(), sent) == ([], [])
    outbox.configure(agent, Settings("me"))
    ran = finish(payload) if agent == "codex" else finish()
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (f"{AGENTS[agent].answer}\n" if AGENTS[agent].answer else "")
    [kept] = outbox.waiting()
    assert json.loads(kept.read_text()) == {
        "messages": [
            {"role": "user", "content": "I live in Porto. My password is [password removed]"},
            {"role": "assistant", "content": "Noted."},
        ],
        "user_id": "me",
        "run_id": f"{agent}-s-1",
        "metadata": {"source": agent},
    }
    assert kept.stat().st_mode & 0o777 == 0o600
    assert sent == [agent]
    assert "hunter2" not in "".join(
        file.read_text() for file in tmp_path.rglob("*") if file.suffix != ".jsonl" and file.is_file()
    )
    outbox.configure(agent, Settings("me", ("/home/*/project",)))
    finish()
    assert outbox.waiting() == [kept]
    outbox.configure(agent, None)
    assert outbox.waiting() == []


@pytest.mark.parametrize("agent", sorted(AGENTS))
@pytest.mark.parametrize("payload", ["", "{", "[]", "{}", "7", '{"hook_event_name": "Stop", "transcript_path": 1}'])
def test_a_payload_without_a_turn_disturbs_nobody(tmp_path: Path, agent: str, payload: str) -> None:
    outbox = Outbox(tmp_path)
    outbox.configure(agent, Settings("me"))
    ran = run("capture", agent, "--state", str(tmp_path), stdin=payload)
    assert (ran.code, ran.err) == (0, "")
    assert outbox.waiting() == []


def test_a_hook_that_a_hook_caused_is_no_turn(tmp_path: Path) -> None:
    for agent in ("claude-code", "gemini-cli"):
        assert AGENTS[agent].turn({**_payload(agent, tmp_path), "stop_hook_active": True}, "") is None


def test_only_the_end_of_a_long_transcript_is_read(tmp_path: Path) -> None:
    payload = _payload("claude-code", tmp_path)
    transcript = Path(payload["transcript_path"])
    transcript.write_text("x" * TAIL_BYTES + "\n" + transcript.read_text(), encoding="utf-8")
    turn = AGENTS["claude-code"].turn(payload, "")
    assert turn is not None
    assert turn.assistant == "Noted."


@pytest.mark.parametrize(
    ("folder", "ignored"),
    [("/home/me/work/a/b", True), ("/home/me/work", False), ("/home/me/workshop", False), ("", False)],
)
def test_an_ignored_folder_includes_the_folders_in_it(
    monkeypatch: pytest.MonkeyPatch, folder: str, ignored: bool
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert is_ignored(folder, ("~/work/*",)) is ignored


def test_turns_do_not_pile_up_for_ever(tmp_path: Path) -> None:
    outbox, turn = Outbox(tmp_path), Turn("s", "/x", "I swim.", "")
    assert outbox.put("codex", turn, Settings("me"), 1)
    for number in range(2, MAX_WAITING + 1):
        (tmp_path / "capture" / f"{number:020d}.codex.json").touch()
    assert not outbox.put("codex", turn, Settings("me"), MAX_WAITING + 1)


def test_what_waits_is_sent_in_order_and_kept_while_the_endpoint_is_down(local: Local, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for number, place in enumerate(("Porto", "Ghent")):
        outbox.put("codex", Turn("sent", "/x", f"I worked in {place}.", ""), Settings("captured"), number)
    send = ("capture", "codex", "--state", str(tmp_path), "--send")
    down = run(*send)
    assert down.code == 1
    assert len(outbox.waiting()) == 2
    assert "no endpoint" in (tmp_path / "capture" / "last-failure.txt").read_text()
    address = ("--endpoint", local.ready.base_url, "--api-token", local.ready.api_token)
    for _ in range(2):
        assert run(*send, *address).code == 0
        assert outbox.waiting() == []
    for _ in range(100):
        told = local("call", "mem_0_memories_get_conversation", "run_id=codex-sent", "--json").json["result"]
        if len(told) == 2:
            break
    assert [memory["memory"] for memory in told] == ["I worked in Porto.", "I worked in Ghent."]


def test_one_process_sends_at_a_time(tmp_path: Path) -> None:
    with Outbox(tmp_path).alone() as first, Outbox(tmp_path).alone() as second:
        assert (first, second) == (True, False)
    with Outbox(tmp_path).alone() as third:
        assert third
