"""One contender in a process of its own.

    worker.py MODULE SAME_WORK MODE SETUP

=====  ==================================================================
cold   its first listing and first call, and what they cost since the start
obey   the same, then commands from standard input, one JSON line each
count  the same, then warm requests, between marks that valgrind sees
serve  its ASGI application under uvicorn, one worker
=====  ==================================================================

Answers go to the file descriptor that standard output was; standard output itself takes the log lines.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import threading
import time
from typing import Any


def main() -> None:
    """Carry the mode out."""
    module, same_work, mode, setup = sys.argv[1], sys.argv[2] == "True", sys.argv[3], json.loads(sys.argv[4])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(setup["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 1)
    built = importlib.import_module(f"tests.benchmarks.contenders.{module}").build(setup, same_work)
    if mode == "serve":
        serve(built.app, answers)
        return
    events = json.loads(setup["events"])
    report: dict[str, Any] = {}
    for method in ("list", "call"):
        event = events[f"{setup['era']} {method}"]
        answer = built.handle(event, None)
        if mode == "count":
            mark()
        report |= used(method)
        report[method] = verified(answer, method)  # after the reading: it looks through all of the answer
    tell(answers, report)
    if mode == "cold":
        os._exit(0)
    if mode == "count":
        count(built.handle, events, setup["era"])
        return
    for line in sys.stdin:
        name, times = json.loads(line)
        tell(answers, warm(built.handle, events[name], name.split()[1], times))


def used(method: str) -> dict[str, float]:
    """What the process has taken until now: wall clock reading, CPU seconds, highest resident memory in MB, modules."""
    with open("/proc/self/status", encoding="ascii") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return {
        f"{method}_at": time.monotonic(),
        f"{method}_cpu": time.process_time(),
        "rss": peak / 1024,
        f"{method}_modules": len(sys.modules),
    }


def verified(answer: dict[str, Any], method: str) -> int:
    """Bytes of the answer. Raises AssertionError for one that is not a result."""
    body: str = answer["body"]
    assert answer["statusCode"] == 200, answer
    assert ('"tools"' if method == "list" else "Prefers tea") in body, body[:500]
    assert '"isError":true' not in body, body[:500]
    return len(body)


def warm(handle: Any, event: dict[str, Any], method: str, times: int) -> dict[str, Any]:
    """Milliseconds of each of `times` requests one after the other, and CPU milliseconds of one on average."""
    taken = []
    cpu = time.process_time()
    for _ in range(times):
        before = time.perf_counter()
        answer = handle(event, None)
        taken.append((time.perf_counter() - before) * 1000)
    cpu = (time.process_time() - cpu) * 1000 / times
    verified(answer, method)
    return {"ms": taken, "cpu_ms": cpu}


COUNTED = 20
"""Requests between two marks, after as many that do not count."""


def count(handle: Any, events: dict[str, Any], era: str) -> None:
    """Warm listings, then warm calls; `getloadavg` sets valgrind's counter to zero."""
    gc.disable()  # when a collection comes is chance
    mark()  # `getloadavg` sets the counter of its own thread to zero, and a mark that of all of them
    for method in ("list", "call"):
        warm(handle, events[f"{era} {method}"], method, COUNTED)
        os.getloadavg()
        for _ in range(COUNTED):
            handle(events[f"{era} {method}"], None)
        mark()


def mark() -> None:
    """valgrind writes out what it counted since the mark before, and begins anew at zero."""
    for thread in threading.enumerate():
        if thread.name == "postern-tls":  # what a start leaves to a thread is part of the start, whenever it runs
            thread.join()
    os.getpriority(os.PRIO_PROCESS, 0)


def serve(app: Any, answers: Any) -> None:
    """Until standard input ends."""
    import socket

    import uvicorn

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    tell(answers, {"port": listener.getsockname()[1]})
    server.run(sockets=[listener])


def tell(answers: Any, report: dict[str, Any]) -> None:
    """One line to the parent."""
    answers.write(json.dumps(report) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
