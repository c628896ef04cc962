"""Postern beside its peers and a bare floor, in one run.

**Interleaved.** A round starts or asks every contender once, in an order that rotates; a ratio is taken within each
round, and the table shows the median of the rounds' ratios and their quartiles. A machine that is busy for a while is
busy for all of a round.

**Growth** is paired in the same way: a round starts one contender with each number of tools, one right after the other,
and the ratio of many tools to few is taken within the round.

**Cold** is a fresh process, from before its spawn to its first listing and on to its first call, wall clock and CPU.
**Warm** is one request after another in a process that stays, through the Lambda handler with an API Gateway event.
**Load** is `make run`, and the peers' ASGI applications under uvicorn with one worker, under kept connections.

What stands around a contender (world.py) is the same for all: an upstream and a table on loopback, without TLS, in a
process of their own. Every contender runs on one Python, in an environment of its own with locked versions; Postern is
the modules of its artefact. "As it is" peers read no token, open no credential and write no log line; "our work" does
all of that with the floor's code (contenders/work.py). FastMCP and awslabs are measured as they are only.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.benchmarks import preparing, synthetic, world
from tests.benchmarks.contenders import CONTENDERS, FLOOR, POSTERN, Contender
from tests.benchmarks.preparing import CACHE, ROOT, NotInstalled, Prepared

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"

COUNT = 60
"""Tools of the main table: as many as the Mem0 integration has."""

MANY = 3_000
"""Tools whose figures are shown as a multiple of those with COUNT."""

WHOLE = (POSTERN, FLOOR)
"""Contenders whose growth is measured in as many rounds as quartiles want; with MANY tools a peer starts for 10 s."""

START_SECONDS = 120
"""Longest wait for one answer of a worker; FastMCP with 3,000 tools needs some ten seconds to start."""

ASGI = ("sdk_low_same", "sdk_high_same", "sdk_low", "sdk_high", "fastmcp")
"""Peers under load."""


class Size(NamedTuple):
    """How much is measured. Rounds of starts; rounds and requests of one round when warm; seconds under load.

    `growth`       the numbers of tools whose figures are compared.
    `growth_of`    the contenders whose growth is measured. `peer_starts`, `peer_rounds`: the rounds of those that are
                   not in WHOLE.
    """

    starts: int
    rounds: int
    requests: int
    growth: tuple[int, ...]
    growth_starts: int
    growth_rounds: int
    peer_starts: int
    peer_rounds: int
    growth_of: tuple[str, ...]
    connections: tuple[int, ...]
    load_rounds: int
    load_seconds: float


EVERYBODY = tuple(one.name for one in CONTENDERS)
FULL = Size(8, 15, 40, (10, COUNT, 600, MANY), 15, 30, 2, 3, EVERYBODY, (1, 32, 256), 2, 1.5)
QUICK = Size(2, 4, 20, (COUNT, MANY), 5, 8, 1, 1, WHOLE, (32,), 1, 1.0)

GROWTH_REQUESTS = 10
"""Requests to one process before the next one, with another number of tools, gets as many."""

GROWTH = {
    "start to first list": "first list",
    "CPU of it": "first list CPU",
    "start to first call": "first call",
    "CPU of it ": "first call CPU",
    "warm list": "list p50",
    "CPU of it  ": "list CPU",
    "warm call": "call p50",
    "CPU of it   ": "call CPU",
    "RSS": "RSS",
}
"""Columns of the table of growth, and the figures in them."""

Samples = dict[str, dict[str, list[float]]]
"""Contender -> figure -> one value per round."""


class Worker:
    """One contender's process."""

    def __init__(self, contender: Contender, python: Path, setup: dict[str, str], mode: str) -> None:
        self.started = time.monotonic()
        command = [str(python), "-m", "tests.benchmarks.contenders.worker", contender.module, str(contender.same_work)]
        self._process = subprocess.Popen(
            [*command, mode, json.dumps(setup)],
            cwd=CACHE,
            env=preparing.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if mode == "cold" else subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin: IO[str] = self._process.stdin
        self._stdout: IO[str] = self._process.stdout
        self.id = self._process.pid
        self.report = self._read()

    def ask(self, event: str, times: int) -> dict[str, Any]:
        """Send `times` requests, one after the other."""
        self._stdin.write(json.dumps([event, times]) + "\n")
        self._stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._stdin.close()
        self._process.wait(START_SECONDS)
        self._stdout.close()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _read(self) -> dict[str, Any]:
        line = self._stdout.readline()
        if not line:
            said = self._process.stderr.read() if self._process.stderr else ""
            raise RuntimeError(f"a worker ended: {said[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def cold(contender: Contender, python: Path, setup: dict[str, str]) -> dict[str, float]:
    """One start: milliseconds, MB and modules."""
    worker = Worker(contender, python, setup, "cold")
    worker.close()
    report = worker.report
    return {
        "first list": (report["list_at"] - worker.started) * 1000,
        "first call": (report["call_at"] - worker.started) * 1000,
        "first list CPU": report["list_cpu"] * 1000,
        "first call CPU": report["call_cpu"] * 1000,
        "RSS": report["rss"],
        "modules": report["call_modules"],
    }


def measure(
    prepared: Prepared,
    installed: Sequence[tuple[Contender, Path]],
    *,
    starts: int,
    rounds: int,
    requests: int,
) -> Samples:
    """Cold and warm figures of every contender, interleaved. The first start of each does not count: it writes bytecode
    and fills the page cache."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    setups = {contender.name: prepared.setup(contender) for contender, _ in installed}
    for number in range(starts + 1):
        for contender, python in _rotated(installed, number):
            figures = cold(contender, python, setups[contender.name])
            if number:
                for name, value in figures.items():
                    samples[contender.name][name].append(value)
    with ExitStack() as stack:
        workers = []
        for contender, python in installed:
            worker = Worker(contender, python, setups[contender.name], "obey")
            stack.callback(worker.close)
            workers.append((contender, worker))
        for number in range(rounds + 1):
            for contender, worker in _rotated(workers, number):
                for era in contender.eras:
                    for method in ("list", "call"):
                        answer = worker.ask(f"{era} {method}", requests)
                        if number == 0:
                            continue
                        taken = sorted(answer["ms"])
                        found = samples[contender.name]
                        found[f"{era} {method} p50"].append(statistics.median(taken))
                        found[f"{era} {method} p95"].append(taken[int(len(taken) * 0.95)])
                        found[f"{era} {method} CPU"].append(answer["cpu_ms"])
    return samples


def grown(
    prepared: Mapping[int, Prepared], contender: Contender, python: Path, *, starts: int, rounds: int
) -> dict[int, dict[str, list[float]]]:
    """Number of tools -> cold and warm figures of one contender, one value per round. Its bytecode was written by the
    starts before."""
    figures: dict[int, dict[str, list[float]]] = {count: defaultdict(list) for count in prepared}
    setups = {count: one.setup(contender) for count, one in prepared.items()}
    for number in range(starts):
        for count in _rotated([*setups], number):
            for name, value in cold(contender, python, setups[count]).items():
                figures[count][name].append(value)
    era = contender.eras[0]
    with ExitStack() as stack:
        workers = []
        for count, setup in setups.items():
            worker = Worker(contender, python, setup, "obey")
            stack.callback(worker.close)
            workers.append((count, worker))
        for number in range(rounds + 1):
            for method in ("list", "call"):
                for count, worker in _rotated(workers, number):
                    answer = worker.ask(f"{era} {method}", GROWTH_REQUESTS)
                    if number:
                        figures[count][f"{method} p50"].append(statistics.median(answer["ms"]))
                        figures[count][f"{method} CPU"].append(answer["cpu_ms"])
    return figures


def _rotated(entries: Sequence[Any], number: int) -> list[Any]:
    start = number % len(entries)
    return [*entries[start:], *entries[:start]]


def load(prepared: Prepared, installed: Sequence[tuple[Contender, Path]], size: Size, upstream: str) -> Samples:
    """Requests per second of `make run` and of the ASGI peers, and the CPU of a request in the process of the server;
    figures are named "32 call" and "32 list"."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        servers: list[tuple[str, int, int, str, dict[str, Any]]] = []
        for contender, python in installed:
            if contender.name == POSTERN:
                laptop = preparing.python_of("laptop")
                process, port, token = stack.enter_context(_make_run(laptop, upstream))
                call = {"name": "list_all_mem_0_memories", "arguments": {"filters": {"user_id": "usr_1"}}}
                servers.append((POSTERN, process, port, f"/mcp/{token}", call))
            elif contender.name in ASGI:
                worker = Worker(contender, python, prepared.setup(contender), "serve")
                stack.callback(worker.close)
                call = {
                    "name": synthetic.operation_name(synthetic.CALLED),
                    "arguments": {"item_id": "item-1", **synthetic.ENTRY},
                }
                path = f"/mcp/{prepared.token}" if contender.same_work else "/mcp"
                servers.append((contender.name, worker.id, worker.report["port"], path, call))
        for number in range(size.load_rounds):
            for connections in size.connections:
                for method in ("list", "call"):
                    for name, process, port, path, call in _rotated(servers, number):
                        message = synthetic.request("modern", f"tools/{method}", call if method == "call" else {})
                        words = synthetic.FOUND if method == "call" else '"tools"'
                        figure = _measured_under_load(
                            process=process,
                            port=port,
                            path=path,
                            connections=connections,
                            seconds=size.load_seconds,
                            words=words,
                            message=message,
                        )
                        for what, value in figure.items():
                            samples[name][f"{connections} {method} {what}"].append(value)
    return samples


def _measured_under_load(
    *, process: int, port: int, path: str, connections: int, seconds: float, words: str, message: Any
) -> dict[str, float]:
    """Empty where an answer was not the result that it must be; the table then says so."""
    command = [sys.executable, "-m", "tests.benchmarks.load", str(port), path, str(connections), str(seconds), words]
    before = _cpu_of(process)
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(message), capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"under {connections} connections: {done.stderr[-600:]}", file=sys.stderr)
        return {}
    figures: dict[str, float] = json.loads(done.stdout)
    if answers := figures.pop("answers"):
        figures["CPU"] = (_cpu_of(process) - before) * 1000 / answers
    return figures


def _cpu_of(process: int) -> float:
    """CPU seconds that a process has taken, the kernel's work for it included."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _make_run(python: Path, upstream: str) -> Iterator[tuple[int, int, str]]:
    """`postern serve`, its account connected to the bench's upstream; its process, port and token."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **preparing.environment(),
            "POSTERN_STATE_DIR": folder,
            "MEM0_API_KEY": "bench-key",
            "MEM0_BASE_URL": upstream,
            **preparing.NO_LIMIT,
        }
        command = [str(python), "-m", "functions.cli", "serve", "--port", "0"]
        with (Path(folder) / "output.txt").open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            state = Path(folder) / "local.json"
            give_up = time.monotonic() + START_SECONDS
            while not state.exists():
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError((Path(folder) / "output.txt").read_text()[-2000:])
                time.sleep(0.05)
            origin, _, token = json.loads(state.read_text())["mcp_url"].rpartition("/mcp/")
            yield process.pid, int(origin.rpartition(":")[2]), token
        finally:
            process.terminate()
            process.wait(30)


