"""The public documents of small packages: every draft can be repaired by words, and their own examples are accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.packages import DOCUMENTS, Public
from tests.tool_catalog.openapi.self_test import examine

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if one.light], ids=lambda one: str(one.label))
def test_every_draft_compiles_with_words_and_accepts_the_examples_of_its_document(
    document: Public, tmp_path: Path
) -> None:
    found = examine(document.file, tmp_path)
    assert found.problems == []
    assert found.refused == []
    assert found.methods > 0
