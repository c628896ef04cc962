"""Progress on standard error: nothing for short work, a bar on a terminal, a line per tenth elsewhere."""

from __future__ import annotations

from io import StringIO

from tool_catalog.openapi.progress import Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: StringIO, seconds: float) -> str:
    """What work of 40 steps writes that takes `seconds`."""
    now = iter(range(1000))
    progress = Progress(stream, lambda: next(now) * seconds / 40)
    for done in range(40):
        progress.step("drafting", done, 40)
    progress.end()
    return stream.getvalue()


def test_short_work_says_nothing() -> None:
    assert shown(StringIO(), 1.9) == ""
    assert shown(Terminal(), 1.9) == ""


def test_long_work_writes_a_line_per_tenth_where_nobody_watches() -> None:
    assert shown(StringIO(), 4).splitlines() == [f"drafting {done}/40" for done in (19, 20, 24, 28, 32, 36)]


def test_long_work_draws_a_bar_on_a_terminal_and_takes_it_away() -> None:
    text = shown(Terminal(), 80)
    assert "\rdrafting [##############----------------] 19/40" in text
    assert "\n" not in text
    assert text.endswith(f"\r{' ' * len('drafting [##############----------------] 19/40')}\r")