def run(*, quick: bool = False, write: bool = False) -> None:
    """Measure, print, and with `write` put the tables into docs/benchmarks.md."""
    size = QUICK if quick else FULL
    missing: dict[str, str] = {}
    installed: list[tuple[Contender, Path]] = []
    for contender in CONTENDERS:
        try:
            installed.append((contender, preparing.python_of(contender.environment)))
        except NotInstalled as error:
            missing[contender.name] = str(error)
    CACHE.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    report = Report(missing, size)
    with world.running() as around:
        minted = preparing.mint("bench", around.upstream)
        preparing.put(around.table, minted)
        prepared = {count: Prepared(count, around, minted) for count in sorted({COUNT, *size.growth})}
        installed = [entry for entry in installed if report.starts(entry, prepared[COUNT])]
        report.main = measure(
            prepared[COUNT], installed, starts=size.starts, rounds=size.rounds, requests=size.requests
        )
        for contender, python in installed:
            if contender.name in size.growth_of:
                whole = contender.name in WHOLE
                report.growth[contender.name] = grown(
                    {count: prepared[count] for count in size.growth},
                    contender,
                    python,
                    starts=size.growth_starts if whole else size.peer_starts,
                    rounds=size.growth_rounds if whole else size.peer_rounds,
                )
        report.load = load(prepared[COUNT], installed, size, around.upstream)
        for contender, python in installed:
            ours = sorted(prepared[COUNT].stage.rglob("*.py")) if contender.name == POSTERN else ()
            report.zip[contender.name] = preparing.zipped(contender, python, ours)
    report.artefact = None if quick else preparing.artefact()
    report.seconds = time.monotonic() - began
    text = report.text()
    print(text)
    (CACHE / "results.json").write_text(
        json.dumps({"main": report.main, "growth": report.growth, "load": report.load, "zip": report.zip})
    )
    if write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


