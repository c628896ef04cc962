"""Mutated requests against the whole endpoint in this process. `python -m tests.fuzz.run [--minutes N] [--seed N]`

Whatever comes in, the endpoint answers: with a status it documents, with JSON or nothing, without a secret, and never
with an internal error. A request that breaks this is written to the corpus. Every later run starts from there, and the
test suite replays it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from functions.mcp_endpoint.app import Endpoint
from functions.stores.sqlite import SqliteStore
from tests.fuzz.requests import CORPUS, Request, corpus, mutated
from tests.mcp_endpoint.endpoint import Bench, exchange_async

TOKEN = "t" * 43
API_KEY = "m0-fuzz-secret-key"
STATUSES = frozenset({200, 202, 400, 403, 404, 405, 413, 415, 421})
"""What the endpoint may answer: never a 401, which would start a sign-in, and no 5xx."""


class Broken(Exception):
    """The endpoint did what it must never do."""


@contextmanager
def endpoint(folder: Path) -> Iterator[Endpoint]:
    """The whole endpoint over a store with one live server."""
    with closing(SqliteStore(folder / "store.sqlite")) as store:
        bench = Bench(store)
        bench.mint(token=TOKEN, api_key=API_KEY)
        yield bench.endpoint()


async def ask(app: Endpoint, request: Request) -> int:
    """The status of the answer. Raises Broken."""
    headers = [(name, value.replace("TOKEN", TOKEN)) for name, value in request.headers]
    try:
        answer = await exchange_async(app, "POST", f"/mcp/{TOKEN}", headers, request.body)
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    if answer.status not in STATUSES:
        raise Broken(f"status {answer.status}: {answer.body[:300]!r}")
    if answer.body:
        message = json.loads(answer.body)
        if message.get("error", {}).get("code") == -32603:
            raise Broken(f"an internal error: {answer.body[:300]!r}")
    told = TOKEN.encode() in request.body  # an error may quote what the caller wrote
    if API_KEY.encode() in answer.body or (TOKEN.encode() in answer.body and not told):
        raise Broken("a secret in the answer")
    return answer.status


async def fuzz(app: Endpoint, seed: int, more: Callable[[int], bool]) -> Counter[int]:
    """Ask while `more(number asked)`. Returns how often each status came. Raises Broken; the request is kept."""
    random = Random(seed)
    kept = corpus()
    statuses: Counter[int] = Counter()
    while more(statuses.total()):
        request = mutated(random.choice(kept), kept, random)
        try:
            statuses[await ask(app, request)] += 1
        except Broken:
            data = request.written()
            (CORPUS / f"found-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
            raise
    return statuses


def main() -> int:
    """Run for so many minutes; returns the exit code."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Mutated requests against the MCP endpoint.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else Random().randrange(2**32)
    logging.disable(logging.CRITICAL)
    ends = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory() as folder, endpoint(Path(folder)) as app:
        try:
            statuses = asyncio.run(fuzz(app, seed, lambda _: time.monotonic() < ends))
        except Broken as error:
            print(f"seed {seed}: {error}; the request is kept in {CORPUS}", file=sys.stderr)
            return 1
    shown = ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))
    print(f"seed {seed}: {statuses.total():,} requests, none broke the endpoint ({shown})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
