"""The GitHub Action, used as somebody else would, on an embedded endpoint."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest
import yaml

from functions.gateway.json_text import Json
from infra.ci.ephemeral_server import CiError, Endpoint, endpoint_from, mint, revoke
from infra.ci.identity import identity_token
from infra.ci.server import CallFailed, PosternServer
from tests.gateway import loopback
from tests.gateway.loopback import Told
from tests.identity_issuer import REQUEST_TOKEN, IdentityIssuer, github
from tests.infra import minting
from tests.infra.minting import DEAD, ping, servers, variables
from tests.infra.template import ROOT
from tests.patience import STUCK_SECONDS
from tests.started import measured

ACTION = ROOT / "infra" / "ci" / "action.yml"
NODE = shutil.which("node")
"""GitHub starts the action with Node.js; where there is none, the script behind it is started."""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with minting.endpoint(tmp_path_factory.mktemp("state")) as started:
        yield started


# The GitHub Action, started as a runner starts it.


@dataclass
class Runner:
    """As much of a GitHub runner as the action uses: inputs, outputs, state, and the part after the job.

    `identity`  the variables of a job with `permissions: id-token: write`.
    """

    folder: Path
    inputs: Mapping[str, str]
    identity: Mapping[str, str] = field(default_factory=dict)
    log: str = ""
    failed: bool = False

    @cached_property
    def action(self) -> Json:
        return yaml.safe_load(ACTION.read_text())

    def run(self) -> None:
        """The step of the action."""
        required = {name for name, entry in self.action["inputs"].items() if entry.get("required")}
        assert required <= set(self.inputs) <= set(self.action["inputs"])
        self._start(self.action["runs"]["main"])
        assert set(self.outputs) <= set(self.action["outputs"])

    def end(self) -> None:
        """What comes after the last step of the job, however that ended."""
        assert "post-if" not in self.action["runs"], "without a condition it runs in any case"
        self._start(self.action["runs"]["post"])

    @property
    def outputs(self) -> dict[str, str]:
        return self._written("output")

    def _written(self, file: str) -> dict[str, str]:
        path = self.folder / file
        return dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}

    def _start(self, script: str) -> None:
        defaults = {name: str(entry["default"]) for name, entry in self.action["inputs"].items() if "default" in entry}
        given = {f"INPUT_{name.upper()}": value for name, value in {**defaults, **self.inputs}.items()}
        state = {f"STATE_{name}": value for name, value in self._written("state").items()}
        files = {f"GITHUB_{name.upper()}": str(self.folder / name) for name in ("output", "state")}
        run = {"GITHUB_REPOSITORY": "octo/agent", "GITHUB_RUN_ID": "4711"}
        started = ACTION.parent / script
        assert started.is_file()
        command = [NODE, str(started)] if NODE else [sys.executable, "-I", str(started.with_name("job.py"))]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **given, **state, **files, **run, **self.identity},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=STUCK_SECONDS,
        )
        self.log += done.stdout
        self.failed = self.failed or done.returncode != 0

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
    runner.end()
    return runner


def test_the_action_mints_runs_and_revokes_and_shows_no_url(endpoint: Endpoint, tmp_path: Path) -> None:
    before = servers(endpoint)
    runner = action(endpoint, tmp_path, run=PING, methods="read", tags="memories", pins='{"user_id": "usr_ci"}')
    assert not runner.failed, runner.log
    url = runner.outputs["url"]
    assert re.search(r"^\d+ tools at \*\*\*$", runner.shown, re.M)
    assert url not in runner.shown
    assert url.rpartition("/")[2] not in runner.shown
    assert f"MCP server {runner.outputs['server-id']} is revoked" in runner.shown
    assert ping(url) == DEAD
    assert servers(endpoint) == before


def test_the_action_revokes_also_when_the_commands_fail(endpoint: Endpoint, tmp_path: Path) -> None:
    runner = action(endpoint, tmp_path, run="false; true")
    assert runner.failed
    assert "is revoked" in runner.shown
    assert ping(runner.outputs["url"]) == DEAD


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


def test_without_commands_the_url_is_for_later_steps_and_ends_with_the_job(endpoint: Endpoint, tmp_path: Path) -> None:
    common = {"endpoint": endpoint.base_url, "api-token": endpoint.api_token, "account": endpoint.account_id}
    runner = Runner(tmp_path, {**common, "methods": "read"})
    runner.run()
    url = runner.outputs["url"]
    assert ping(url) == 200
    assert url not in runner.shown
    runner.end()
    assert not runner.failed, runner.log
    assert ping(url) == DEAD
    assert runner.log.count("is revoked") == 1


def test_two_jobs_of_one_run_do_not_take_a_name_from_each_other(endpoint: Endpoint, tmp_path: Path) -> None:
    common = {"endpoint": endpoint.base_url, "api-token": endpoint.api_token, "account": endpoint.account_id}
    before = servers(endpoint)
    runners = [Runner(Path(tmp_path / name), common) for name in ("a", "b")]
    for runner in runners:
        runner.folder.mkdir()
        runner.run()
    made = servers(endpoint) - before
    assert len(made) == 2
    assert all(name.startswith("octo/agent run 4711 ") for name in made)
    for runner in runners:
        runner.end()
    assert servers(endpoint) == before


def test_what_cannot_be_revoked_fails_the_job_and_says_so(endpoint: Endpoint, tmp_path: Path) -> None:
    common = {"endpoint": endpoint.base_url, "api-token": endpoint.api_token, "account": endpoint.account_id}
    runner = Runner(tmp_path, common)
    runner.run()
    runner.inputs = {**common, "api-token": "pst_" + "x" * 43}
    runner.end()
    assert runner.failed
    assert "::error title=Postern::the management API answers 401: " in runner.log
    revoke(endpoint, runner.outputs["server-id"])


def test_the_commands_see_the_url_and_no_input(endpoint: Endpoint, tmp_path: Path) -> None:
    runner = action(endpoint, tmp_path, run="env | sort")
    assert not runner.failed, runner.log
    assert "POSTERN_MCP_URL=***" in runner.shown
    assert not re.findall(r"^(?:INPUT|STATE)_.*$", runner.shown, re.M)
    assert endpoint.api_token not in runner.log


# Without a stored secret.


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityIssuer]:
    with github(monkeypatch) as stand_in:
        yield stand_in


@pytest.fixture
def trust(endpoint: Endpoint, issuer: IdentityIssuer) -> Iterator[Json]:
    """A trust of the endpoint in the workflows of a repository."""
    with minting.trust(endpoint) as made:
        yield made


def job(deployed: Endpoint, trust: Json, issuer: IdentityIssuer, folder: Path) -> Runner:
    """A job that may ask for identity tokens, and has no API token."""
    common = {"endpoint": deployed.base_url, "account": deployed.account_id, "audience": trust["audience"]}
    limits = {"methods": "read", "pins": '{"user_id": "usr_ci"}'}
    identity = {"ACTIONS_ID_TOKEN_REQUEST_URL": issuer.request_url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN}
    return Runner(folder, {**common, **limits}, identity)


@pytest.fixture
def own_job(endpoint: Endpoint, trust: Json, issuer: IdentityIssuer, tmp_path: Path) -> Runner:
    return job(endpoint, trust, issuer, tmp_path)


def test_a_job_mints_offers_the_url_and_revokes_without_a_stored_secret(
    endpoint: Endpoint, trust: Json, issuer: IdentityIssuer, tmp_path: Path
) -> None:
    before = servers(endpoint)
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        runner = job(endpoint, trust, issuer, folder)
        runner.run()
        assert not runner.failed, runner.log
        url = runner.outputs["url"]
        assert ping(url) == 200
        runner.end()
        assert not runner.failed, runner.log
        assert ping(url) == DEAD
        masked = re.findall(r"^::add-mask::(.+)$", runner.log, re.M)
        tokens = [mask for mask in masked if mask.startswith("eyJ")]
        assert len(tokens) == 2, "a new one for each part"
        assert all(secret not in runner.shown for secret in (*masked, REQUEST_TOKEN))
    assert servers(endpoint) == before
    asked = [received.target for received in issuer.upstream.requests if received.target.startswith("/request")]
    assert len(asked) == 6
    assert issuer.reads() == 1, "one process of the endpoint reads the keys once"


def test_commands_run_without_a_stored_secret(own_job: Runner) -> None:
    own_job.inputs = {**own_job.inputs, "run": PING}
    own_job.run()
    assert not own_job.failed, own_job.log
    assert re.search(r"^\d+ tools at \*\*\*$", own_job.shown, re.M)
    assert ping(own_job.outputs["url"]) == DEAD
    own_job.end()
    assert own_job.log.count("is revoked") == 1


def test_another_repository_hears_what_the_trust_allows(own_job: Runner, trust: Json, issuer: IdentityIssuer) -> None:
    issuer.run["repository"] = "mallory/agent"
    own_job.run()
    assert own_job.failed
    assert (
        f"::error title=Postern::the management API answers 403: trust {trust['id']} does not admit this identity: the "
        'token has repository "mallory/agent", and this trust allows "octo/agent"'
    ) in own_job.shown
    own_job.end()
    assert "is revoked" not in own_job.log


@pytest.mark.parametrize(
    ("identity", "inputs", "said"),
    [
        ({}, {}, "GitHub gives this job no identity token; add `permissions: id-token: write` to the job."),
        ({"TOKEN": "another"}, {}, "GitHub answers 401 to the request for an identity token; run the job again"),
        ({"URL": "http://127.0.0.1:9/x"}, {}, "GitHub did not give this job an identity token (URLError)"),
        (
            None,
            {"api-token": "pst_x"},
            "give either audience, which `postern trust list` shows, or api-token; both are",
        ),
        (None, {"audience": ""}, "or api-token; neither is given, or the secret is not set for this event"),
        (None, {"audience": "https://other.example"}, "no trust has the audience"),
        (None, {"expires-in": "9000"}, "may not mint this server: expires_at must be a time until"),
        (None, {"pins": "{}"}, "config.pins must hold user_id=usr_ci"),
    ],
    ids=["no permission", "refused", "unreachable", "both", "neither", "audience", "too long", "no pins"],
)
def test_a_job_that_cannot_prove_itself_says_what_to_change(
    own_job: Runner, identity: dict[str, str] | None, inputs: dict[str, str], said: str
) -> None:
    own_job.inputs = {**own_job.inputs, **inputs, "run": "echo the commands ran"}
    if identity is not None:
        changed = {f"ACTIONS_ID_TOKEN_REQUEST_{name}": value for name, value in identity.items()}
        own_job.identity = {**own_job.identity, **changed} if identity else {}
    own_job.run()
    own_job.end()
    assert own_job.failed
    assert said in own_job.shown
    assert "the commands ran" not in own_job.shown
    assert "a secret of GitHub's" not in own_job.log


def test_another_ci_system_mints_with_the_command_line(
    endpoint: Endpoint, trust: Json, issuer: IdentityIssuer, tmp_path: Path
) -> None:
    """As docs/github-actions.md says for GitLab: the identity token stands in place of an API token."""
    token = issuer.token(trust["audience"])
    where = ["--endpoint", endpoint.base_url, "--api-token", token, "--account", endpoint.account_id]
    words = ["server", "create", *where, "--methods", "read", "--pin", "user_id=usr_ci", "--expires-in", "10m", "-q"]
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-m", "functions.cli", *words],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), **measured()},
            capture_output=True,
            text=True,
            check=False,
            timeout=STUCK_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        assert ping(done.stdout.strip()) == 200


@pytest.mark.skipif(NODE is None, reason="needs Node.js")
def test_a_runner_without_python_says_so(tmp_path: Path) -> None:
    assert NODE is not None
    start = ACTION.parent / "action" / "start.js"
    done = subprocess.run(
        [NODE, str(start)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=STUCK_SECONDS,
    )
    assert done.returncode == 1
    assert "::error title=Postern::this action needs python3 on the runner" in done.stdout


def test_revoking_twice_is_fine_and_a_refusal_is_not(endpoint: Endpoint) -> None:
    server = mint(endpoint, expires_in=60)
    revoke(endpoint, server.id)
    revoke(endpoint, server.id)
    with pytest.raises(CiError, match="answers 401"):
        revoke(Endpoint(endpoint.base_url, "pst_" + "x" * 43, endpoint.account_id), server.id)
    assert all(secret not in repr(server) + repr(endpoint) for secret in (server.token, endpoint.api_token))


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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_carries_a_secret_to_another_address(status: int) -> None:
    """A login page in front of the management API, and an address that has moved."""
    with loopback.upstream() as elsewhere, loopback.upstream() as named:
        named.script = lambda _: loopback.answer(status, {}, ("location", f"{elsewhere.origin}/login"))
        api = Endpoint(named.origin, "pst_" + "x" * 43, "acc_1")
        server = PosternServer(f"{named.origin}/mcp/token", "srv_1", "", 1)
        identity = {"ACTIONS_ID_TOKEN_REQUEST_URL": named.origin, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}
        for _ in range(3):
            with pytest.raises(CiError, match=f"answers {status}, a redirect, which is not followed; POSTERN"):
                mint(api)
            with pytest.raises(CiError, match="a redirect"):
                revoke(api, "srv_1")
            with pytest.raises(CiError, match=f"GitHub answers {status}"):
                identity_token(identity, "a")
            with pytest.raises(CallFailed, match="the answer is not one of JSON-RPC"):
                server.list_tools()
        assert elsewhere.requests == []


@pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"])
def test_an_answer_that_is_not_http_is_one_line(raw: bytes) -> None:
    with loopback.upstream() as other:
        other.script = lambda _: Told(raw, "close")
        with pytest.raises(CiError, match="cannot be used: the answer is not valid HTTP"):
            mint(Endpoint(other.origin, "pst_x", "acc_1"))
        with pytest.raises(CallFailed, match="the endpoint cannot be reached: the answer is not valid HTTP"):
            PosternServer(f"{other.origin}/mcp/token", "srv_1", "", 1).list_tools()
