"""Adding memories: verbatim at once, inferred in the background, and never lost in between."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.memory_engine.work import adding
from tests.memory_engine.conftest import KEY, Bench, bench
from tests.patience import STUCK_SECONDS, until

INVALID = (
    "Invalid input data. Please refer to the memory creation documentation at "
    "https://docs.mem0.ai/platform/quickstart#4-1-create-memories for correct formatting and required fields."
)
WRONG_CONTENT = (
    "messages[0].content must be text, or an object of type text, image_url, pdf_url, txt_url, mdx_url, or a list of "
    "these; a text must not be empty"
)
NO_MESSAGES = 'messages is required: a non-empty list such as [{"role": "user", "content": "I like tea."}]'


def test_a_verbatim_add_answers_with_what_it_stored(memory: Bench) -> None:
    body = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Likes tea."},
            {"role": "assistant", "content": "Noted."},
        ],
        "user_id": "alice",
        "agent_id": "bot",
        "infer": False,
    }
    answer = memory.call("POST", "/v3/memories/add/", body)
    assert set(answer) == {"message", "status", "event_id", "results"}
    assert (answer["message"], answer["status"]) == ("Memories stored successfully", "SUCCEEDED")
    assert [item["data"]["memory"] for item in answer["results"]] == ["Likes tea.", "Noted."]
    assert {item["event"] for item in answer["results"]} == {"ADD"}
    stored = memory.call("GET", f"/v1/memories/{answer['results'][0]['id']}/")
    assert (stored["user_id"], stored["agent_id"]) == ("alice", "bot")
    event = memory.call("GET", f"/v1/event/{answer['event_id']}/")
    assert (event["status"], event["results"], event["payload"]["infer"]) == ("SUCCEEDED", answer["results"], False)


def test_an_exact_repeat_in_the_same_scope_is_stored_once(memory: Bench) -> None:
    assert len(memory.remember("Likes tea.", "Likes tea.", user_id="alice")) == 1
    assert memory.remember("Likes tea.", user_id="alice") == []
    assert len(memory.remember("Likes tea.", user_id="bob")) == 1
    assert len(memory.remember("Likes tea.", user_id="alice", run_id="r")) == 1


def test_inference_keeps_statements_and_drops_questions_and_small_talk(memory: Bench) -> None:
    said = "Hi there! I live in Porto. What about you?\n- My cat is called Miso.\nThanks!"
    remembered = memory.infer(("user", said), ("assistant", "Porto is lovely in spring."), user_id="alice")
    assert remembered == ["I live in Porto.", "My cat is called Miso."]


@pytest.mark.parametrize(
    "again",
    [
        "i really love strong black coffee in the morning",
        "I really  love strong black coffee\u200b in the morning!",
        "I really love ｓｔｒｏｎｇ black coffee in the morning.",
    ],
)
def test_a_text_that_differs_in_form_alone_is_known_and_the_event_names_it(memory: Bench, again: str) -> None:
    said = "I really love strong black coffee in the morning."
    assert memory.infer(("user", said), user_id="alice") == [said]
    (known,) = memory.search("coffee")
    event = memory.event(memory.add(again, user_id="alice"))
    assert (event["status"], event["results"]) == ("SUCCEEDED", [])
    assert event["metadata"] == {"not_stored": [{"text": again, "reason": f"memory {known['id']} has this text"}]}
    assert memory.infer(("user", again), user_id="bob") == [again]


CASES = json.loads((Path(__file__).parents[1] / "cases.json").read_text("utf-8"))


@pytest.mark.parametrize(("first", "second"), CASES["second_statement_was_dropped_as_known"])
def test_another_statement_in_the_same_words_is_stored(memory: Bench, first: str, second: str) -> None:
    assert memory.infer(("user", first), user_id="alice") == [first]
    assert memory.infer(("user", second), user_id="alice") == [second]


def test_each_text_that_is_not_stored_is_named_with_its_reason(memory: Bench) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi there! I vote green. I like tea. What time is it?"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]},
        {"role": "assistant", "content": "Noted."},
    ]
    event = memory.event(
        memory.call("POST", "/v3/memories/add/", {"messages": messages, "user_id": "alice", "excludes": "vote"})[
            "event_id"
        ]
    )
    assert [item["data"]["memory"] for item in event["results"]] == ["I like tea."]
    assert [(item["text"], item["reason"]) for item in event["metadata"]["not_stored"]] == [
        ("Be brief.", "it is a system message"),
        ("Hi there!", "it is small talk"),
        ("I vote green.", "excludes names it"),
        ("What time is it?", "it is a question"),
        ("image_url", "only text is stored"),
        ("Noted.", "the assistant said it, and the add has no agent_id to store it for"),
    ]


def test_a_verbatim_add_that_stores_nothing_says_so(memory: Bench) -> None:
    (known,) = memory.remember("Likes tea.")
    body = {"messages": [{"role": "user", "content": "Likes tea."}], "user_id": "alice", "infer": False}
    answer = memory.call("POST", "/v3/memories/add/", body)
    assert answer["message"] == "No memory was stored; not_stored names each text and the reason"
    assert answer["not_stored"] == [{"text": "Likes tea.", "reason": f"memory {known} has this text"}]
    assert len(memory.remember("likes tea")) == 1


@pytest.mark.parametrize("infer", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        {"type": "text", "text": "I like tea."},
        [{"type": "text", "text": "I like tea."}],
        ["I like tea.", {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
    ],
)
def test_the_text_of_content_in_parts_is_stored(memory: Bench, content: Any, infer: bool) -> None:
    body = {"messages": [{"role": "user", "content": content}], "user_id": "alice", "infer": infer}
    memory.event(memory.call("POST", "/v3/memories/add/", body)["event_id"])
    assert memory.texts() == ["I like tea."]


def test_a_fact_that_expired_or_was_replaced_is_stored_when_it_is_told_again(memory: Bench) -> None:
    memory.remember("I live in Porto.", expiration_date="2020-01-01")
    assert memory.infer(("user", "I live in Porto."), user_id="alice") == ["I live in Porto."]
    old, new = memory.remember("I drive a Fiat.", "I drive a Seat.")
    memory.call("PUT", f"/v1/memories/{old}/", {"replaced_by": new})
    assert memory.infer(("user", "I drive a Fiat. I drive a Seat."), user_id="alice") == ["I drive a Fiat."]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_deletion_covers_the_adds_queued_before_it_and_none_after(file: Path, restarted: bool) -> None:
    with bench(path=file) as memory:
        memory.engine.stop()
        memory.add("I keep bees.", user_id="alice")
        memory.add("I keep bees.", user_id="bob")
        memory.remember("Has a dog.")
        deletion = memory.call("DELETE", "/v1/memories/?user_id=alice")["event_id"]
        last = memory.add("I keep hens.", user_id="alice")
        memory.remember("Has a cat.")
        if not restarted:
            memory.engine.start()
            memory.event(deletion)
    with bench(path=file) as memory:
        memory.event(last)
        assert sorted(memory.texts()) == ["Has a cat.", "I keep hens."]
        assert memory.texts({"user_id": "bob"}) == ["I keep bees."]


def test_an_add_that_was_being_worked_on_stores_nothing_in_a_deleted_project(memory: Bench) -> None:
    memory.engine.stop()
    memory.add("I keep bees.", user_id="alice")
    with memory.engine.core.database.read() as connection:
        queued = connection.execute("SELECT * FROM events").fetchall()
    memory.call("DELETE", "/api/v1/orgs/organizations/org_local/projects/proj_local/")
    adding.work(memory.engine.core, queued)
    assert memory.texts() == []


@pytest.mark.parametrize(
    "other",
    ["I never drink coffee in the morning.", "I drink 3 coffees in the morning.", "I drink tea in the morning."],
)
def test_another_fact_in_similar_words_is_no_duplicate(memory: Bench, other: str) -> None:
    memory.infer(("user", "I drink coffee in the morning."), user_id="alice")
    assert memory.infer(("user", other), user_id="alice") == [other]


def test_with_a_user_and_an_agent_each_fact_belongs_to_who_said_it(memory: Bench) -> None:
    conversation = (("user", "I play the oboe."), ("assistant", "I answer in French from now on."))
    memory.infer(*conversation, user_id="alice", agent_id="bot", app_id="app", run_id="r1")
    listed = memory.call("POST", "/v3/memories/", {"filters": {"app_id": "app"}})["results"]
    assert {(m["memory"], m["user_id"], m["agent_id"], m["app_id"], m["session_id"]) for m in listed} == {
        ("I play the oboe.", "alice", None, "app", "r1"),
        ("I answer in French from now on.", None, "bot", "app", "r1"),
    }
    assert memory.texts({"AND": [{"user_id": "alice"}, {"agent_id": "bot"}]}) == []


def test_an_agents_memory_holds_what_both_sides_said(memory: Bench) -> None:
    remembered = memory.infer(("user", "I play the oboe."), ("assistant", "I answer in French."), agent_id="bot")
    assert remembered == ["I play the oboe.", "I answer in French."]


def test_includes_and_excludes_narrow_what_is_remembered(memory: Bench) -> None:
    said = "I drive a red car. I vote for the greens. I own two bikes."
    assert memory.infer(("user", said), user_id="a", excludes="politics, vote") == [
        "I drive a red car.",
        "I own two bikes.",
    ]
    assert memory.infer(("user", said), user_id="b", includes="cars and bikes") == [
        "I drive a red car.",
        "I own two bikes.",
    ]


def test_options_of_an_add_reach_the_memory(memory: Bench) -> None:
    (memory_id,) = memory.remember(
        "Pays rent on Friday.",
        metadata={"source": "chat"},
        expiration_date="2030-05-01",
        immutable=True,
        timestamp=1_700_000_000,
        custom_categories=[{"housing": "rent and flat"}, {"pets": "cats"}],
    )
    stored = memory.call("GET", f"/v1/memories/{memory_id}/")
    assert stored["metadata"] == {"source": "chat"}
    assert stored["expiration_date"] == "2030-05-01"
    assert stored["immutable"] is True
    assert stored["categories"] == ["housing"]
    assert stored["created_at"] == "2023-11-14T22:13:20.000000Z"
    assert stored["structured_attributes"]["day_of_week"] == "tuesday"


def test_the_projects_own_categories_are_used_when_an_add_brings_none(memory: Bench) -> None:
    project = "/api/v1/orgs/organizations/org_local/projects/proj_local/"
    memory.call("PATCH", project, {"custom_categories": [{"boats": "sailing and rowing"}]})
    (memory_id,) = memory.remember("Goes sailing on Sundays.")
    assert memory.call("GET", f"/v1/memories/{memory_id}/")["categories"] == ["boats"]


def test_multimodal_content_is_accepted_and_only_text_is_remembered(memory: Bench) -> None:
    body = {
        "messages": [
            {"role": "user", "content": {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}},
            {"role": "user", "content": "This is my garden."},
        ],
        "user_id": "alice",
    }
    event = memory.event(memory.call("POST", "/v3/memories/add/", body)["event_id"])
    assert [item["data"]["memory"] for item in event["results"]] == ["This is my garden."]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"messages": None}, NO_MESSAGES),
        ({"messages": []}, NO_MESSAGES),
        ({"messages": ["hi"]}, "messages[0] must be an object with role and content"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "messages[0].role must be user, assistant or system"),
        *(
            ({"messages": [{"role": "user", "content": content}]}, WRONG_CONTENT)
            for content in (
                " ",
                "\u200b",
                "\x00 \u3164",
                [],
                [" "],
                [{"type": "text"}],
                {"type": "text", "text": ""},
                7,
            )
        ),
        ({"user_id": None}, "at least one of user_id, agent_id, app_id, run_id is required"),
        ({"user_id": 7}, "user_id must be a string of 1 to 512 characters"),
        ({"user_id": "\u200b"}, "user_id must be a string of 1 to 512 characters"),
        ({"user_id": "*"}, "user_id must not be '*', which means any in filters"),
        ({"agent_id": ".."}, "agent_id must not be '..', which no path can name"),
        ({"metadata": []}, "metadata must be an object"),
        ({"infer": "no"}, "infer must be true or false"),
        ({"expiration_date": "soon"}, "expiration_date must be a valid date in YYYY-MM-DD format."),
        ({"timestamp": "now"}, "timestamp must be Unix seconds, a number"),
        ({"timestamp": 1e300}, "timestamp must be Unix seconds, a number"),
    ],
)
def test_an_add_that_cannot_be_kept_is_refused_with_mem0s_body_and_the_reason(
    memory: Bench, change: dict[str, Any], reason: str
) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "user_id": "alice", **change}
    assert memory.call("POST", "/v3/memories/add/", body, 400) == {
        "error": "400 Bad Request",
        "details": {"message": INVALID, "reasons": [reason]},
    }
    assert memory.call("GET", "/v1/events/")["count"] == 0


def test_categories_as_bare_strings_are_refused_with_mem0s_words(memory: Bench) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "user_id": "a", "custom_categories": ["food"]}
    assert memory.call("POST", "/v3/memories/add/", body, 400) == {
        "custom_categories": {"0": ['Expected a dictionary of items but got type "str".']}
    }


def test_events_are_listed_newest_first_and_narrowed(memory: Bench) -> None:
    memory.remember("One.")
    event_id = memory.call(
        "POST", "/v3/memories/add/", {"messages": [{"role": "user", "content": "Two things."}], "user_id": "alice"}
    )["event_id"]
    memory.event(event_id)
    listed = memory.call("GET", "/v1/events/?event_type=ADD&status=SUCCEEDED&page_size=1")
    assert (listed["count"], listed["results"][0]["id"], listed["previous"]) == (2, event_id, None)
    assert listed["next"].endswith("/v1/events/?event_type=ADD&status=SUCCEEDED&page=2&page_size=1&after=2")
    assert set(listed["results"][0]) == {
        *("id", "event_type", "status", "payload", "metadata", "results", "created_at", "updated_at"),
        *("started_at", "completed_at", "latency"),
    }
    assert memory.call("GET", "/v1/events/?page=9", status=404) == {"detail": "Invalid page."}
    assert memory.call("GET", "/v1/event/unknown/", status=404) == {
        "error": "Event not found or you don't have permission to access it."
    }


def test_an_add_waits_until_the_engine_is_started(file: Path) -> None:
    with bench(path=file) as memory:
        memory.engine.stop()
        body = {"messages": [{"role": "user", "content": "I keep bees."}], "user_id": "alice"}
        event_id = memory.call("POST", "/v3/memories/add/", body)["event_id"]
        assert memory.call("GET", f"/v1/event/{event_id}/")["status"] == "PENDING"
    with bench(path=file) as memory:
        assert memory.event(event_id)["status"] == "SUCCEEDED"
        assert memory.texts() == ["I keep bees."]


def test_an_event_that_was_cut_short_three_times_fails_and_the_next_goes_on(file: Path) -> None:
    with bench(path=file) as memory:
        memory.engine.stop()
        body = {"messages": [{"role": "user", "content": "I keep bees."}], "user_id": "alice"}
        first, second = (memory.call("POST", "/v3/memories/add/", body)["event_id"] for _ in range(2))
        memory.engine.core.database.write(
            lambda c: c.execute("UPDATE events SET status = 'RUNNING', attempts = 3 WHERE id = ?", (first,)) and None
        )
        memory.engine.start()
        failed = memory.event(first)
        assert (failed["status"], failed["error"]) == ("FAILED", "interrupted 3 times")
        assert memory.event(second)["status"] == "SUCCEEDED"


def test_one_broken_event_among_many_fails_alone(memory: Bench) -> None:
    memory.engine.stop()
    bodies = [{"messages": [{"role": "user", "content": f"I keep {n} bees."}], "user_id": "alice"} for n in range(5)]
    ids = [memory.call("POST", "/v3/memories/add/", body)["event_id"] for body in bodies]
    memory.engine.core.database.write(
        lambda c: c.execute("UPDATE events SET payload = '{}' WHERE id = ?", (ids[2],)) and None
    )
    memory.engine.start()
    ended = [memory.event(event_id) for event_id in ids]
    assert [event["status"] for event in ended] == ["SUCCEEDED", "SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert ended[2]["error"] == "internal error: KeyError"
    assert len(memory.texts()) == 4


def test_a_locked_file_costs_an_add_no_attempt(file: Path) -> None:
    with bench(path=file, busy_timeout_seconds=0.01) as memory:
        memory.engine.stop()
        body = {"messages": [{"role": "user", "content": "I keep bees."}], "user_id": "alice"}
        event_id = memory.call("POST", "/v3/memories/add/", body)["event_id"]
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        for _ in range(5):
            with pytest.raises(sqlite3.OperationalError):
                memory.engine.worker.work_next()
        holder.close()
        memory.engine.start()
        assert memory.event(event_id)["status"] == "SUCCEEDED"


# kill -9

PROGRAM = """
import sys, uvicorn
from pathlib import Path
from functions.memory_engine.app import create_app
from functions.memory_engine.settings import EngineSettings

