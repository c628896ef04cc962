"""What can be wrong in a line of code: small changes of a syntax tree, each of which a test should notice.

A fault has a name that outlives an edit elsewhere in its file: the function, and the code before and after. Left alone
is what changes nothing that runs or nothing that a caller sees: annotations, docstrings, assertions for the type
checker, protocols, and the declarations of types.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType
from typing import Any

Change = tuple[str, ast.AST]
"""The code after a change, and the node that stands in place of the old one."""

Put = Callable[[ast.AST], object]
"""Puts a node in the place of another one."""

OTHER_COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}

OTHER_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}

OTHER_NAME = {"all": "any", "any": "all", "min": "max", "max": "min"}

UNDOABLE = ast.Delete | ast.Raise | ast.AugAssign
"""Statements of which each has an effect, and that can be left out."""


@dataclass(frozen=True)
class Fault:
    """A change of one file. `where` is a function or class; `name` says which change of it; `lines` are those whose
    execution can show the change; `place` counts the file's faults. `function` is the outermost function whose body has
    the change, "" where an import runs the code."""

    path: str
    where: str
    name: str
    lines: range
    place: int
    function: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.path, self.where, self.name


@dataclass(frozen=True)
class _Found:
    where: str
    name: str
    lines: range
    plant: Callable[[], object]
    function: str = ""


def of(path: str, source: str) -> list[Fault]:
    """The faults of a file, in the order of its lines."""
    found, seen = [], Counter[tuple[str, str]]()
    for place, each in enumerate(_search(ast.parse(source))):
        seen[each.where, each.name] += 1
        number = seen[each.where, each.name]
        name = each.name if number == 1 else f"{each.name} (number {number})"
        found.append(Fault(path, each.where, name, each.lines, place, each.function))
    return found


def planted(fault: Fault, source: str, file: Path) -> CodeType:
    """The code of a file with one fault in it."""
    tree = ast.parse(source)
    next(each for place, each in enumerate(_search(tree)) if place == fault.place).plant()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # e.g. `"a" is None`, which is what the fault is
        return compile(ast.fix_missing_locations(tree), str(file), "exec")


def _search(tree: ast.Module) -> Iterator[_Found]:
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.name[:1].islower()
    }
    yield from _Search(modules).body(tree.body, "module")


def _always(node: ast.AST) -> bool:
    return True


def _is_no_dataclass(node: ast.AST) -> bool:
    return not _text(node).startswith("dataclass(")


def _is_no_constant(node: ast.AST) -> bool:
    return not isinstance(node, ast.Constant)


class _Search:
    """Walks a syntax tree. `imported` are the names of modules and functions, whose attributes are not their parts."""

    def __init__(self, imported: set[str]) -> None:
        self.imported = imported

    def body(self, statements: list[ast.stmt], where: str) -> Iterator[_Found]:
        for index, statement in enumerate(statements):
            if _says_nothing(statement) or (where == "module" and _declares_a_type(statement)):
                continue

            def put(other: ast.AST, index: int = index) -> None:
                assert isinstance(other, ast.stmt)
                statements[index] = other

            yield from self.statement(statement, put, where)

    def statement(self, node: ast.stmt, put: Put, where: str) -> Iterator[_Found]:
        inner = where
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if isinstance(node, ast.ClassDef) and any(_text(base) == "Protocol" for base in node.bases):
                return
            inner = node.name if where == "module" else f"{where}.{node.name}"
        for name, other in self.of_statement(node):
            yield _Found(inner, name, _lines(node), lambda other=other: put(other))  # type: ignore[misc]
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "type_params"):
                continue
            if field == "body" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from (replace(each, function=inner) for each in self.body(value, inner))
            elif field in ("body", "orelse", "finalbody") and isinstance(value, list):
                yield from self.body(value, inner)
            elif field == "handlers":
                yield from self.handlers(value, inner)
            elif field == "cases":
                yield from self.cases(value, inner)
            elif field == "decorator_list":
                yield from self.dropped(value, inner, _lines(node), "@")
                # `dataclass` of ours refuses any other values than those it is given.
                yield from self.inside(node, field, value, inner, None, changed=_is_no_dataclass)
            elif isinstance(node, ast.Expr):
                yield from self.parts(node.value, inner, None)
            else:
                yield from self.inside(node, field, value, inner, None)

    def of_statement(self, node: ast.stmt) -> Iterator[Change]:
        """The changes of a whole statement."""
        nothing = ast.Pass()
        if isinstance(node, UNDOABLE) or _has_an_effect(node):
            yield f"without `{_text(node)}`", nothing
        elif isinstance(node, ast.Return) and node.value is not None and _text(node.value) != "None":
            yield f"`{_text(node)}` -> `return None`", ast.Return(ast.Constant(None))
        elif isinstance(node, ast.Continue):
            yield "`continue` -> `break`", ast.Break()
            yield "without `continue`", nothing
        elif isinstance(node, ast.Break):
            yield "`break` -> `continue`", ast.Continue()
        elif isinstance(node, ast.For):
            none = ast.For(node.target, ast.Tuple([], ast.Load()), node.body, node.orelse)
            yield f"`for {_text(node.target)} in {_text(node.iter)}` -> in nothing", none
        elif isinstance(node, ast.If | ast.While):
            word = type(node).__name__.lower()
            for truth in (True, False):
                yield (
                    f"`{word} {_text(node.test)}` -> `{truth}`",
                    type(node)(ast.Constant(truth), node.body, node.orelse),
                )

    def handlers(self, handlers: list[ast.ExceptHandler], where: str) -> Iterator[_Found]:
        for handler in handlers:
            if handler.type is not None:
                lines = range(handler.lineno, handler.body[0].end_lineno or handler.lineno)
                none = ast.Tuple([], ast.Load())
                yield _Found(
                    where,
                    f"without `except {_text(handler.type)}`",
                    lines,
                    lambda handler=handler, none=none: setattr(handler, "type", none),  # type: ignore[misc]
                )
                yield from self.inside(handler, "type", handler.type, where, lines)
            yield from self.body(handler.body, where)

    def cases(self, cases: list[ast.match_case], where: str) -> Iterator[_Found]:
        for case in cases:
            pattern, lines = case.pattern, _lines(case.pattern)
            if len(cases) > 1 and "never" not in _text(pattern):
                yield _Found(
                    where,
                    f"without `case {_text(pattern)}`",
                    lines,
                    lambda case=case: cases.remove(case),  # type: ignore[misc]
                )
            if isinstance(pattern, ast.MatchOr):
                yield from self.dropped(pattern.patterns, where, lines, "case ")
            if case.guard is not None:
                yield from self.inside(case, "guard", case.guard, where, _lines(case.guard))
            yield from self.body(case.body, where)

    def inside(
        self,
        parent: ast.AST,
        field: str,
        value: object,
        where: str,
        lines: range | None,
        *,
        changed: Callable[[ast.AST], bool] = _always,
    ) -> Iterator[_Found]:
        """The changes of the expressions in a field, of those in a list that are to be `changed`."""
        if isinstance(value, ast.AST):
            yield from self.expression(value, lambda other: setattr(parent, field, other), where, lines)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, ast.AST) and changed(each):
                    yield from self.expression(
                        each,
                        lambda other, index=index: value.__setitem__(index, other),  # type: ignore[misc]
                        where,
                        lines,
                    )

    def expression(self, node: ast.AST, put: Put, where: str, lines: range | None) -> Iterator[_Found]:
        # Nodes in an f-string have no exact lines in Python 3.11, and the parts of a comprehension have none.
        within = _lines(node) if lines is None else lines
        for name, other in self.of_expression(node):
            yield _Found(where, name, within, lambda other=other: put(other))  # type: ignore[misc]
        yield from self.parts(node, where, lines)

    def parts(self, node: ast.AST, where: str, lines: range | None) -> Iterator[_Found]:
        """The changes of what an expression consists of."""
        within = _lines(node) if lines is None else lines
        named: tuple[str, ...] = ()  # fields in which a constant less is the same fault as another constant
        if isinstance(node, ast.List | ast.Tuple | ast.Set) and isinstance(getattr(node, "ctx", None), ast.Load | None):
            yield from self.dropped(node.elts, where, within)
            named = ("elts",)
        if isinstance(node, ast.BoolOp) and len(node.values) > 2:
            yield from self.dropped(node.values, where, within, f"{'and' if isinstance(node.op, ast.And) else 'or'} ")
        if isinstance(node, ast.Call):
            yield from self.dropped(node.keywords, where, within)
        if isinstance(node, ast.comprehension):
            yield from self.dropped(node.ifs, where, within, "if ")
        if isinstance(node, ast.Dict):
            yield from self.members(node, where, within)
            named = ("keys",)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "format_spec"):
                whole = isinstance(node, ast.JoinedStr) or field == "generators"
                changed = _is_no_constant if field in named else _always
                yield from self.inside(node, field, value, where, within if whole else lines, changed=changed)

    def of_expression(self, node: ast.AST) -> Iterator[Change]:
        """The changes of one expression as a whole."""
        match node:
            case ast.Constant(value=bool() as truth):
                yield f"`{truth}` -> `{not truth}`", ast.Constant(not truth)
            case ast.Constant(value=int() as number):
                yield f"`{number}` -> `{number + 1}`", ast.Constant(number + 1)
            case ast.Constant(value=str() as text):
                other = f"XX{text}XX" if text else "XX"
                yield f"{_short(repr(text))} -> {_short(repr(other))}", ast.Constant(other)
            case ast.Compare():
                for index, operator in enumerate(node.ops):
                    if type(operator) in OTHER_COMPARISON:
                        operators = list(node.ops)
                        operators[index] = OTHER_COMPARISON[type(operator)]()
                        yield _changed(node, ast.Compare(node.left, operators, node.comparators))
            case ast.BoolOp():
                opposite = ast.Or() if isinstance(node.op, ast.And) else ast.And()
                yield _changed(node, ast.BoolOp(opposite, node.values))
                if len(node.values) == 2:
                    for value in node.values:
                        yield _changed(node, value)
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
                yield _changed(node, node.operand)
            case ast.BinOp():
                if type(node.op) in OTHER_OPERATOR:
                    yield _changed(node, ast.BinOp(node.left, OTHER_OPERATOR[type(node.op)](), node.right))
                yield _changed(node, node.left)
                yield _changed(node, node.right)
            case ast.IfExp():
                yield _changed(node, node.body)
                yield _changed(node, node.orelse)
            case ast.Call():
                yield from self.of_call(node)
            case ast.Slice():
                for field in ("lower", "upper"):
                    if getattr(node, field) is not None:
                        less = ast.Slice(node.lower, node.upper, node.step)
                        setattr(less, field, None)
                        yield _changed(node, less)
            case _:
                pass

    def of_call(self, node: ast.Call) -> Iterator[Change]:
        function = node.func
        if isinstance(function, ast.Name) and function.id in OTHER_NAME:
            other = ast.Call(ast.Name(OTHER_NAME[function.id], ast.Load()), node.args, node.keywords)
            yield _changed(node, other)
        elif isinstance(function, ast.Attribute) and not self._is_imported(function.value):
            yield _changed(node, function.value)
        if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
            yield _changed(node, node.args[0])
        elif len(node.args) > 1:
            yield _changed(node, ast.Call(function, node.args[:-1], node.keywords))

    def _is_imported(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.imported

    def dropped(self, nodes: list[Any], where: str, lines: range, word: str = "") -> Iterator[_Found]:
        """One of several nodes less."""
        for node in nodes:
            if not _is_truth(node):
                yield _Found(
                    where,
                    f"without `{word}{_text(node)}`",
                    lines,
                    lambda node=node: nodes.remove(node),  # type: ignore[misc]
                )

    def members(self, node: ast.Dict, where: str, lines: range) -> Iterator[_Found]:
        for index, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):

            def less(index: int = index) -> None:
                del node.keys[index], node.values[index]

            written = f"{_text(key)}: {_text(value)}" if key is not None else f"**{_text(value)}"
            yield _Found(where, f"without `{_short(written)}`", lines, less)


def _is_truth(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)


def _says_nothing(statement: ast.stmt) -> bool:
    """Docstrings, imports, assertions, and what only a type checker reads."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant) or _text(statement.value).startswith("assert_never(")
    if isinstance(statement, ast.If):
        return _text(statement.test) == "TYPE_CHECKING"
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.Assert | ast.Pass)


def _has_an_effect(statement: ast.stmt) -> bool:
    """A call, or `values[name] = value`. Without `value = ...` the next line has no such name."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Call | ast.Await)
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute | ast.Subscript)


def _declares_a_type(statement: ast.stmt) -> bool:
    """`Names = Mapping[str, str]`."""
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Subscript)


def _lines(node: ast.AST) -> range:
    """The lines of a node, of a compound statement those of its head."""
    first = getattr(node, "lineno", 0)
    last = getattr(node, "end_lineno", None) or first
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    if isinstance(body, list) and isinstance(node, ast.stmt):
        last = max(first, getattr(body[0], "lineno", last + 1) - 1)
    return range(first, last + 1)


def _changed(before: ast.AST, after: ast.AST) -> Change:
    return f"`{_text(before)}` -> `{_text(after)}`", after


class _Shortened(ast.NodeTransformer):
    """f-strings as one word: how Python writes them back depends on its version."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Name("fstring", ast.Load())


def _text(node: ast.AST) -> str:
    return _short(ast.unparse(_Shortened().visit(deepcopy(node))))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 72 else f"{text[:50]} ... {text[-20:]}"
