"""The pytest plugin: an MCP server for each test that requests one, or one for the session.

    @pytest.mark.postern(methods=["read"], tags=["memories"], pins={"user_id": "usr_1"}, expires_in=300)
    def test_the_agent_reads_only(postern_server):
        names = [tool["name"] for tool in postern_server.list_tools()]
        result = postern_server.call_tool("mem_0_memories_search", {"query": "tea"})

A server is minted before its test, revoked after it, and expires in any case. Without POSTERN_ENDPOINT, the plugin
starts an endpoint with an embedded memory once for each process of the run, and removes it afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from .reports import clean, parts
from .server import PosternServer

if TYPE_CHECKING:
    from .ephemeral_server import Endpoint, Server

MARKER = "postern(methods, tags, pins, expires_in): which tools the server of this test shows, and for how long"
ARGUMENTS = ("methods", "tags", "pins", "expires_in")

OPTIONS = {
    "endpoint": "origin of the management API; without it, an endpoint is started for the run",
    "account": "id of the integrated account",
    "audience": "audience of a trust; a job of GitHub Actions then needs no API token",
    "methods": "methods to show, separated by spaces or commas",
    "tags": "tags to show, separated by spaces or commas",
    "pins": 'ids that the server forces on every call, as a JSON object, e.g. {"user_id": "usr_1"}',
    "expires_in": "seconds after which a server expires in any case, at most 86400",
}
"""Options of the configuration file, without their prefix `postern_`. The variable, POSTERN_ and the name in capitals,
has priority."""

NAME_CHARACTERS = 100
"""Longest name that the management API takes."""


@dataclass
class Run:
    """What one process knows of its run. `hidden` are the parts of secrets, which no report shows; `living` are the ids
    of servers to be revoked."""

    hidden: set[str] = field(default_factory=set, repr=False)
    living: set[str] = field(default_factory=set)


RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the configuration file."""
    for name, meaning in OPTIONS.items():
        parser.addini(f"postern_{name}", f"postern: {meaning}", type="string", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and begin the run."""
    config.addinivalue_line("markers", MARKER)
    names = ("POSTERN_API_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    config.stash[RUN] = Run({part for name in names for part in parts(os.environ.get(name, ""))})
    if not _worker(config):
        config.pluginmanager.register(Controller(config), "postern-controller")


@pytest.fixture(scope="session")
def postern_endpoint(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Where servers are minted: the deployment that the environment names, or an embedded endpoint."""
    from . import embedded
    from .ephemeral_server import CiError

    variables = _variables(pytestconfig)
    with ExitStack() as started:
        try:
            if "POSTERN_ENDPOINT" in variables:
                endpoint = _named(pytestconfig)
            else:
                endpoint = started.enter_context(embedded.endpoint(tmp_path_factory.mktemp("postern")))
        except CiError as error:
            raise _one_line(str(error)) from None
        pytestconfig.stash[RUN].hidden |= parts(endpoint.api_token)
        yield endpoint


def _named(config: pytest.Config) -> Endpoint:
    """The endpoint that the environment names. Raises CiError."""
    from .ephemeral_server import endpoint_from

    token = _identity(config)
    return endpoint_from({**_variables(config), **({"POSTERN_API_TOKEN": token} if token else {})})


def _fresh(config: pytest.Config, endpoint: Endpoint) -> Endpoint:
    """The endpoint with a token that lives. Raises CiError."""
    return replace(endpoint, api_token=_identity(config) or endpoint.api_token)


def _identity(config: pytest.Config) -> str:
    """A new identity token, where an audience stands in place of an API token, otherwise "". Raises CiError.

    Such a token lives for minutes, and a session can take hours.
    """
    from .identity import identity_token

    variables = _variables(config)
    if "POSTERN_ENDPOINT" not in variables or "POSTERN_AUDIENCE" not in variables or "POSTERN_API_TOKEN" in variables:
        return ""
    token = identity_token(variables, variables["POSTERN_AUDIENCE"])
    config.stash[RUN].hidden |= parts(token)
    return token


@pytest.fixture
def postern_server(postern_endpoint: Endpoint, request: pytest.FixtureRequest) -> Iterator[PosternServer]:
    """The MCP server of this test. The marker `postern` says which tools it shows."""
    marker = request.node.get_closest_marker("postern")
    wanted = dict(marker.kwargs) if marker else {}
    unknown = [*(str(value) for value in (marker.args if marker else ())), *(set(wanted) - set(ARGUMENTS))]
    if unknown:
        raise _one_line(f"{', '.join(unknown)} unknown; valid by name: {', '.join(ARGUMENTS)}")
    yield from _serving(request.config, postern_endpoint, request.node.name, wanted)


@pytest.fixture(scope="session")
def postern_session_server(postern_endpoint: Endpoint, pytestconfig: pytest.Config) -> Iterator[PosternServer]:
    """One MCP server for the whole session; under pytest-xdist, one for each worker."""
    yield from _serving(pytestconfig, postern_endpoint, f"pytest {pytestconfig.rootpath.name}", {})


@pytest.fixture
def postern_url(postern_server: PosternServer) -> str:
    """The MCP URL of this test, for an agent that takes nothing else. It is a secret."""
    return postern_server.url


@pytest.fixture(scope="session")
def postern_session_url(postern_session_server: PosternServer) -> str:
    """The MCP URL of the session. It is a secret."""
    return postern_session_server.url


def _one_line(problem: str) -> BaseException:
    """A failure that pytest shows as this line alone."""
    return pytest.fail.Exception(f"postern: {problem}", pytrace=False)


def _variables(config: pytest.Config) -> dict[str, str]:
    """The environment, over what the configuration file says."""
    stated = {f"POSTERN_{name.upper()}": str(config.getini(f"postern_{name}")) for name in OPTIONS}
    return {name: value for name, value in {**stated, **os.environ}.items() if value}


def _worker(config: pytest.Config) -> str:
    """The id of this worker of pytest-xdist, "" without workers."""
    return str(getattr(config, "workerinput", {}).get("workerid", ""))


def _serving(config: pytest.Config, endpoint: Endpoint, name: str, wanted: dict[str, Any]) -> Iterator[PosternServer]:
    """Mint a server, and revoke it afterwards in any case."""
    from .ephemeral_server import CiError, mint, revoke, wanted_from

    run, worker = config.stash[RUN], _worker(config)
    suffix = f" {worker}" if worker else ""
    try:
        every = {**wanted_from(_variables(config)), **wanted}
        server: Server = mint(_fresh(config, endpoint), name=name[: NAME_CHARACTERS - len(suffix)] + suffix, **every)
    except CiError as error:
        raise _one_line(str(error)) from None
    run.hidden |= parts(server.token)
    run.living.add(server.id)
    try:
        yield PosternServer(server.url, server.id, server.expires_at, server.tool_count)
    finally:
        try:
            revoke(_fresh(config, endpoint), server.id)
        except CiError as error:
            raise _one_line(f"server {server.id} is not revoked, and expires by itself: {error}") from None
        finally:
            run.living.discard(server.id)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Redact the report, and write on it which servers this worker has: a worker that dies cannot say it any more."""
    report = yield
    run = item.config.stash[RUN]
    clean(report, run.hidden)
    if worker := _worker(item.config):
        vars(report)["postern_living"] = [worker, sorted(run.living)]
    return report


class Controller:
    """In the controller of pytest-xdist: revokes the servers of workers that died."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.living: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember which servers the worker has."""
        worker, living = getattr(report, "postern_living", (None, []))
        if worker is not None:
            self.living[worker] = living

    def pytest_sessionfinish(self) -> None:
        """Revoke what is left. An embedded endpoint has ended with its worker."""
        from .ephemeral_server import CiError, revoke

        left = sorted({one for living in self.living.values() for one in living})
        if not left or "POSTERN_ENDPOINT" not in _variables(self.config):
            return
        try:
            endpoint = _named(self.config)
            for server_id in left:
                revoke(endpoint, server_id)
        except CiError as error:
            print(f"postern: {', '.join(left)} expire by themselves, because they cannot be revoked: {error}")
