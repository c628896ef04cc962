"""The pages of the project name files, folders and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("functions/", "tool_catalog/", "infra/", "tests/", "docs/", "template.yaml")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")


PAGES = ["README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md"]
PAGES += [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    dead = [link for link in LINK.findall(text) if not ((ROOT / page).parent / link).exists()]
    assert not dead, f"{page} links to {dead}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_every_path_on_a_page_is_there(page: str) -> None:
    named = [
        code for code in CODE.findall((ROOT / page).read_text("utf-8")) if code.startswith(TOPS) and "<" not in code
    ]
    assert named
    missing = [path for path in named if not list(ROOT.glob(path.split("::")[0].rstrip("/")))]
    assert not missing, f"{page} names {missing}"


def _threats() -> list[tuple[str, str, str]]:
    rows = [
        line.strip("|").split(" | ")
        for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines()
        if line.startswith("| **")
    ]
    return [(row[0].strip(" *"), row[2], row[3]) for row in rows]


@pytest.mark.parametrize(("threat", "files", "tests"), _threats(), ids=[threat for threat, _, _ in _threats()])
def test_every_threat_has_a_file_that_answers_it_and_a_test_that_proves_it(threat: str, files: str, tests: str) -> None:
    answers, proofs = CODE.findall(files), CODE.findall(tests)
    assert answers
    assert proofs
    for path in answers:
        assert (ROOT / "functions" / path).exists(), path
    for proof in proofs:
        path, _, name = proof.partition("::")
        source = (ROOT / "tests" / path).read_text("utf-8")
        assert not name or f"def {name}(" in source, proof


def test_the_site_has_every_page() -> None:
    """`make docs` fails on a page that the navigation lacks; this says it without building the site."""
    listed = set(
        re.findall(r"^ +- (?:\w+: )?(\S+\.md)$", (ROOT / "infra/site/mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    )
    assert listed == set(PAGES)
