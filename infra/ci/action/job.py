"""The GitHub Action (infra/ci/action.yml): mints a server for a job, and revokes it when the job ends.

It is started twice (start.js). The first time it mints, and runs the commands of the input `run` or leaves the URL to
later steps. The second time, after the last step of the job, it revokes what is left.

Without the input `api-token` it asks GitHub for the identity token of the job, each time for a new one: such a token
lives for minutes, and a job can take hours.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - the Python of the runner is not ours
    sys.exit("::error title=Postern::this action needs Python 3.11 or later; add actions/setup-python before it")
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: this file is started as a script

from infra.ci.ephemeral_server import CiError, Endpoint, endpoint_from, mint, revoke, wanted_from
from infra.ci.identity import identity_token

NAME_BYTES = 3
"""Random bytes in the name of a server: the jobs of a matrix share a run, and no two servers of an account a name."""


def main(environment: Mapping[str, str], random: Callable[[int], bytes]) -> int:
    """What GitHub starts; returns the exit code. `random(n)` returns n unpredictable bytes."""
    try:
        if environment.get("STATE_part") == "post":
            return _post(environment)
        return _job(environment, random)
    except CiError as error:
        print(f"::error title=Postern::{_one_line(str(error))}")
        return 1


def _job(environment: Mapping[str, str], random: Callable[[int], bytes]) -> int:
    commands = _input(environment, "run")
    _write(environment, "GITHUB_STATE", "part", "post")
    wanted = wanted_from(
        {f"POSTERN_{name.upper().replace('-', '_')}": _input(environment, name) for name in ("methods", "tags", "pins")}
        | {"POSTERN_EXPIRES_IN": _input(environment, "expires-in")}
    )
    run = f"{environment.get('GITHUB_REPOSITORY', 'a')} run {environment.get('GITHUB_RUN_ID', '')}".rstrip()
    server = mint(_endpoint(environment), name=f"{run} {random(NAME_BYTES).hex()}", **wanted)
    print(f"::add-mask::{server.token}")
    print(f"::add-mask::{server.url}")
    _write(environment, "GITHUB_STATE", "server-id", server.id)
    _write(environment, "GITHUB_OUTPUT", "server-id", server.id)
    _write(environment, "GITHUB_OUTPUT", "url", server.url)
    print(f"MCP server {server.id} with {server.tool_count} tools, until {server.expires_at}", flush=True)
    if not commands.strip():
        return 0
    try:
        return _run(commands, environment, server.url)
    finally:
        _revoke(environment, server.id)
        _write(environment, "GITHUB_STATE", "server-id", "")


def _post(environment: Mapping[str, str]) -> int:
    server_id = environment.get("STATE_server-id", "")
    if server_id:
        _revoke(environment, server_id)
    return 0


def _run(commands: str, environment: Mapping[str, str], url: str) -> int:
    """The exit code of the commands, which see the URL and nothing of the inputs."""
    seen = {name: value for name, value in environment.items() if not name.startswith(("INPUT_", "STATE_"))}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],  # noqa: S607 - the bash of the runner
        env={**seen, "POSTERN_MCP_URL": url},
        check=False,
    )
    return done.returncode


def _revoke(environment: Mapping[str, str], server_id: str) -> None:
    revoke(_endpoint(environment), server_id)
    print(f"MCP server {server_id} is revoked", flush=True)


def _endpoint(environment: Mapping[str, str]) -> Endpoint:
    """The endpoint of the inputs, with their API token or a new identity token. Raises CiError."""
    api_token, audience = _input(environment, "api-token"), _input(environment, "audience")
    if bool(api_token) == bool(audience):
        raise CiError(
            "give either audience, which `postern trust list` shows, or api-token"
            + ("; both are given" if api_token else "; neither is given, or the secret is not set for this event")
        )
    if audience:
        api_token = identity_token(environment, audience)
        print(f"::add-mask::{api_token}")
    return endpoint_from(
        {
            "POSTERN_ENDPOINT": _input(environment, "endpoint"),
            "POSTERN_ACCOUNT": _input(environment, "account"),
            "POSTERN_API_TOKEN": api_token,
        }
    )


def _input(environment: Mapping[str, str], name: str) -> str:
    return environment.get(f"INPUT_{name.upper()}", "").strip()


def _write(environment: Mapping[str, str], file: str, name: str, value: str) -> None:
    """Give a value to GitHub: an output, or what the second start finds as STATE_name. Raises CiError."""
    if file not in environment:
        raise CiError(f"{file} not set; this is a step of a GitHub Action")
    if re.search(r"[\r\n]", value):
        raise CiError(f"the endpoint returned a {name} of several lines")
    with open(environment[file], "a", encoding="utf-8") as written:
        written.write(f"{name}={value}\n")


def _one_line(text: str) -> str:
    """The text encoded for the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    sys.exit(main(os.environ, secrets.token_bytes))