class Announcing(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

app = create_app(EngineSettings(path=Path(sys.argv[1])))
Announcing(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none")).run()
"""


def _process(file: Path) -> tuple[subprocess.Popen[bytes], str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(file)], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}"


def test_every_acknowledged_add_survives_kill_9_and_ends(file: Path) -> None:
    acknowledged: dict[str, str] = {}
    verbatim = []
    for round_number in range(3):
        process, url = _process(file)
        assert process.stdout is not None
        try:
            with httpx.Client(base_url=url, headers={"Authorization": f"Token {KEY}"}, timeout=STUCK_SECONDS) as client:
                for number in range(12):
                    text = f"My fact {round_number}{number} is about the garden of house {round_number}{number}."
                    body = {"messages": [{"role": "user", "content": text}], "user_id": "alice"}
                    acknowledged[client.post("/v3/memories/add/", json=body).json()["event_id"]] = text
                exact = {**body, "messages": [{"role": "user", "content": f"Exact {round_number}"}], "infer": False}
                verbatim += [item["id"] for item in client.post("/v3/memories/add/", json=exact).json()["results"]]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
    with bench(path=file) as memory:
        for event_id, text in acknowledged.items():
            event = memory.event(event_id)
            assert event["status"] == "SUCCEEDED", event
            assert [item["data"]["memory"] for item in event["results"]] == [text]
        stored = memory.call("POST", "/v3/memories/?page_size=200", {"filters": {"user_id": "alice"}})["results"]
        texts = [item["memory"] for item in stored]
        assert sorted(t for t in texts if t.startswith("My fact")) == sorted(acknowledged.values())
        assert {item["id"] for item in stored} >= set(verbatim)
        assert len(verbatim) == 3
        check = until(lambda: memory.engine.core.database.write(_integrity), "the check answers")
        assert json.dumps(check) == '["ok", "ok"]'


def _integrity(connection: Any) -> list[str]:
    connection.execute("INSERT INTO memory_index (memory_index, rank) VALUES ('integrity-check', 1)")
    return [connection.execute("PRAGMA integrity_check").fetchone()[0], "ok"]
