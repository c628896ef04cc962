"""The frozen numbers of tokens are those of a real tokenizer, and the estimates hold for the catalogues as they are.
UPDATE_GOLDEN=1 rewrites the numbers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

import pytest

from functions.gateway import discovery
from functions.gateway.json_text import Json, text
from functions.gateway.model_tokens import about, at_most
from tests.model_tokens.texts import PROSE, SAMPLES, texts
from tool_catalog.compiled_file import available, load

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
NODE = HERE.parent.parent / ".cache" / "node"


def counted(sources: list[str]) -> list[int]:
    """The true numbers, by gpt-tokenizer."""
    program = shutil.copy(HERE / "tokens.mjs", NODE / "tokens.mjs")
    node = NODE / "node_modules" / "node" / "bin" / "node"
    done = subprocess.run([node, program], input=text(sources), capture_output=True, text=True, check=True)
    numbers: list[int] = json.loads(done.stdout)
    return numbers


def test_the_frozen_numbers_are_true() -> None:
    kinds = [kind for kind, _ in texts()]
    true = dict(zip(kinds, counted([sample for _, sample in texts()]), strict=True))
    if os.environ.get("UPDATE_GOLDEN"):
        SAMPLES.write_text(json.dumps(true, indent=1) + "\n")
    assert json.loads(SAMPLES.read_text()) == true


def test_texts_made_at_random_have_at_most_the_tokens_that_are_estimated() -> None:
    rnd = Random(7)
    words = " ".join(PROSE.values()).split()
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-_ ,.:ABCDEF"
    made = [
        text({"result": [{"id": rnd.randbytes(12).hex(), "note": " ".join(rnd.choices(words, k=40))}] * 3})
        for _ in range(300)
    ] + [text({"result": ["".join(rnd.choices(alphabet, k=40)) for _ in range(8)]}) for _ in range(300)]
    for source, true in zip(made, counted(made), strict=True):
        assert true <= at_most(source), source


@pytest.mark.parametrize("integration", available())
def test_the_tokens_of_a_catalogue_are_estimated_to_within_a_tenth(integration: str) -> None:
    shown = [
        text({name: tool.listed[name] for name in ("name", "description", "inputSchema")})
        for tool in load(integration).tools.values()
    ]
    true = counted(shown)
    for source, tokens in zip(shown, true, strict=True):
        assert tokens <= at_most(source)
        assert abs(about(source) - tokens) <= tokens * 0.15
    assert abs(sum(map(about, shown)) - sum(true)) <= sum(true) * 0.05


def test_the_profiles_of_mem0_cost_a_model_what_they_may() -> None:
    """True tokens, not estimated ones."""
    mem0 = load("mem0")

    def cost(definitions: Iterable[Mapping[str, Json]]) -> list[int]:
        return counted([text({key: one[key] for key in ("name", "description", "inputSchema")}) for one in definitions])

    full = cost(tool.listed for tool in mem0.tools.values())
    assert sum(full) <= 12_000
    assert max(full) <= 900
    assert sum(cost(tool.listed for tool in mem0.tools.values() if tool.core)) <= 4_500
    assert sum(cost(discovery.listed(tuple(mem0.tools.values())))) <= 400
