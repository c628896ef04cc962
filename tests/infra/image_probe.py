"""Runs inside the image, as its user: starts what the image starts, uses it, and prints what it found as one JSON line.

python image_probe.py ENTRYPOINT HEALTHCHECK      (each a JSON array of words)
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

UNWRITABLE = ("/", "/opt/postern", "/etc", "/usr/bin", "/root")


def called(url: str, tool: str, arguments: dict[str, Any]) -> Any:
    """The result of a tool call."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, json.dumps(message).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read())["result"]


def writable(folder: str) -> bool:
    """True when a file can be made there."""
    try:
        with open(f"{folder}/probe", "w"):
            return True
    except OSError:
        return False


def main(entrypoint: list[str], health_check: list[str]) -> dict[str, Any]:
    """What was found."""
    healthy_before = subprocess.run(health_check, capture_output=True, check=False).returncode
    process = subprocess.Popen(entrypoint, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C stops"):
            break
    url = re.search(r"http://\S+/mcp/\S+", "".join(lines))
    assert url is not None, lines
    facts = {"facts": ["Anna prefers window seats."], "user_id": "anna"}
    search = {"query": "window seats", "filters": {"user_id": "anna"}}
    found = {
        "uid": os.getuid(),
        "home": os.environ.get("HOME"),
        "url": url[0],
        "healthy_before": healthy_before,
        "healthy": subprocess.run(health_check, capture_output=True, check=False).returncode,
        "kept": json.dumps(called(url[0], "mem_0_memories_search", search)),
        "errors": [called(url[0], "mem_0_memories_remember", facts).get("isError", False) for _ in range(3)],
        "found": json.dumps(called(url[0], "mem_0_memories_search", search)),
        "writable": [folder for folder in UNWRITABLE if writable(folder)],
    }
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=600)
    return {**found, "exit": process.returncode, "last": rest[-500:]}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))))
