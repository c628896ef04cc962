"""The refusal of a call's arguments: what is wrong with them, and the arguments that work where they are known.

Only a call that is refused imports this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from functions.gateway import arguments, corrected, forced, offered_texts, pins, selection, wording
from functions.gateway.errors import OutsidePins, WrongArguments
from functions.gateway.grants import Target
from functions.gateway.json_text import Json
from functions.gateway.prepared import PreparedTool
from tool_catalog.catalog import Catalog


def unfit(
    catalog: Catalog, prepared: PreparedTool, target: Target, given: Mapping[str, Json], problems: Sequence[str]
) -> WrongArguments:
    """Arguments in which the input schema finds these problems."""
    # Pinned ids are put in later, so on a pinned server the record's rules would report false problems here.
    wrong = refused(catalog, prepared, target, given, problems)
    if wrong.corrected is not None or target.config.pins:
        return wrong
    # What the record's rules say of arguments that are no call yet helps only where nothing is corrected.
    rules = arguments.check_record_rules(prepared, given)
    return refused(catalog, prepared, target, given, [*rules, *problems])


def refused(
    catalog: Catalog, prepared: PreparedTool, target: Target, given: Mapping[str, Json], problems: Sequence[str]
) -> WrongArguments:
    """The problems, with the corrected arguments where they can be computed."""

    def is_refused(changed: Mapping[str, Json]) -> bool:
        try:
            pinned = forced.pinned(prepared.tool, target.config, changed)
            return bool(arguments.check_record_rules(prepared, pinned))
        except OutsidePins:
            return True

    hidden = selection.hidden(catalog, target.config)
    said = [text for text in (offered_texts.without(problem, hidden) for problem in problems) if text] or problems
    correction = corrected.arguments(prepared, given, is_refused)
    if correction is not None:
        # The correction shows the form and the names, so the fault alone is left to say.
        said = [wording.fault(problem) for problem in said]
    return WrongArguments(said, correction)


def outside(prepared: PreparedTool, target: Target, given: Mapping[str, Json], refusal: OutsidePins) -> OutsidePins:
    """The refusal with the call that works: without the ids that the server fills in. A call that destroys something
    was meant for other objects, so none is suggested for it."""
    if prepared.tool.destructive:
        return refusal
    without = pins.without(prepared.tool, target.config.pins, given)
    try:
        forced.pinned(prepared.tool, target.config, without)
    except OutsidePins:
        return refusal
    return OutsidePins(refusal.message, corrected=corrected.checked(prepared, without))


def foreign_cursor(prepared: PreparedTool, given: Mapping[str, Json]) -> WrongArguments:
    """A cursor that another tool or server issued."""
    without = {name: value for name, value in given.items() if name != "next_cursor"}
    return WrongArguments(
        [
            '"next_cursor" was not issued by this tool; pass back the next_cursor of the previous answer '
            "unchanged, or leave it out to start from the first page"
        ],
        corrected.checked(prepared, without),
    )


def unusable_fields(prepared: PreparedTool, given: Mapping[str, Json], problems: Sequence[str]) -> WrongArguments:
    """An expression in `fields` that has these problems."""
    example = {**given, "fields": prepared.tool.result.fields}
    return WrongArguments(problems, corrected.checked(prepared, example))
