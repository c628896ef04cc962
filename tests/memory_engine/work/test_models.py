"""A language model and an embedder, when they are configured: stubs that speak the OpenAI shapes on loopback."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from functions.memory_engine.search import embeddings, filters
from functions.memory_engine.settings import ModelEndpoint, SettingsError
from tests.memory_engine.conftest import Bench, bench, served
from tests.patience import STUCK_SECONDS, until

KEY = "model-secret"
SENSES = [("pizza", "food", "dinner", "eat"), ("car", "drive", "vehicle"), ("cat", "pet", "animal")]


def embed(text: str) -> list[float]:
    """One dimension per sense: "animal" and "cat" point the same way without sharing a word."""
    vector = [sum(word in text.lower() for word in sense) + 0.01 for sense in SENSES]
    return [value / math.hypot(*vector) for value in vector]


class Models:
    """What the stub was asked, and how it answers."""

    def __init__(self) -> None:
        self.chats: list[Any] = []
        self.answer: Callable[[Any], Any] = lambda request: {"memories": []}
        self.embeds = True

    async def chat(self, request: Request) -> Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        body = await request.json()
        asked = json.loads(body["messages"][1]["content"])
        self.chats.append(asked)
        answer = self.answer(asked)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, Response):
            return answer
        content = answer if isinstance(answer, str) else json.dumps(answer)
        return JSONResponse({"choices": [{"message": {"content": content}}]})

    async def embeddings(self, request: Request) -> Response:
        if not self.embeds:
            return Response(status_code=503)
        texts = (await request.json())["input"]
        items = [{"index": place, "embedding": embed(text)} for place, text in enumerate(texts)]
        return JSONResponse({"data": items[::-1]})


@pytest.fixture(scope="module", name="stub")
def _stub() -> Iterator[tuple[Models, str]]:
    models = Models()
    routes = [
        Route("/v1/chat/completions", models.chat, methods=["POST"]),
        Route("/v1/embeddings", models.embeddings, methods=["POST"]),
    ]
    with served(Starlette(routes=routes)) as url:
        yield models, f"{url}/v1"


@contextmanager
def with_llm(stub: tuple[Models, str], answer: Callable[[Any], Any], **options: Any) -> Iterator[Bench]:
    models, url = stub
    models.chats.clear()
    models.answer = answer
    with bench(llm=ModelEndpoint(url, "stub", KEY, timeout_seconds=60), model_retry_seconds=0.0, **options) as memory:
        yield memory


@contextmanager
def with_embedder(stub: tuple[Models, str], **options: Any) -> Iterator[Bench]:
    models, url = stub
    models.embeds = True
    with bench(embedder=ModelEndpoint(url, "stub", KEY, dimensions=3), **options) as memory:
        yield memory


def _embedded(memory: Bench, count: int) -> None:
    def all_there() -> bool:
        with memory.engine.core.database.read() as connection:
            return bool(connection.execute("SELECT count(*) FROM vectors").fetchone()[0] == count)

    memory.engine.core.work.give()
    until(all_there, f"{count} vectors")


def test_facts_are_extracted_by_the_model_and_split_by_who_said_them(stub: tuple[Models, str]) -> None:
    facts = [
        {"text": "Alice plays the oboe", "attributed_to": "user", "categories": ["music", "nonsense"]},
        {"text": "The bot answers in French", "attributed_to": "assistant"},
    ]
    with with_llm(stub, lambda request: {"memories": facts}) as memory:
        memory.remember("Alice has an oboe", user_id="alice")
        added = memory.infer(
            ("user", "I play the oboe"),
            ("assistant", "Oui"),
            user_id="alice",
            agent_id="bot",
            custom_instructions="short",
        )
        assert added == ["Alice plays the oboe", "The bot answers in French"]
        (mine,) = memory.call("POST", "/v3/memories/", {"filters": {"user_id": "alice"}, "categories": ["music"]})[
            "results"
        ]
        assert (mine["memory"], mine["categories"], mine["agent_id"]) == ("Alice plays the oboe", ["music"], None)
        (asked,) = stub[0].chats
        assert asked["conversation"][0] == {"role": "user", "content": "I play the oboe"}
        assert asked["known"] == ["Alice has an oboe"]
        assert asked["instructions"] == "short"
        assert asked["roles"] == ["user", "assistant"]


def test_what_the_model_repeats_is_dropped(stub: tuple[Models, str]) -> None:
    with with_llm(stub, lambda request: {"memories": [{"text": "Alice likes green tea"}]}) as memory:
        memory.remember("Alice likes green tea.", user_id="alice")
        assert memory.infer(("user", "I like green tea"), user_id="alice") == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(status_code=500), "the language model answered 500"),
        ("no json at all", "the language model's answer is not a JSON object"),
        ({"facts": []}, 'the language model\'s answer has no "memories" list'),
        ({"memories": [{"fact": "x"}]}, 'the language model\'s answer holds a memory without "text"'),
    ],
)
def test_a_model_that_keeps_failing_fails_the_event_with_the_reason(
    stub: tuple[Models, str], answer: Any, error: str
) -> None:
    with with_llm(stub, lambda request: answer) as memory:
        body = {"messages": [{"role": "user", "content": "I keep bees"}], "user_id": "alice"}
        event = memory.event(memory.call("POST", "/v3/memories/add/", body)["event_id"])
        assert (event["status"], event["error"], event["results"]) == ("FAILED", error, [])
        assert len(stub[0].chats) == 3
        assert memory.texts() == []


def test_a_model_that_recovers_is_tried_again(stub: tuple[Models, str]) -> None:
    answers = iter([Response(status_code=503), '```json\n{"memories": [{"text": "Alice keeps bees"}]}\n```'])
    with with_llm(stub, lambda request: next(answers)) as memory:
        assert memory.infer(("user", "I keep bees"), user_id="alice") == ["Alice keeps bees"]


def test_several_adds_wait_for_the_model_at_one_time_and_one_per_user(stub: tuple[Models, str]) -> None:
    release = threading.Event()

    async def slow(request: Any) -> Any:
        await asyncio.to_thread(release.wait, STUCK_SECONDS)
        return {"memories": [{"text": f"Said: {request['conversation'][0]['content']}"}]}

    def asked() -> set[str]:
        return {chat["conversation"][0]["content"] for chat in stub[0].chats}

    with with_llm(stub, slow, llm_workers=2) as memory:
        events = [memory.add(f"a{n}", user_id="alice") for n in range(3)]
        events += [memory.add("b0", user_id="bob"), memory.add("c0", user_id="carol")]
        until(lambda: asked() >= {"a0", "b0"}, "two owners' adds are with the model")
        deletion = memory.call("DELETE", "/v1/memories/?user_id=alice")["event_id"]
        events.append(memory.add("a3", user_id="alice"))
        assert asked() == {"a0", "b0"}
        release.set()
        for event in (*events, deletion):
            assert memory.event(event)["status"] == "SUCCEEDED"
        order = [chat["conversation"][0]["content"] for chat in stub[0].chats]
        assert [said for said in order if said.startswith("a")] == ["a0", "a1", "a2", "a3"]
        assert memory.texts() == ["Said: a3"]
        assert memory.texts({"user_id": "bob"}) == ["Said: b0"]


def test_summaries_exports_and_profiles_are_written_by_the_model(stub: tuple[Models, str]) -> None:
    def answer(request: Any) -> Any:
        return {"home": "Oslo"} if "schema" in request else {"summary": "Lives in Oslo and likes tea."}

    with with_llm(stub, answer) as memory:
        memory.remember("Lives in Oslo", "Likes tea", "Has a cat")
        (summary,) = memory.call("POST", "/v1/summary/", {"filters": {"user_id": "alice"}})
        assert summary["summary"] == "Lives in Oslo and likes tea."
        request = {"schema": {"properties": {"home": {}}}, "filters": {"AND": [{"user_id": "alice"}]}}
        export_id = memory.call("POST", "/v1/exports/", request, 201)["id"]
        until(
            lambda: (
                memory.client.post("/v1/exports/get/", json={"memory_export_id": export_id}).json() == {"home": "Oslo"}
            ),
            "the export is made",
        )
        memory.call("POST", "/v2/profiles/settings/", {"enabled": True})
        job = {"operation": "sample", "entity_type": "user", "limit": 1}
        started = memory.call("POST", "/v2/profiles/jobs/", job, 202, headers={"Idempotency-Key": "key-00000001"})
        memory.event(started["event_id"])
        assert memory.call("GET", "/v2/entities/user/alice/profile/")["profile"] == {"home": "Oslo"}
        stub[0].answer = lambda request: Response(status_code=500)
        assert memory.call("POST", "/v1/summary/", {"filters": {"user_id": "alice"}}, 502) == {
            "error": "The summary could not be made: the language model answered 500"
        }


def test_meaning_finds_what_words_do_not(stub: tuple[Models, str]) -> None:
    with with_embedder(stub) as memory:
        memory.remember("Miso is my cat", "I drive to work", "We eat out on Fridays", user_id="alice")
        memory.remember("The neighbour has a cat", user_id="bob")
        _embedded(memory, 4)
        hits = memory.search("animal", threshold=0.5)
        assert [hit["memory"] for hit in hits] == ["Miso is my cat"]
        breakdown = hits[0]["score_breakdown"]
        assert breakdown["bm25"] == 0.0
        assert breakdown["semantic"] == pytest.approx(
            sum(a * b for a, b in zip(embed("animal"), embed("cat"), strict=True)), abs=1e-5
        )
        assert hits[0]["score"] == pytest.approx(0.7 * breakdown["semantic"], abs=1e-5)
        both = memory.search("cat", threshold=0.5)[0]
        assert both["score"] > hits[0]["score"]
        assert memory.search("cat", keyword_search=True)[0]["score_breakdown"]["semantic"] is None


def test_an_empty_answer_says_which_kind_of_search_found_nothing(stub: tuple[Models, str], memory: Bench) -> None:
    asked = {"query": "animal", "filters": {"user_id": "alice"}, "threshold": 0.9}
    memory.remember("Miso is my cat")
    answer = memory.call("POST", "/v3/memories/search/", asked)
    assert answer["searched_by"] == "words"
    assert "because this memory has no embedder" in answer["message"]
    with with_embedder(stub) as by_meaning:
        by_meaning.remember("Miso is my cat")
        _embedded(by_meaning, 1)
        assert by_meaning.call("POST", "/v3/memories/search/", asked) == {
            "results": [],
            "searched_by": "meaning and words",
            "message": "No memory reached the threshold, by meaning or by words. A lower threshold finds more.",
        }
        assert "message" not in by_meaning.call("POST", "/v3/memories/search/", {**asked, "threshold": 0.1})


def test_a_wide_search_finds_by_codes_what_reading_every_vector_finds(
    stub: tuple[Models, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random vectors of 128 dimensions, some of them deleted and changed, in a scope that no index narrows."""
    numpy = embeddings.require_numpy()
    drawn = numpy.random.default_rng(7)
    vectors = drawn.normal(size=(3_000, 128)).astype(numpy.float32)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    with bench(embedder=ModelEndpoint(stub[1], "wide")) as memory:
        memory.engine.stop()
        core = memory.engine.core
        for start in range(0, len(vectors), 500):
            memory.remember(*(f"memory {number}" for number in range(start, start + 500)), app_id="all")

        def fill(connection: sqlite3.Connection) -> None:
            for row in connection.execute("SELECT row, memory FROM memories").fetchall():
                embeddings.keep(connection, "wide", row["row"], row["memory"], vectors[row["row"] - 1])
            connection.execute("DELETE FROM memories WHERE row % 10 = 3")

        core.database.write(fill)
        kept = numpy.arange(1, len(vectors) + 1) % 10 != 3
        tree = filters.parse({"AND": [{"app_id": "all"}, {"NOT": [{"text": {"contains": "memory 77"}}]}]})
        for narrow in (True, False):
            for asked in vectors[[0, 2, 999]]:
                near = asked + 0.05 * drawn.normal(size=128).astype(numpy.float32)
                near /= numpy.linalg.norm(near)
                exact = (vectors @ near) * kept
                with core.database.read() as connection:
                    found = embeddings.nearest(
                        core, connection, near, filters.to_sql(tree), narrow=narrow, limit=10, always={5}
                    )
                rows = sorted(found, key=lambda row: -found[row][1])
                assert rows[0] == int(numpy.argmax(exact)) + 1
                assert len(found) in (10, 11)
                assert 5 in found
                assert all(found[row][1] == pytest.approx(max(0.0, exact[row - 1]), abs=2e-3) for row in found)
        texts = [{"text": f"memory {number}"} for number in (8, 2990, 2992)]  # the last one is deleted
        few = filters.parse({"AND": [{"app_id": "all"}, {"OR": texts}]})
        with core.database.read() as connection:
            found = embeddings.nearest(
                core, connection, -vectors[7], filters.to_sql(few), narrow=False, limit=300, always=set()
            )
        assert set(found) == {9, 2991}


