"""The account that a local endpoint connects at its first start."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions import local
from functions.gateway.settings import Settings
from functions.local.first_server import MAX_NAME_CHARS, account_name


@pytest.mark.parametrize("folder", ["a" * 70 + " " * 20 + "b", "a\tb\nc", "é ü 漢字 \u202e", "-" * 80])
def test_an_endpoint_starts_in_any_folder(folder: str, tmp_path: Path) -> None:
    for _ in range(2):
        with local.start(Settings(state_dir=str(tmp_path / folder)), {}) as ready:
            assert ready.mcp_url


def test_the_name_of_the_account_ends_with_no_space_wherever_the_path_is_cut() -> None:
    for length in range(MAX_NAME_CHARS + 2):
        name = account_name(f"the embedded memory in {'a' * length} b\x00/memory.sqlite")
        assert name == name.strip()
        assert name.isprintable()
        assert len(name) <= MAX_NAME_CHARS
