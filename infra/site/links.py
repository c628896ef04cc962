"""Links of a page into the code are text on the site, which has no code and knows no address of the repository."""

from __future__ import annotations

import re
from posixpath import dirname, join, normpath
from typing import Any

CODE = {"functions", "tool_catalog", "infra", "tests", "template.yaml", "LICENSE", ".github"}
"""The first parts of paths that the repository has and the site has not."""

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, files: Any, **_: Any) -> str:
    """Called by mkdocs for each page: a link to a file that only the repository has becomes its text."""

    def kept(link: re.Match[str]) -> str:
        path = normpath(join(dirname(page.file.src_uri), link[2]))
        code = path.split("/")[0] in {
            "functions",
            "tool_catalog",
            "infra",
            "tests",
            "template.yaml",
            "LICENSE",
            ".github",
        }
        return link[1] if code and files.get_file_from_path(path) is None else link[0]

    return LINK.sub(kept, markdown)