def test_a_deleted_memory_leaves_no_code_behind(stub: tuple[Models, str]) -> None:
    with with_embedder(stub) as memory:
        first, _ = memory.remember("Miso is my cat", "I drive to work")
        _embedded(memory, 2)
        with memory.engine.core.database.read() as connection:
            (before,) = connection.execute("SELECT codes FROM vector_codes").fetchone()
        memory.call("DELETE", f"/v1/memories/{first}/")
        with memory.engine.core.database.read() as connection:
            codes, kind = connection.execute("SELECT codes, typeof(codes) FROM vector_codes").fetchone()
        assert kind == "blob"
        assert codes == before[:8] + bytes(8) + before[16:]
        assert before[8:16] != bytes(8) != before[16:24]


def test_a_changed_text_gets_a_new_vector(stub: tuple[Models, str]) -> None:
    with with_embedder(stub) as memory:
        (memory_id,) = memory.remember("Miso is my cat")
        _embedded(memory, 1)
        memory.call("PUT", f"/v1/memories/{memory_id}/", {"text": "I drive to work"})
        _embedded(memory, 1)
        until(lambda: memory.search("vehicle", threshold=0.5), "the new vector is found")
        assert memory.search("animal", threshold=0.5) == []


def test_while_the_embedder_is_down_words_are_searched_and_semantic_is_null(
    stub: tuple[Models, str], caplog: pytest.LogCaptureFixture
) -> None:
    with with_embedder(stub) as memory:
        memory.remember("Miso is my cat")
        _embedded(memory, 1)
        stub[0].embeds = False
        (hit,) = memory.search("cat")
        assert hit["score_breakdown"]["semantic"] is None
        answer = memory.call("POST", "/v3/memories/search/", {"query": "animal", "filters": {"user_id": "alice"}})
        assert answer == {
            "results": [],
            "searched_by": "words",
            "message": "No memory reached the threshold. The search compared words, their forms and synonyms only, "
            "because the embedder is down or was not asked. Other words, or a lower threshold, find more.",
        }
        assert "searching by words only: the embedder answered 503" in caplog.text
        assert KEY not in caplog.text


