"""Tests that run with one fault in the code, each time in a fork of a process that has loaded everything.

A fault in the body of a function is put into the function after the tests are collected, which takes hundredths of a
second. Other faults, and those that no test noticed, are tried with the code and its tests imported afresh. A trial
runs the tests that reached the changed lines, those first that noticed most faults of the function, and stops at the
first that fails.

Property tests draw the same examples each time. A fault may make a loop endless: the CPU time of a test is limited, and
so are the memory and the time on the clock of a trial. A fault that reaches a limit counts as noticed.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import hypothesis
import pytest

from tests.mutants import faults
from tests.mutants.faults import Fault

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".cache" / "mutants"

OPTIONS = (
    *("-q", "-x", "--capture=no", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:pytest_cov"),
    *("-o", "addopts=--import-mode=importlib"),  # not --strict-config: a plugin that is left out has settings
    *("-W", "ignore::pytest.PytestConfigWarning"),
)

TIMES = 5
"""A test with a fault may take this many times the CPU time that it takes without."""

SECONDS = 2.0
"""CPU time that is granted in addition; a shared machine makes a short test slower."""

MEMORY = 4 << 30
"""Bytes of memory that a trial may have: a loop without an end may collect something."""

IMPORTING = 30.0
"""CPU time for importing the code and its tests."""

WAITING = 300
"""Seconds on the clock after which a trial that only waits is ended."""

BROKEN = "the trial could not be made: "
THE_LIMIT = "the limit"

EVERY = 100
"""A line on stderr says how far the trials are whenever so many more are over."""

OURS = ("functions", "tool_catalog", "tests", "infra", "conftest", "__main__")
"""Modules that are imported afresh."""


@dataclass
class Baseline:
    """What the tests do without a fault: CPU seconds of each, and the tests that reach each line of each file; and the
    modules that they load. `noticed` counts the faults that each test noticed, by function, and of all under ""."""

    seconds: dict[str, float]
    reached: dict[str, dict[int, list[str]]]
    modules: list[str]
    noticed: dict[str, Counter[str]] = field(default_factory=dict)

    def note(self, fault: Fault, noticed_by: str) -> None:
        for function in ("", fault.function):
            self.noticed.setdefault(function, Counter())[noticed_by] += 1

    def tests(self, fault: Fault, among: Sequence[str] = ("",)) -> list[str]:
        """The tests, of those that begin in a certain way, that can notice a fault: those that reach it, and all where
        an import runs it."""
        lines = self.reached.get(fault.path, {})
        found = {test for line in fault.lines for test in lines.get(line, ())} if fault.function else self.seconds
        chosen = [test for test in found or self.seconds if test.startswith(tuple(among))]
        here, anywhere = (self.noticed.get(function, Counter[str]()) for function in (fault.function, ""))
        return sorted(chosen, key=lambda test: (-here[test], -anywhere[test], self.seconds[test]))


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: the test that noticed it, "" where none did; and the CPU time of the trial."""

    noticed_by: str
    seconds: float