class Report:
    """The figures, and the tables made of them."""

    def __init__(self, missing: dict[str, str], size: Size) -> None:
        self.missing = missing
        self.size = size
        self.main: Samples = {}
        self.growth: dict[str, dict[int, dict[str, list[float]]]] = {}
        self.load: Samples = {}
        self.zip: dict[str, float] = {}
        self.artefact: float | None = None
        self.seconds = 0.0

    def starts(self, entry: tuple[Contender, Path], prepared: Prepared) -> bool:
        """Whether a contender does; the reason why not is kept for the table."""
        contender, python = entry
        try:
            cold(contender, python, prepared.setup(contender))
        except RuntimeError as error:
            self.missing[contender.name] = str(error).strip().splitlines()[-1][:200]
            return False
        return True

    def text(self) -> str:
        """Ratios first."""
        return "\n\n".join(
            [self._conditions(), self._ratios(), self._figures(), self._growth(), self._load_table(), self._missing()]
        ).rstrip()

    def _conditions(self) -> str:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            processor = next(
                (line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown"
            )
        share = os.getloadavg()[0] / (os.cpu_count() or 1)
        noise = "" if share < 0.7 else " The machine was busy with other work: compare the ratios, not the figures."
        return (
            f"Measured {datetime.now(UTC):%Y-%m-%d} in {self.seconds / 60:.0f} minutes on {os.cpu_count()} cores "
            f"({processor}), Python {preparing.RUNTIME}, load average per core {share:.1f} at the end.{noise}"
        )

    def _ratios(self) -> str:
        figures = {
            "start to first list": "first list",
            "CPU of it": "first list CPU",
            "start to first call": "first call",
            "CPU of it ": "first call CPU",
            "warm list": "modern list p50",
            "warm call": "modern call p50",
            "CPU of a warm call": "modern call CPU",
            "RSS": "RSS",
        }
        lines = [
            "### Postern as a multiple of each",
            "",
            "Median of the rounds' own ratios, quartiles in brackets; under 1 Postern is faster or smaller. "
            f"{COUNT} tools.",
            "",
            f"| against | {' | '.join(figures)} |",
            f"|---|{'---|' * len(figures)}",
        ]
        for contender in CONTENDERS:
            if contender.name != POSTERN:
                cells = [self._ratio(contender, figure) for figure in figures.values()]
                lines.append(f"| {contender.title} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def _ratio(self, contender: Contender, figure: str) -> str:
        ours, theirs = self.main[POSTERN], self.main.get(contender.name)
        if theirs is None:
            return "not measured"
        if not theirs.get(figure) and figure.startswith("modern"):
            figure = figure.replace("modern", "legacy")
        if not theirs.get(figure):
            return "-"
        return self._multiple(ours[figure], theirs[figure])

    @staticmethod
    def _multiple(of: list[float], by: list[float]) -> str:
        """The median of the rounds' ratios, and their quartiles."""
        ratios = [mine / other for mine, other in zip(of, by, strict=True)]
        if len(ratios) < 3:
            return f"{statistics.median(ratios):.2f}"
        low, middle, high = statistics.quantiles(ratios, n=4)
        return f"**{middle:.2f}** ({low:.2f}-{high:.2f})"

    def _figures(self) -> str:
        lines = [
            f"### Figures, {COUNT} tools",
            "",
            "Milliseconds, medians; a start as wall / CPU, a warm request as p50 / p95. MB of peak memory and of the "
            "zip without bytecode.",
            "",
            "| contender | first list | first call | list 2026-07-28 | call 2026-07-28 | list 2025-11-25 | call "
            "2025-11-25 | RSS | modules | zip |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for contender in CONTENDERS:
            found = self.main.get(contender.name)
            if found is None:
                lines.append(f"| {contender.title} | not measured, see below |{' |' * 8}")
                continue
            cells = [
                self._pair(found, "first list", "first list CPU", "{:.0f}"),
                self._pair(found, "first call", "first call CPU", "{:.0f}"),
                *(
                    self._pair(found, f"{era} {method} p50", f"{era} {method} p95", "{:.2f}")
                    for era in ("modern", "legacy")
                    for method in ("list", "call")
                ),
                f"{statistics.median(found['RSS']):.0f}",
                f"{statistics.median(found['modules']):.0f}",
                f"{self.zip[contender.name]:.1f}",
            ]
            lines.append(f"| {contender.title} | {' | '.join(cells)} |")
        if self.artefact is not None:
            lines += ["", f"The artefact of `make build` for this machine, with bytecode: {self.artefact:.1f} MB."]
        return "\n".join(lines)

    @staticmethod
    def _pair(found: dict[str, list[float]], first: str, second: str, form: str) -> str:
        if not found.get(first):
            return "-"
        return " / ".join(form.format(statistics.median(found[name])) for name in (first, second))

    def _growth(self) -> str:
        counts = self.size.growth
        return "\n".join(
            [
                "### Growth with the number of tools",
                "",
                f"{MANY:,} tools as a multiple of {COUNT}: median of the rounds' own ratios, quartiles in brackets. A "
                "round has one right after the other.",
                "",
                *self._growth_table(
                    list(GROWTH),
                    lambda found: [
                        self._multiple(found[MANY][figure], found[COUNT][figure]) for figure in GROWTH.values()
                    ],
                ),
                "",
                "Milliseconds: start to first list / warm list / warm call, era 2026-07-28 (awslabs: 2025-11-25).",
                "",
                *self._growth_table(
                    [f"{count:,} tools" for count in counts],
                    lambda found: [
                        f"{statistics.median(found[count]['first list']):.0f} / "
                        f"{statistics.median(found[count]['list p50']):.2f} / "
                        f"{statistics.median(found[count]['call p50']):.2f}"
                        for count in counts
                    ],
                ),
            ]
        )

    def _growth_table(
        self, titles: Sequence[str], cells: Callable[[dict[int, dict[str, list[float]]]], list[str]]
    ) -> Iterator[str]:
        """A row for each contender, also for one that was not measured. `cells` are those of its samples by count."""
        yield f"| contender | {' | '.join(titles)} |"
        yield f"|---|{'---|' * len(titles)}"
        for contender in CONTENDERS:
            found = self.growth.get(contender.name)
            written = ["not measured" for _ in titles] if found is None else cells(found)
            yield f"| {contender.title} | {' | '.join(written)} |"

    def _load_table(self) -> str:
        lines = [
            "### `make run` under load",
            "",
            "Requests per second (p50 ms; CPU ms of the server's process for one), era 2026-07-28, one process each; "
            "`make run` also reads the token, checks arguments and writes the log. The load client and the upstream "
            "share the cores, and the CPU time is free of that. A cell says `refused some` where an answer was not a "
            "result: waiting calls of one account are bounded.",
            "",
        ]
        columns = [f"{connections} {method}" for connections in self.size.connections for method in ("list", "call")]
        titles = [f"{method}s, {number} connections" for number, method in (column.split() for column in columns)]
        lines += [f"| server | {' | '.join(titles)} |", f"|---|{'---|' * len(columns)}"]
        for contender in CONTENDERS:
            if contender.name != POSTERN and contender.name not in ASGI:
                continue
            found = self.load.get(contender.name)
            title = "**`make run`**" if contender.name == POSTERN else contender.title
            if found is None:
                lines.append(f"| {title} | {' | '.join('not measured' for _ in columns)} |")
                continue
            cells = [
                f"{statistics.median(found[f'{column} per_second']):,.0f} "
                f"({statistics.median(found[f'{column} p50']):.1f}; "
                f"{statistics.median(found[f'{column} CPU']):.2f})"
                if found.get(f"{column} per_second")
                else "refused some"
                for column in columns
            ]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def _missing(self) -> str:
        if not self.missing:
            return ""
        lines = [f"- {name}: {reason}" for name, reason in self.missing.items()]
        return "\n".join(["### Not measured", "", *lines])
