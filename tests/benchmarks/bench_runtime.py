"""The built artefact of the data plane as Lambda runs it, with TLS to its table and to its upstream.

AWS's runtime interface client runs the handler under AWS's emulator (`infra/aws-tools.sh sam runtime` installs both).
The table and the upstream are on loopback, with certificates of a local authority, whose root is added to the list of
roots in a copy of the artefact. Each round is one cold process with TLS and one without, from its spawn to its first
listing, on to its first call, and then through warm requests.
"""

from __future__ import annotations

import shutil
import ssl
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tests.aws import lambda_runtime, standins
from tests.benchmarks import preparing, synthetic, world
from tests.benchmarks.preparing import CACHE
from tests.certificates import authority

ROUNDS, REQUESTS = 7, 30

CALL = {"name": "list_all_mem_0_memories", "arguments": {"filters": {"user_id": "usr_1"}}}


def one_process(folder: Path, around: world.Addresses, minted: preparing.Minted, roots: Path) -> dict[str, float]:
    """Milliseconds of a cold process and of its warm requests."""
    events = {
        "list": synthetic.event(minted.token, "modern", "tools/list", {}),
        "call": synthetic.event(minted.token, "modern", "tools/call", CALL),
    }
    variables = {
        "POSTERN_STORE": "dynamodb",
        "POSTERN_TABLE": preparing.TABLE,
        "POSTERN_PRIVATE_UPSTREAMS": "true",
        "AWS_ENDPOINT_URL_DYNAMODB": around.table,
        "SSL_CERT_FILE": str(roots),
    }
    figures: dict[str, float] = {}
    started = time.perf_counter()
    with lambda_runtime.running(folder, "functions.mcp_endpoint.handler.handler", 30, **variables) as function:
        for name, event in events.items():
            before = time.perf_counter()
            synthetic.check(function.invoke(event)["body"], f"tools/{name}")
            ended = time.perf_counter()
            figures[f"start to first {name}"] = (ended - started) * 1000
            figures[f"first {name} alone"] = (ended - before) * 1000
        for name, event in events.items():
            taken = []
            for _ in range(REQUESTS):
                before = time.perf_counter()
                function.invoke(event)
                taken.append((time.perf_counter() - before) * 1000)
            figures[f"warm {name}"] = statistics.median(taken)
    return figures


def run() -> None:
    """Measure and print."""
    for program, needed in (("runtime/bin/python", "runtime"), ("sam/lib", "sam")):
        if not (standins.TOOLS / program).exists():
            print(f"the runtime was not measured: {program} is not installed; run infra/aws-tools.sh {needed}")
            return
    if preparing.artefact() is None:
        sys.exit("the artefact cannot be built for this machine")
    with (
        authority() as (root, leaf, key),
        world.running() as plain,
        world.running(str(leaf), str(key)) as secure,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name) / "function"
        shutil.copytree(CACHE / "artefact", folder)
        with (folder / "certifi" / "cacert.pem").open("ab") as roots:
            roots.write(root.read_bytes())
        trusting = ssl.create_default_context(cafile=str(root))
        ways = {}
        for way, around, tls in (("TLS", secure, trusting), ("no TLS", plain, None)):
            minted = preparing.mint("mem0", around.upstream)
            preparing.put(around.table, minted, tls)
            ways[way] = (around, minted)
        samples: dict[tuple[str, str], list[float]] = defaultdict(list)
        for number in range(ROUNDS + 1):
            for way, (around, minted) in ways.items():
                for figure, value in one_process(folder, around, minted, root).items():
                    if number:  # the first one fills the page cache
                        samples[figure, way].append(value)
    print(f"the artefact under the emulator, ms, medians and best of {ROUNDS} processes:")
    for figure in dict.fromkeys(figure for figure, _ in samples):
        cells = [
            f"{way} {statistics.median(samples[figure, way]):.1f} (best {min(samples[figure, way]):.1f})"
            for way in ways
        ]
        print(f"{figure}: {', '.join(cells)}")
