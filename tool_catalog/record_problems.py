"""What is wrong with the form of a record, in the words of its author: where, what, and what is valid there."""

from __future__ import annotations

import types
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import pydantic

from functions.gateway.wording import did_you_mean, shown
from tool_catalog.catalog import Json
from tool_catalog.records import BODY_FORMAT, MEDIA_TYPE, REQUEST_LINE, SLUG, TOUCHED, URI_TEMPLATE, VERBS, Strict
from tool_catalog.yaml_source import KeyPath, Problem, Source

Record = TypeVar("Record", bound=Strict)


def validated(model: type[Record], source: Source, problems: list[Problem]) -> Record | None:
    """The record of a file. None for a file that has problems already, or gets some here."""
    if problems:
        return None
    try:
        return model.model_validate(source.data)
    except pydantic.ValidationError as error:
        seen = set()
        for detail in error.errors(include_url=False):
            problem = _explain(model, source, detail)
            if problem not in seen:
                seen.add(problem)
                problems.append(problem)
        return None


def _explain(model: type[Strict], source: Source, detail: Any) -> Problem:
    """One finding of pydantic as a problem."""
    path, found = _place(source.data, detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return source.problem(path, f'missing key "{detail["loc"][-1]}"')
    if kind == "extra_forbidden":
        keys = _keys(model, path[:-1])
        return source.problem(path, f"unknown key{did_you_mean(str(path[-1]), keys)}")
    if kind == "literal_error":
        return source.problem(path, f"{shown(found)} is not one of {context['expected'].replace(chr(39), chr(34))}")
    if kind == "string_pattern_mismatch":
        return source.problem(path, f"{shown(found)} is not {_PATTERN_WORDS.get(context['pattern'], 'valid here')}")
    if kind in _TYPE_WORDS:
        hint = "; YAML 1.2 knows only true and false" if kind == "bool_type" else ""
        return source.problem(path, f"must be {_TYPE_WORDS[kind]}, is {shown(found)}{hint}")
    if kind == "too_short":
        return source.problem(path, "must not be empty")
    return source.problem(path, f"{shown(found)}: {detail['msg'][0].lower()}{detail['msg'][1:]}")


_TYPE_WORDS = {
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "list_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}

_PATTERN_WORDS = {
    SLUG: "a lower-case name of letters, digits and single underscores, e.g. project_members",
    TOUCHED: 'the singular and the plural in lower case, e.g. "memory/memories"',
    MEDIA_TYPE: 'a media type, e.g. "application/vnd.api+json"',
    BODY_FORMAT: 'json, form or a media type, e.g. "application/merge-patch+json"',
    URI_TEMPLATE: 'a URI whose variables stand in braces, e.g. "library://books/{id}"',
    REQUEST_LINE: f'a verb ({", ".join(VERBS)}) and a path without host or query, e.g. "GET /v1/ping/"',
}


def _place(data: Json, location: tuple[str | int, ...]) -> tuple[KeyPath, Json]:
    """The path of `location` in the data, less what pydantic adds to it, and the value there."""
    path: list[str | int] = []
    for step in location:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(step)
    if location and location[-1] == "[key]":
        return tuple(path), path[-1]
    return tuple(path), data


def _keys(model: type[Strict], path: KeyPath) -> list[str]:
    """The keys that are valid in the mapping at `path` of a record."""
    annotation: Any = model
    for step in path:
        annotation = _bare(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Strict):
            annotation = annotation.model_fields[str(step)].annotation
        else:
            annotation = get_args(annotation)[-1]
    annotation = _bare(annotation)
    return sorted(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, Strict) else []


def _bare(annotation: Any) -> Any:
    """`annotation` without Annotated and without None."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation
