"""What a model reads of a source's prose: plain sentences, and none that sends it where it cannot go."""

from __future__ import annotations

import pytest

from tool_catalog.openapi.texts import plain, unmarked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lists <b>all</b> items &amp; `more`.", "Lists all items & more."),
        (
            "In *cents*, or _none_; snake_case_stays and so does a*b*c.",
            "In cents, or none; snake_case_stays and so does a*b*c.",
        ),
        ("Reads it. See our [docs](https://docs.example.com).", "Reads it."),
        ("Reads it. For a full list, please refer to the product documentation.", "Reads it."),
        ("Learn more. Reads it.", "Reads it."),
        ("Reads it. See Using trial periods on subscriptions to learn more.", "Reads it."),
        ("Reads it. More details can be found here.", "Reads it."),
        ("Reads it. For more information, see [paging](#paging).", "Reads it."),
        ("An error code (see the errors section for a list of codes).", "An error code."),
        ("See our docs", ""),
        # What a model can use stays.
        (
            "Reads it. See the /v2/options endpoint to find all versions.",
            "Reads it. See the /v2/options endpoint to find all versions.",
        ),
        ("Reads it. For paging, see the cursor parameter.", "Reads it. For paging, see the cursor parameter."),
        ("To see everything, leave it out.", "To see everything, leave it out."),
        ("Who can see the page.", "Who can see the page."),
        ("Check the status of a page.", "Check the status of a page."),
        (None, ""),
    ],
)
def test_a_text_keeps_what_a_model_can_use(text: object, expected: str) -> None:
    assert plain(text) == expected


def test_the_summary_of_an_operation_is_kept_whole() -> None:
    assert unmarked("Learn **more** here") == "Learn more here"
