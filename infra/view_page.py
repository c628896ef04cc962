"""The page that hosts show results with: one self-contained file, made of the sources in `view/` and parts of the
console.

    python -m infra.view_page    writes functions/mcp_endpoint/view.html

It needs no Node. Modules become functions in one script, in the order of their imports, so only what stands in that
script runs: the page's policy names it by its digest, and names nothing of the network.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSOLE = ROOT / "functions" / "admin_api" / "console"
ENTRY = CONSOLE / "view" / "main.js"
STYLES = (CONSOLE / "static" / "console.css", CONSOLE / "view" / "view.css")
PAGE = ROOT / "functions" / "mcp_endpoint" / "view.html"

VENDORED = "vendor"
"""Folder of the sources of others, which keep every word."""

POLICY = (
    "default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""What the page may do. A host puts its own policy on top, and sets styles of its own."""

_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*[^\n]*\*/)\n", re.MULTILINE)
"""A line that is a comment. The page travels to each host, and its sources keep theirs."""

_IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function (\w+)|const (\w+)|class (\w+))", re.MULTILINE)
_EXPORTED_TOGETHER = re.compile(r"export\{([^}]*)\};?\s*$")


class NotBundled(ValueError):
    """A source has a form of import or export that this file does not know, or a text that would end the script."""


def page() -> str:
    """The page, with the place of the view in it."""
    script = "\n" + bundled(ENTRY) + "\n"
    style = "\n" + "\n".join(_COMMENT.sub("", path.read_text("utf-8")) for path in STYLES)
    if "</" in style or "</script" in script.lower() or "<!--" in script:
        raise NotBundled("a source holds a tag that would end its element")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = (CONSOLE / "view" / "page.html").read_text("utf-8")
    for place, content in (("POLICY", POLICY.format(digest=digest)), ("STYLE", style), ("SCRIPT", script)):
        if template.count(place) != 1:
            raise NotBundled(f"page.html must hold {place} once")
        before, after = template.split(place)
        template = f"{before}{content}{after}" if place == "SCRIPT" else before + content + after
    return template


def bundled(entry: Path) -> str:
    """One script of a module and of all that it imports."""
    order: list[Path] = []
    _visit(entry, order, ())
    names = {path: f"module{number}" for number, path in enumerate(order)}
    return "\n".join(_wrapped(path, names) for path in order)


def _visit(path: Path, order: list[Path], above: tuple[Path, ...]) -> None:
    if path in above:
        raise NotBundled(f"{path.name} imports itself through {above[-1].name}")
    for _, place in _IMPORT.findall(path.read_text("utf-8")):
        imported = (path.parent / place).resolve()
        if imported not in order:
            _visit(imported, order, (*above, path))
    order.append(path)


def _wrapped(path: Path, names: dict[Path, str]) -> str:
    """The module as a function that returns what it exports."""
    source = path.read_text("utf-8") if path.parent.name == VENDORED else _uncommented(path)

    def taken(found: re.Match[str]) -> str:
        members = ", ".join(one.strip().replace(" as ", ": ") for one in found[1].split(",") if one.strip())
        return f"const {{ {members} }} = {names[(path.parent / found[2]).resolve()]};\n"

    source = _IMPORT.sub(taken, source)
    together = _EXPORTED_TOGETHER.search(source)
    if together:
        pairs = (one.strip().split(" as ") for one in together[1].split(","))
        exported = [f"{pair[-1]}: {pair[0]}" for pair in pairs]
        source = source[: together.start()]
    else:
        exported = ["".join(found) for found in _EXPORT.findall(source)]
        source = _EXPORT.sub("", source)
    if re.search(r"^\s*(import|export)\b", source, re.MULTILINE):
        raise NotBundled(f"{path.name} has an import or export of another form")
    return f"const {names[path]} = (() => {{\n{source}\nreturn {{ {', '.join(exported)} }};\n}})();"


def _uncommented(path: Path) -> str:
    """A module of ours without its comments. A line inside a text in backticks is no comment."""
    text = path.read_text("utf-8")
    for found in _COMMENT.finditer(text):
        if text.count("`", 0, found.start()) % 2:
            raise NotBundled(f"{path.name} has a line in backticks that begins as a comment does")
    return _COMMENT.sub("", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
