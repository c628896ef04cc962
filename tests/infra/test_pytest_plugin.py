"""The pytest plugin, built and installed as somebody else would, on endpoints of this machine."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from infra.ci.ephemeral_server import Endpoint
from infra.ci.reports import parts, redacted
from tests.identity_issuer import REQUEST_TOKEN, github
from tests.infra import minting, wheels
from tests.infra.minting import DEAD, ping, servers, variables
from tests.infra.wheels import ROOT
from tests.patience import STUCK_SECONDS

pytestmark = pytest.mark.packages

EXAMPLE = Path(__file__).parent / "example_project"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with minting.endpoint(tmp_path_factory.mktemp("state")) as started:
        yield started


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.build(ROOT / "infra" / "ci", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the plugin, what it requires, and nothing else."""
    return wheels.installed(tmp_path_factory.mktemp("alone") / "venv", wheel) / "python"


@pytest.fixture(scope="module")
def with_workers(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of one that holds pytest-xdist, too."""
    folder = tmp_path_factory.mktemp("with workers") / "venv"
    return wheels.installed(folder, wheel, also=("pytest-xdist",)) / "python"


@pytest.fixture(scope="module")
def beside_everything(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder with the plugin that the environment of these tests is given."""
    folder = tmp_path_factory.mktemp("plugin")
    wheels.pip("install", "--quiet", "--no-index", "--no-deps", "--target", str(folder), str(wheel))
    return str(folder)


def pytest_in(project: Path, python: Path | str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest over the project, with nothing in its environment but what is given."""
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(project), "SEEN_URLS": str(project.parent / "seen.txt")}
    return subprocess.run(
        [str(python), "-m", "pytest", "-p", "no:cacheprovider", *options, str(project)],
        cwd=project,
        env={**plain, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=STUCK_SECONDS,
    )


def seen(project: Path) -> list[str]:
    """The URLs that the tests of a project have written down."""
    return (project.parent / "seen.txt").read_text().split()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example project somewhere else."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__")))


def write(project: Path, source: str, options: Sequence[str] = ()) -> None:
    """Another test file in the project's place, and options of its configuration."""
    (project / "test_agent.py").write_text(PREAMBLE + textwrap.dedent(source))
    (project / "pytest.ini").write_text("\n".join(["[pytest]", "addopts = --strict-markers", *options]) + "\n")


PREAMBLE = """\
import os, urllib.request
import pytest
from pytest_postern import PosternServer

def note(url):
    with open(os.environ["SEEN_URLS"], "a") as seen:
        seen.write(url + "\\n")
"""


def test_the_wheel_is_small_typed_and_requires_pytest_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = {name.split("/")[1] for name in names if name.startswith("pytest_postern/")}
    ours = ("__init__", "embedded", "ephemeral_server", "identity", "plugin", "reports", "server")
    assert modules == {*(f"{name}.py" for name in ours), "py.typed"}
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"pytest_postern"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    stated = wheels.stated(wheel)
    assert stated.get_all("Requires-Dist") == ["pytest>=8"]
    assert stated["Requires-Python"] == ">=3.11"
    assert "postern_session_server" in str(stated.get_payload())
    assert wheel.stat().st_size < 30_000


def test_a_build_leaves_nothing_in_the_repository(wheel: Path) -> None:  # the fixture has built it
    names = {path.name for path in (ROOT / "infra" / "ci").iterdir()}
    assert not {name for name in names if name == "build" or name.endswith(".egg-info")}


def test_the_plugin_works_alone_and_leaves_no_server(alone: Path, project: Path, endpoint: Endpoint) -> None:
    before = servers(endpoint)
    write(
        project,
        """
        import importlib.util

        @pytest.mark.postern(methods=["read"], tags=["memories"], pins={"user_id": "usr_1"}, expires_in=60)
        def test_tools(postern_server: PosternServer, postern_url: str):
            assert postern_url == postern_server.url
            names = {tool["name"] for tool in postern_server.list_tools()}
            assert len(names) == postern_server.tool_count
            assert "mem_0_memories_search" in names and "create_a_mem_0_memory" not in names
            assert not postern_server.call_tool("mem_0_memories_search", {"query": "tea"})["isError"]
            with pytest.raises(Exception, match="tools/call of server srv_"):
                postern_server.call_tool("create_a_mem_0_memory", {})
            note(postern_url)

        def test_nothing_else_is_there():
            assert [n for n in ("httpx", "mcp", "postern", "functions") if importlib.util.find_spec(n)] == []

        def test_a_session(postern_session_server, postern_session_url, postern_server):
            assert postern_session_server.url == postern_session_url != postern_server.url
            note(postern_session_url)

        def test_the_session_goes_on(postern_session_url):
            note(postern_session_url)
        """,
    )
    done = pytest_in(project, alone, "-W", "error", **variables(endpoint))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    of_test, of_session, again = seen(project)
    assert of_session == again != of_test
    assert [ping(of_test), ping(of_session)] == [DEAD, DEAD]
    assert servers(endpoint) == before


def test_the_example_of_its_page_passes(alone: Path, project: Path, endpoint: Endpoint) -> None:
    page = (ROOT / "infra" / "ci" / "README.md").read_text("utf-8")
    write(project, page.partition("```python\n")[2].partition("```")[0])
    done = pytest_in(project, alone, **variables(endpoint))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_file_says_is_what_a_variable_and_a_marker_change(
    alone: Path, project: Path, endpoint: Endpoint
) -> None:
    write(
        project,
        """
        def names(server):
            return {tool["name"] for tool in server.list_tools()}

        def test_the_file_and_the_variable(postern_session_server):
            assert "mem_0_memories_search" in names(postern_session_server)
            assert "create_a_mem_0_memory" not in names(postern_session_server)

        @pytest.mark.postern(methods=["write"])
        def test_the_marker(postern_server):
            assert "create_a_mem_0_memory" in names(postern_server)
            [create] = [one for one in postern_server.list_tools() if one["name"] == "create_a_mem_0_memory"]
            assert "user_id" not in create["inputSchema"]["properties"]
        """,
        [
            f"postern_endpoint = {endpoint.base_url}",
            f"postern_account = {endpoint.account_id}",
            "postern_methods = custom",
            'postern_pins = {"user_id": "usr_1"}',
            "postern_expires_in = 60",
        ],
    )
    done = pytest_in(project, alone, POSTERN_API_TOKEN=endpoint.api_token, POSTERN_METHODS="read")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_job_of_github_needs_no_api_token(
    with_workers: Path, project: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        project,
        """
        def test_it(postern_session_url, postern_url):
            note(postern_session_url)
            note(postern_url)

        def test_that_fails(postern_endpoint):
            assert postern_endpoint.api_token == "x"

        def test_that_dies(postern_url):
            note(postern_url)
            os._exit(1)
        """,
        ["postern_methods = read", 'postern_pins = {"user_id": "usr_ci"}'],
    )
    before = servers(endpoint)
    with github(monkeypatch) as issuer, minting.trust(endpoint) as trust:
        given = {
            **variables(endpoint),
            "POSTERN_API_TOKEN": "",
            "POSTERN_AUDIENCE": trust["audience"],
            "ACTIONS_ID_TOKEN_REQUEST_URL": issuer.request_url,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
        }
        done = pytest_in(project, with_workers, "-n", "1", "--max-worker-restart", "0", **given)
        assert "1 passed" in done.stdout
        assert "assert '***" in done.stdout
        assert not re.search("eyJ[A-Za-z0-9]{9}", done.stdout + done.stderr)
        assert [ping(url) for url in seen(project)] == [DEAD, DEAD, DEAD]
        assert servers(endpoint) == before
        asked = [one for one in issuer.upstream.requests if one.target.startswith("/request")]
        assert len(asked) == 6, "one for the session, one for each server that is minted or revoked, one for the rest"

        refused = pytest_in(project, with_workers, **{**given, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another"})
        assert "postern: GitHub answers 401 to the request for an identity token; run the job again" in refused.stdout
        outside = pytest_in(project, with_workers, **{**given, "ACTIONS_ID_TOKEN_REQUEST_URL": ""})
        assert "postern: GitHub gives this job no identity token; add `permissions: id-token: write`" in outside.stdout


def test_each_worker_has_a_server_of_its_own_with_its_name(
    with_workers: Path, project: Path, endpoint: Endpoint
) -> None:
    before = servers(endpoint)
    write(
        project,
        """
        import json

        def names():
            path = f"{os.environ['POSTERN_ENDPOINT']}/integrated-account/{os.environ['POSTERN_ACCOUNT']}/mcp"
            headers = {"authorization": "Bearer " + os.environ["POSTERN_API_TOKEN"]}
            with urllib.request.urlopen(urllib.request.Request(path, headers=headers)) as answer:
                return {one["name"] for one in json.load(answer)["result"]}

        @pytest.mark.parametrize("number", range(8))
        def test_it(postern_session_url, worker_id, number):
            assert f"pytest project {worker_id}" in names()
            note(f"{worker_id}={postern_session_url}")
        """,
    )
    done = pytest_in(project, with_workers, "-n", "2", "--dist", "each", **variables(endpoint))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "16 passed" in done.stdout
    urls = dict(line.split("=", 1) for line in set(seen(project)))
    assert len(set(seen(project))) == len(urls) == len(set(urls.values())) == 2
    assert [ping(url) for url in urls.values()] == [DEAD, DEAD]
    assert servers(endpoint) == before


def test_the_servers_of_a_worker_that_died_are_revoked(with_workers: Path, project: Path, endpoint: Endpoint) -> None:
    before = servers(endpoint)
    write(
        project,
        """
        def test_it(postern_session_url, postern_url):
            note(postern_session_url)
            note(postern_url)
            os._exit(1)
        """,
    )
    done = pytest_in(project, with_workers, "-n", "1", "--max-worker-restart", "0", **variables(endpoint))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "crashed while running" in done.stdout
    assert [ping(url) for url in seen(project)] == [DEAD, DEAD]
    assert servers(endpoint) == before


@pytest.mark.parametrize("end", ["raise RuntimeError('as agents do')", "raise KeyboardInterrupt", "pytest.exit('x')"])
def test_a_server_is_revoked_however_its_test_ends(alone: Path, project: Path, endpoint: Endpoint, end: str) -> None:
    before = servers(endpoint)
    write(project, f"def test_it(postern_session_url, postern_url):\n    note(postern_url)\n    {end}\n")
    assert pytest_in(project, alone, **variables(endpoint)).returncode in (1, 2)
    assert ping(*seen(project)) == DEAD
    assert servers(endpoint) == before


LEAKS = """
import logging, warnings

def test_in_an_assertion(postern_server):
    assert postern_server.url == "http://127.0.0.1/mcp/another"

def test_in_a_long_value(postern_url):
    assert {"filler": "x" * 90, "url": postern_url, "more": "y" * 90} == None

def test_in_an_exception_and_its_cause(postern_url):
    try:
        raise ValueError(f"cannot read {postern_url}")
    except ValueError as error:
        raise RuntimeError(f"failed at {postern_url}") from error

def test_in_the_output(postern_session_url):
    token = postern_session_url.rpartition("/")[2]
    print(token)
    logging.getLogger("x").error("POST %s", postern_session_url)
    pytest.fail("its token is " + token)

def test_in_the_endpoint(postern_endpoint):
    token = postern_endpoint.api_token
    assert token == repr(postern_endpoint)

@pytest.fixture
def broken(postern_url):
    note(postern_url)
    raise OSError(postern_url)

def test_in_a_fixture(broken):
    pass

def test_note(postern_session_url):
    note(postern_session_url)
    pytest.skip(postern_session_url)
"""


@pytest.mark.parametrize("options", [("-n", "0"), ("-n", "1"), ("--tb=short",), ("--tb=native",), ("-vv",)], ids=str)
def test_no_secret_is_in_a_report(
    with_workers: Path, project: Path, endpoint: Endpoint, options: Sequence[str]
) -> None:
    write(project, LEAKS)
    report = project.parent / "report.xml"
    done = pytest_in(
        project, with_workers, "--showlocals", "-rA", f"--junitxml={report}", *options, **variables(endpoint)
    )
    shown = done.stdout + done.stderr + report.read_text()
    assert "5 failed, 1 skipped, 1 error" in done.stdout
    assert "***" in shown
    for secret in (endpoint.api_token, *(url.rpartition("/")[2] for url in seen(project))):
        assert [secret[at : at + 12] for at in range(len(secret) - 11) if secret[at : at + 12] in shown] == []
    paths = [line for line in shown.splitlines() if "/mcp/" in line]
    assert paths
    assert [line for line in paths if "/mcp/***" not in line and "/mcp/another" not in line] == []


def test_a_part_of_a_secret_is_redacted_and_a_short_one_is_not() -> None:
    secret = "abcdefghijklmnopqrstuvwxyz"
    for text, expected in [
        (secret, "***"),
        (f"<{secret}> {secret}", "<***> ***"),
        (f"{secret}/", "***/"),
        ("...nopqrstuvwxyz'}", "...***'}"),
        ("/mcp/abcdefghijkl...", "/mcp/***..."),
        ("abcdefghijk", "abcdefghijk"),
        ("abcdefghijkl-opqrstuvwxyz", "***-***"),
        ("", ""),
    ]:
        assert redacted(text, parts(secret)) == expected


@pytest.mark.parametrize(
    ("marker", "changed", "said"),
    [
        ("", {"POSTERN_ENDPOINT": ""}, "postern: no endpoint: set POSTERN_ENDPOINT, POSTERN_API_TOKEN and POSTERN_"),
        ("", {"POSTERN_API_TOKEN": ""}, "postern: POSTERN_API_TOKEN not set; all of POSTERN_ENDPOINT, "),
        ("", {"POSTERN_API_TOKEN": "pst_" + "x" * 43}, "postern: the management API answers 401: "),
        ("", {"POSTERN_ACCOUNT": "acc_other"}, "postern: the management API answers 404: "),
        ("", {"POSTERN_ENDPOINT": "http://127.0.0.1:9"}, "postern: the management API at http://127.0.0.1:9 cannot"),
        ("", {"POSTERN_ENDPOINT": "http://a.example"}, "postern: POSTERN_ENDPOINT must start with https:// "),
        ("", {"POSTERN_EXPIRES_IN": "soon"}, "postern: expires-in is not a number of seconds; valid: 1 to 86400"),
        ("", {"POSTERN_PINS": "usr_1"}, 'postern: pins is not a JSON object; write e.g. {"user_id": "usr_1"}'),
        ("expires_in=86401", {}, "postern: expires_in is 86401; valid: 1 to 86400 seconds"),
        ("expires_in=0", {}, "postern: expires_in is 0; valid: 1 to 86400 seconds"),
        ('methods=["reed"]', {}, "postern: the management API answers 400: "),
        ('method=["read"]', {}, "postern: method unknown; valid by name: methods, tags, pins, expires_in"),
        ('"read"', {}, "postern: read unknown; valid by name: methods, tags, pins, expires_in"),
    ],
)
def test_a_mistake_is_one_line(  # noqa: PLR0917 - three fixtures and three parameters
    alone: Path, project: Path, endpoint: Endpoint, marker: str, changed: dict[str, str], said: str
) -> None:
    write(project, f"@pytest.mark.postern({marker})\ndef test_it(postern_server): pass\n")
    done = pytest_in(project, alone, **{**variables(endpoint), **changed})
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    failure = done.stdout.partition("= ERRORS =")[2].partition("= short test summary info =")[0]
    [line] = [line for line in failure.splitlines() if line and not line.startswith(("=", "_"))]
    assert line.startswith(said)


def test_the_example_project_passes_without_any_endpoint_by_starting_one_itself(
    beside_everything: str, project: Path
) -> None:
    done = pytest_in(project, sys.executable, "-p", "no:xdist", PYTHONPATH=beside_everything)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


def test_the_example_project_passes_against_a_named_endpoint_and_leaves_no_server_there(
    beside_everything: str, project: Path, endpoint: Endpoint
) -> None:
    before = servers(endpoint)
    done = pytest_in(project, sys.executable, PYTHONPATH=beside_everything, **variables(endpoint))
    assert done.returncode == 0, done.stdout + done.stderr
    assert servers(endpoint) == before
    urls = seen(project)
    assert len(set(urls)) == 2
    assert all(url.startswith(endpoint.base_url) for url in urls)
    assert [ping(url) for url in urls] == [DEAD, DEAD]


def test_an_embedded_endpoint_ends_with_a_run_that_is_killed(beside_everything: str, project: Path) -> None:
    write(
        project,
        """
        def test_it(postern_endpoint):
            note(postern_endpoint.base_url)
            os._exit(1)
        """,
    )
    done = pytest_in(project, sys.executable, PYTHONPATH=beside_everything)
    assert done.returncode == 1
    [url] = seen(project)
    while True:  # the endpoint closes this connection when it ends, or sooner
        try:
            with socket.create_connection(
                ("127.0.0.1", int(url.rpartition(":")[2])), timeout=STUCK_SECONDS
            ) as connection:
                connection.recv(1)
        except ConnectionError:
            return


def test_an_endpoint_that_does_not_start_says_why_in_one_line(alone: Path, project: Path) -> None:
    program = project.parent / "bin" / "postern"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'the disk is full' >&2\nexit 1\n")
    program.chmod(0o755)
    write(project, "def test_it(postern_server): pass\n")
    done = pytest_in(project, alone, PATH=f"{program.parent}:{os.environ['PATH']}")
    assert f"postern: {program} serve did not start: the disk is full" in done.stdout
