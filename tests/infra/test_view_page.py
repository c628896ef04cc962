"""The page that hosts show results with: made of its sources, whole in one file, without anything of the network."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from functions.mcp_endpoint import resources
from infra import view_page

SOURCES = sorted((view_page.CONSOLE / "view").glob("*.js"))

MOST_BYTES = 60_000
"""Of the page: a host reads it once for each tool, and it travels through a Lambda whose answers are a hundred times
that."""


def test_the_page_is_the_one_that_its_sources_make() -> None:
    assert view_page.PAGE.read_text("utf-8") == view_page.page(), "run: make catalog"
    assert resources.PAGE == view_page.PAGE
    assert view_page.PAGE.read_bytes().count(resources.PLACE) == 1


def test_the_page_holds_all_it_needs_and_its_policy_names_the_one_script_that_runs() -> None:
    page = view_page.page()
    assert page.startswith("<!doctype html>")
    assert len(page.encode()) <= MOST_BYTES
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    [script] = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )
    assert re.findall(r"<(?:link|img|iframe|base|script[^>]* src)\b", page) == []
    assert set(re.findall(r"https?://[^\s\"'`)]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
    }
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_of_the_page_reaches_anything_but_the_host(path: Path) -> None:
    source = path.read_text("utf-8")
    words = (
        "fetch XMLHttpRequest WebSocket EventSource sendBeacon localStorage sessionStorage cookie innerHTML eval open("
    )
    assert [word for word in words.split() if word in source.replace("setOpen(", "")] == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"main.js": 'import thing from "./a.js";\n'}, "main.js has an import or export of another form"),
        ({"main.js": "export default 1;\n"}, "main.js has an import or export of another form"),
        ({"main.js": 'import { a } from "./a.js";\n', "a.js": 'import { b } from "./main.js";\nexport const a = 1;\n'},
         "main.js imports itself through a.js"),
        ({"main.js": "const a = `\n  // a\n`;\n"}, "main.js has a line in backticks that begins as a comment does"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_into_one_script_is_refused(tmp_path: Path, files: dict[str, str], told: str) -> None:
    for name, source in files.items():
        (tmp_path / name).write_text(source)
    with pytest.raises(view_page.NotBundled, match=re.escape(told)):
        view_page.bundled(tmp_path / "main.js")


def test_a_module_becomes_a_function_that_returns_what_it_exports(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(
        "// Of a.\nexport const one = 1;\n  // On.\nexport async function two() {}\nexport class Three {}\n"
    )
    (tmp_path / "main.js").write_text('import { one, two as zwei } from "./a.js";\nzwei(one);\n')
    assert view_page.bundled(tmp_path / "main.js") == (
        "const module0 = (() => {\nconst one = 1;\nasync function two() {}\nclass Three {}\n\n"
        "return { one, two, Three };\n})();\n"
        "const module1 = (() => {\nconst { one, two: zwei } = module0;\nzwei(one);\n\nreturn {  };\n})();"
    )
