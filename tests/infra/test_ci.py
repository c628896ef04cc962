"""The GitHub Action, used as somebody else would, on an embedded endpoint."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from functions.gateway.json_text import Json
from infra.ci.ephemeral_server import CiError, Endpoint, endpoint_from, main, mint, revoke
from tests.infra import minting
from tests.infra.minting import DEAD, ping, servers, variables
from tests.infra.template import ROOT

ACTION = ROOT / "infra" / "ci" / "action.yml"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with minting.endpoint(tmp_path_factory.mktemp("state")) as started:
        yield started


# The GitHub Action, step by step as a runner would.


@dataclass
class Runner:
    """As much of a GitHub runner as action.yml uses: inputs, outputs, conditions, environment, bash."""

    folder: Path
    inputs: Mapping[str, str]
    log: str = ""
    failed: bool = False
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self) -> None:
        action = yaml.safe_load(ACTION.read_text())
        defaults = {name: str(entry["default"]) for name, entry in action["inputs"].items() if "default" in entry}
        required = {name for name, entry in action["inputs"].items() if entry.get("required")}
        assert required <= set(self.inputs) <= set(action["inputs"])
        self.inputs = {**defaults, **self.inputs}
        for step in action["runs"]["steps"]:
            if self._wanted(step.get("if", "success()")):
                self._step(step)

    def _wanted(self, condition: str) -> bool:
        if condition == "success()":
            return not self.failed
        assert condition == "always() && steps.mint.outputs.server-id != ''"
        return bool(self.outputs.get("mint", {}).get("server-id"))

    def _step(self, step: Json) -> None:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an expression in a script is a script of whoever wrote the value"
        output = self.folder / f"{step['id']}.output"
        output.touch()
        own = {name: self._expand(value) for name, value in step["env"].items()}
        shell = {"PATH": os.environ["PATH"], "GITHUB_OUTPUT": str(output), "GITHUB_ACTION_PATH": str(ACTION.parent)}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env={**shell, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        self.log += done.stdout
        self.failed = self.failed or done.returncode != 0
        self.outputs[step["id"]] = dict(line.split("=", 1) for line in output.read_text().splitlines())

    def _expand(self, value: str) -> str:
        def look_up(match: re.Match[str]) -> str:
            scope, *path = match[1].split(".")
            if scope == "inputs":
                return self.inputs[path[0]]
            if scope == "github":
                return {"repository": "somebody/agent", "run_id": "4711"}[path[0]]
            return self.outputs.get(path[0], {}).get(path[2], "")

        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", look_up, value)

    @property
    def shown(self) -> str:
        """The log as GitHub shows it: without the commands, and with masked values as stars."""
        masks = re.findall(r"^::add-mask::(.+)$", self.log, re.M)
        text = re.sub(r"^::add-mask::.*\n", "", self.log, flags=re.M)
        for mask in sorted(masks, key=len, reverse=True):
            text = text.replace(mask, "***")
        return text


PING = """python3 - <<'END'
import json, os, urllib.request
data = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
headers = {"content-type": "application/json"}
request = urllib.request.Request(os.environ["POSTERN_MCP_URL"], data, headers)
tools = json.load(urllib.request.urlopen(request))["result"]["tools"]
print(len(tools), "tools at", os.environ["POSTERN_MCP_URL"])
END"""


def action(deployed: Endpoint, folder: Path, **inputs: str) -> Runner:
    common = {"endpoint": deployed.base_url, "api-token": deployed.api_token, "account": deployed.account_id}
    runner = Runner(folder, {**common, **{name.replace("_", "-"): value for name, value in inputs.items()}})
    runner.run()
    return runner


def test_the_action_mints_runs_and_revokes_and_shows_no_url(endpoint: Endpoint, tmp_path: Path) -> None:
    before = servers(endpoint)
    runner = action(endpoint, tmp_path, run=PING, methods="read", tags="memories", pins='{"user_id": "usr_ci"}')
    assert not runner.failed, runner.log
    url = runner.outputs["mint"]["url"]
    assert re.search(r"^\d+ tools at \*\*\*$", runner.shown, re.M)
    assert url not in runner.shown
    assert url.rpartition("/")[2] not in runner.shown
    assert f"MCP server {runner.outputs['mint']['server-id']} is revoked" in runner.shown
    assert ping(url) == DEAD
    assert servers(endpoint) == before


def test_the_action_revokes_also_when_the_commands_fail(endpoint: Endpoint, tmp_path: Path) -> None:
    runner = action(endpoint, tmp_path, run="false; true")
    assert runner.failed
    assert "is revoked" in runner.shown
    assert ping(runner.outputs["mint"]["url"]) == DEAD


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"methods": "reed"}, "::error title=Postern::the management API answers 400: "),
        ({"pins": "usr_1"}, '::error title=Postern::pins is not a JSON object; write e.g. {"user_id": "usr_1"}'),
        ({"expires_in": "soon"}, "::error title=Postern::expires-in is not a number of seconds; valid: 1 to 86400"),
        ({"api_token": "pst_" + "x" * 43}, "::error title=Postern::the management API answers 401: "),
        ({"account": "acc_other"}, "::error title=Postern::the management API answers 404: "),
        (
            {"endpoint": "http://127.0.0.1:9"},
            "::error title=Postern::the management API at http://127.0.0.1:9 cannot be",
        ),
    ],
    ids=["method", "pins", "life", "token", "account", "endpoint"],
)
def test_the_action_stops_before_the_commands_when_it_cannot_mint(
    endpoint: Endpoint, tmp_path: Path, inputs: dict[str, str], said: str
) -> None:
    runner = action(endpoint, tmp_path, run="echo the commands ran", **inputs)
    assert runner.failed
    assert said in runner.shown
    assert "the commands ran" not in runner.shown


def test_revoking_twice_is_fine_and_a_refusal_is_not(endpoint: Endpoint) -> None:
    server = mint(endpoint, expires_in=60)
    revoke(endpoint, server.id)
    revoke(endpoint, server.id)
    with pytest.raises(CiError, match="answers 401"):
        revoke(Endpoint(endpoint.base_url, "pst_" + "x" * 43, endpoint.account_id), server.id)
    assert all(secret not in repr(server) + repr(endpoint) for secret in (server.token, endpoint.api_token))


@pytest.mark.parametrize("arguments", [[], ["make"], ["mint", "now"]])
def test_another_command_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, {}) == 1
    assert capsys.readouterr().out == "::error title=Postern::usage: ephemeral_server.py mint | revoke\n"


def test_an_api_token_goes_over_https_or_stays_on_this_machine() -> None:
    rest = {"POSTERN_API_TOKEN": "pst_x", "POSTERN_ACCOUNT": "acc_1"}
    for address in ("https://postern.example/", "http://127.0.0.1:8765", "http://localhost:1"):
        assert endpoint_from({"POSTERN_ENDPOINT": address, **rest}).base_url == address.rstrip("/")
    for address in ("http://postern.example", "http://localhost.example.com", "ftp://127.0.0.1"):
        with pytest.raises(CiError, match="must start with https://"):
            endpoint_from({"POSTERN_ENDPOINT": address, **rest})


@pytest.mark.parametrize("name", ["POSTERN_ENDPOINT", "POSTERN_API_TOKEN", "POSTERN_ACCOUNT"])
def test_a_missing_variable_is_named_with_all_that_are_needed(endpoint: Endpoint, name: str) -> None:
    with pytest.raises(CiError, match=f"^{name} not set; all of POSTERN_ENDPOINT, POSTERN_API_TOKEN, POSTERN_ACCOUNT"):
        endpoint_from({**variables(endpoint), name: ""})
