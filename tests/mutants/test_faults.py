"""The kinds of faults, on a few lines of code each; and a list of accepted faults that names what is there."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.mutants import faults
from tests.mutants.__main__ import SUBJECTS, accepted, known


def names(source: str) -> list[str]:
    return [fault.name for fault in faults.of("code.py", dedent(source))]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["`a < b` -> `a <= b`"]),
        ("x = a is not None", ["`a is not None` -> `a is None`"]),
        ("x = a in b", ["`a in b` -> `a not in b`"]),
        ("x = a and b", ["`a and b` -> `a or b`", "`a and b` -> `a`", "`a and b` -> `b`"]),
        ("x = a or b or c", ["`a or b or c` -> `a and b and c`", "without `or a`", "without `or b`", "without `or c`"]),
        ("x = not a", ["`not a` -> `a`"]),
        ("x = a | b", ["`a | b` -> `a & b`", "`a | b` -> `a`", "`a | b` -> `b`"]),
        ("x = a if b else c", ["`a if b else c` -> `a`", "`a if b else c` -> `c`"]),
        ("x = 1", ["`1` -> `2`"]),
        ("x = True", ["`True` -> `False`"]),
        ("x = ''", ["'' -> 'XX'"]),
        ("x = 'a'", ["'a' -> 'XXaXX'"]),
        ("x = ('a', b)", ["without `'a'`", "without `b`"]),
        ("x = {'a': b, **c}", ["without `'a': b`", "without `**c`"]),
        ("x = all(a)", ["`all(a)` -> `any(a)`", "`all(a)` -> `a`"]),
        ("x = a.b(c, d)", ["`a.b(c, d)` -> `a`", "`a.b(c, d)` -> `a.b(c)`"]),
        ("x = f(a, b=c)", ["without `b=c`"]),
        ("x = [a for a in b if c]", ["without `if c`"]),
        ("x = (a[:b],)", ["without `a[:b]`", "`:b` -> `:`"]),
        ("f(a)", ["without `f(a)`"]),
        ("del a", ["without `del a`"]),
        ("a.b = c", ["without `a.b = c`"]),
        ("a += b", ["without `a += b`"]),
        ("raise a", ["without `raise a`"]),
        ("if a:\n    b = c", ["`if a` -> `True`", "`if a` -> `False`"]),
        ("for a in b:\n    continue", ["`for a in b` -> in nothing", "`continue` -> `break`", "without `continue`"]),
        ("try:\n    pass\nexcept A:\n    pass", ["without `except A`"]),
        (
            "match a:\n    case B() | C():\n        pass\n    case never:\n        pass",
            ["without `case B() | C()`", "without `case B()`", "without `case C()`"],
        ),
        ("@a\ndef f():\n    return b", ["`return b` -> `return None`", "without `@a`"]),
    ],
)
def test_each_kind_of_fault_has_a_name(source: str, expected: list[str]) -> None:
    assert names(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "import a",
        "assert a < b",
        "assert_never(a)",
        "Names = Mapping[str, str]",
        "if TYPE_CHECKING:\n    a = 1",
        "class A(Protocol):\n    def f(self, a: int = 1) -> None: ...",
        "def f(a: B | C) -> D | E:\n    return None",
    ],
)
def test_what_no_caller_sees_has_no_faults(source: str) -> None:
    assert names(source) == []


def test_equal_faults_of_one_function_are_numbered_and_an_edit_elsewhere_renames_none() -> None:
    before = faults.of("code.py", "def f(a):\n    return 1, 1\n")
    after = faults.of("code.py", "x = 1\n\n\ndef f(a):\n    return 1, 1\n")
    assert [fault.name for fault in before] == [
        "`return (1, 1)` -> `return None`",
        "without `1`",
        "without `1` (number 2)",
    ]
    assert [fault.key for fault in before] == [fault.key for fault in after if fault.where == "f"]


def test_a_planted_fault_is_in_the_code_and_leaves_the_rest() -> None:
    source = "def f(a):\n    if a > 1:\n        return 'more'\n    return 'less'\n"
    results = {}
    for fault in faults.of("code.py", source):
        namespace: dict[str, object] = {}
        exec(faults.planted(fault, source, Path("code.py")), namespace)  # of the lines above
        f = namespace["f"]
        assert callable(f)
        results[fault.name] = [f(0), f(1), f(2)]
    assert results == {
        "`if a > 1` -> `True`": ["more", "more", "more"],
        "`if a > 1` -> `False`": ["less", "less", "less"],
        "`a > 1` -> `a >= 1`": ["less", "more", "more"],
        "`1` -> `2`": ["less", "less", "less"],
        "`return 'more'` -> `return None`": ["less", "less", None],
        "'more' -> 'XXmoreXX'": ["less", "less", "XXmoreXX"],
        "`return 'less'` -> `return None`": [None, None, "more"],
        "'less' -> 'XXlessXX'": ["XXlessXX", "XXlessXX", "more"],
    }


def test_every_fault_can_be_planted() -> None:
    source = "def f(a):\n    return a.get('b') is not None\n"
    for fault in faults.of("code.py", source):
        faults.planted(fault, source, Path("code.py"))


def test_a_fault_is_run_by_the_body_of_its_function_or_by_an_import() -> None:
    source = "class A:\n    a = 1\n\n    @property\n    def f(self, b=2):\n        return lambda: 3\n"
    assert {fault.name: fault.function for fault in faults.of("code.py", source)} == {
        "`1` -> `2`": "",
        "without `@property`": "",
        "`2` -> `3`": "",
        "`return lambda: 3` -> `return None`": "A.f",
        "`3` -> `4`": "A.f",
    }


def test_each_accepted_fault_is_there_and_has_a_reason() -> None:
    there = {fault.key for subject in SUBJECTS.values() for fault in known(subject)}
    for key, reason in accepted().items():
        assert key in there, key
        assert reason.strip().endswith("."), key