def test_vectors_of_the_wrong_length_are_not_kept(stub: tuple[Models, str], caplog: pytest.LogCaptureFixture) -> None:
    url = stub[1]
    stub[0].embeds = True
    with bench(embedder=ModelEndpoint(url, "stub", dimensions=4)) as memory:
        memory.remember("Miso is my cat")
        memory.engine.core.work.give()
        until(lambda: "vectors wait: the embedder answered vectors of shape (3,), not 4" in caplog.text, "the log")
        assert memory.search("cat")[0]["score_breakdown"]["semantic"] is None


def test_an_embedder_without_numpy_is_refused_at_start(
    stub: tuple[Models, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(SettingsError) as refused, with_embedder(stub):
        pass
    assert str(refused.value) == (
        "An embedder is configured (POSTERN_MEMORY_EMBEDDER_*), and comparing vectors needs numpy: "
        "install numpy, or unset the embedder to search by words"
    )


def test_without_an_embedder_numpy_is_not_imported(file: Path) -> None:
    import subprocess

    program = (
        "import sys; from functions.memory_engine.app import create_app\n"
        "from functions.memory_engine.settings import EngineSettings\n"
        "app = create_app(EngineSettings()); app.state.engine.start(); app.state.engine.close()\n"
        "print('numpy' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "False"