class Trials:
    """Forks that run side by side, at most `jobs` at a time."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._over = 0
        self._running: dict[int, tuple[Fault, Path]] = {}

    def run(
        self, chosen: Iterable[Fault], attempt: Callable[[Fault], str], ended: Callable[[Fault, Outcome], None]
    ) -> None:
        """Try each fault. `attempt` runs in a fork and returns what noticed the fault."""
        for fault in chosen:
            while len(self._running) >= self.jobs:
                ended(*self._next())
            kept = KEPT / f"{os.getpid()}-{fault.place}.txt"
            child = os.fork()
            if child == 0:
                try:
                    kept.write_text(attempt(fault), "utf-8")
                except BaseException:  # of a trial, not of a test: pytest keeps those
                    kept.write_text(f"{BROKEN}{traceback.format_exc()}", "utf-8")
                os._exit(0)
            self._running[child] = fault, kept
        while self._running:
            ended(*self._next())

    def _next(self) -> tuple[Fault, Outcome]:
        child, status, usage = os.wait3(0)
        fault, kept = self._running.pop(child)
        seconds = usage.ru_utime + usage.ru_stime
        self._over += 1
        if self._over % EVERY == 0:
            print(f"{self._over} faults tried", file=sys.stderr, flush=True)
        if os.WIFSIGNALED(status):
            return fault, Outcome(THE_LIMIT, seconds)
        noticed_by = kept.read_text("utf-8")
        kept.unlink()
        if noticed_by.startswith(BROKEN):
            raise RuntimeError(f"{fault.path} in {fault.where}: {fault.name}: {noticed_by}")
        return fault, Outcome(noticed_by, seconds)


class _Plugin:
    """Property tests draw the same examples each time and do not look for simpler ones. `failed` is the first test that
    fails. `seconds` are those of each test without a fault, where they are known: a test that takes far longer ends the
    process."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self.failed = ""
        self.seconds = seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        hypothesis.settings.register_profile(
            "mutants",
            deadline=None,
            derandomize=True,
            database=None,
            phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.settings.load_profile("mutants")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> object:
        if item.nodeid in self.seconds:
            _limit(TIMES * self.seconds[item.nodeid] + SECONDS)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


class _Collected(_Plugin):
    """Measures the collected tests, and tries faults on them, in place of running them."""

    def __init__(self, files: Sequence[str], chosen: Sequence[Fault], jobs: int, kept: Path) -> None:
        super().__init__({})
        self.files, self.chosen, self.jobs, self.kept = files, chosen, jobs, kept
        self.items: dict[str, pytest.Item] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        gc.freeze()  # what is there already is not looked at in the forks
        baseline = self._baseline()
        self.seconds = baseline.seconds
        outcomes: dict[int, Outcome] = {}
        place = {fault: index for index, fault in enumerate(self.chosen)}

        def attempt(fault: Fault) -> str:
            tests = baseline.tests(fault)
            _be_quiet()
            _put(fault)
            return self._first_failed(tests)

        def ended(fault: Fault, outcome: Outcome) -> None:
            outcomes[place[fault]] = outcome
            baseline.note(fault, outcome.noticed_by)

        Trials(self.jobs).run(self.chosen, attempt, ended)
        found = [[outcomes[index].noticed_by, outcomes[index].seconds] for index in range(len(self.chosen))]
        self.kept.write_text(
            json.dumps([baseline.seconds, baseline.reached, baseline.modules, baseline.noticed, found]), "utf-8"
        )
        return True

    def _first_failed(self, tests: Sequence[str]) -> str:
        items = [self.items[test] for test in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return self.failed
        return ""

    def _baseline(self) -> Baseline:
        """Measured in a fork, so that nothing is left in a cache."""
        kept = self.kept.with_suffix(".baseline")
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                kept.write_text(json.dumps(self._measured()), "utf-8")
            os._exit(0)
        os.waitpid(child, 0)
        failed, seconds, reached, modules = json.loads(kept.read_text("utf-8"))
        kept.unlink()
        if failed:
            raise RuntimeError(f"this test fails without a fault: {failed}")
        by_line = {path: {int(line): tests for line, tests in lines.items()} for path, lines in reached.items()}
        return Baseline(seconds, by_line, modules)

    def _measured(self) -> tuple[str, dict[str, float], dict[str, dict[int, list[str]]], list[str]]:
        measure = coverage.Coverage(
            data_file=None, config_file=False, include=[str(ROOT / path) for path in self.files]
        )
        measure.start()
        seconds: dict[str, float] = {}
        items = list(self.items.values())
        for item, following in zip(items, [*items[1:], None], strict=True):
            measure.switch_context(item.nodeid)
            before = _cpu_seconds()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds[item.nodeid] = _cpu_seconds() - before
        measure.stop()
        data = measure.get_data()
        reached = {path: data.contexts_by_lineno(str(ROOT / path)) for path in self.files}
        return self.failed, seconds, reached, _loaded()


def collected(
    files: Sequence[str], tests: Sequence[str], chosen: Sequence[Fault], jobs: int
) -> tuple[Baseline, list[Outcome]]:
    """What the tests do without a fault, and what became of each fault in the body of a function."""
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / f"{os.getpid()}.json"
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            pytest.main([*OPTIONS, *tests], plugins=[_Collected(files, chosen, jobs, kept)])
        os._exit(0)
    os.waitpid(child, 0)
    seconds, reached, modules, noticed, outcomes = json.loads(kept.read_text("utf-8"))
    kept.unlink()
    by_line = {path: {int(line): tests for line, tests in lines.items()} for path, lines in reached.items()}
    counted = {function: Counter[str](tests) for function, tests in noticed.items()}
    return Baseline(seconds, by_line, modules, counted), [Outcome(*outcome) for outcome in outcomes]


class _Chosen(_Plugin):
    """Runs some tests in their order. A fault may change the names of tests: where none of them is there, all run."""

    def __init__(self, chosen: Sequence[str], seconds: Mapping[str, float]) -> None:
        super().__init__(seconds)
        self.order = {test: place for place, test in enumerate(chosen)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = [item for item in items if item.nodeid in self.order]
        if found:
            items[:] = sorted(found, key=lambda item: self.order[item.nodeid])


def afresh(baseline: Baseline, among: Sequence[str], chosen: Sequence[Fault], jobs: int) -> dict[Fault, Outcome]:
    """What becomes of faults when the code is imported with them, on the tests of certain files."""
    for name in baseline.modules:
        with suppress(ImportError):
            importlib.import_module(name)
    outcomes: dict[Fault, Outcome] = {}

    def attempt(fault: Fault) -> str:
        tests = baseline.tests(fault, among)
        if not tests:
            return ""
        _be_quiet()
        _limit(IMPORTING)
        sys.meta_path.insert(0, _Finder(fault))
        plugin = _Chosen(tests, baseline.seconds)
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        code = pytest.main([*OPTIONS, *files], plugins=[plugin])
        return plugin.failed or ("an import" if code else "")

    def ended(fault: Fault, outcome: Outcome) -> None:
        outcomes[fault] = outcome
        baseline.note(fault, outcome.noticed_by)

    Trials(jobs).run(chosen, attempt, ended)
    return outcomes


class _Faulty(SourceFileLoader):
    """Loads a module whose code has a fault in it."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self.code = code

    def get_code(self, fullname: str) -> CodeType:
        return self.code


class _Finder:
    """Finds the one module that has the fault."""

    def __init__(self, fault: Fault) -> None:
        path = ROOT / fault.path
        self.module = _module(fault)
        folder = [str(path.parent)] if path.stem == "__init__" else None
        loader = _Faulty(self.module, str(path), _code(fault))
        self.spec = importlib.util.spec_from_file_location(
            self.module, path, loader=loader, submodule_search_locations=folder
        )

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return self.spec if name == self.module else None


def _module(fault: Fault) -> str:
    return ".".join(Path(fault.path).with_suffix("").parts).removesuffix(".__init__")


def _code(fault: Fault) -> CodeType:
    path = ROOT / fault.path
    return faults.planted(fault, path.read_text("utf-8"), path)


def _put(fault: Fault) -> None:
    """Give the function its code with the fault in it. Whatever cannot be done so counts as not noticed."""
    found: Any = importlib.import_module(_module(fault))
    code: Any = _code(fault)
    for name in fault.function.split("."):
        found = vars(found)[name]
        code = next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name)
    found = found.fget if isinstance(found, property) else found
    found = getattr(found, "__wrapped__", found)
    assert isinstance(found, FunctionType)
    if found.__code__.co_freevars == code.co_freevars:
        found.__code__ = code


def _loaded() -> list[str]:
    """The modules of others that are loaded."""
    modules = sys.modules.items()
    return [name for name, module in modules if name.partition(".")[0] not in OURS and hasattr(module, "__file__")]


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _limit(seconds: float) -> None:
    """End this process when it has used so much CPU time from now on."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _be_quiet() -> None:
    """Print nowhere, end when this process only waits, and take no more memory than a trial may have."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.alarm(WAITING)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
