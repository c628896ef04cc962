"""Every verb against a real endpoint: what it prints, what it leaves behind, and its exit code."""

from __future__ import annotations

import io
import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from functions.cli import main
from functions.cli.management_api import version
from functions.gateway.grants import read_time
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.local import start
from tests.cli.conftest import Local, Ran, run
from tests.patience import STUCK_SECONDS


def _mint(local: Local, *options: str) -> Json:
    """A new server as JSON."""
    ran = local("server", "create", "--json", *options)
    assert ran.code == 0, ran.err
    return ran.json


DEAD = 40401
"""The error code of a dead URL."""


def _status(url: str) -> int:
    """What a ping to an MCP URL gets: 200, or the code of the error."""
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = httpx.post(url, json=ping, timeout=STUCK_SECONDS, trust_env=False, verify=False)
    return int(answer.json().get("error", {}).get("code", answer.status_code))


def _remember(local: Local, user_id: str, text: str) -> None:
    messages = json.dumps([{"role": "user", "content": text}])
    ran = local("call", "create_a_mem_0_memory", f"user_id={user_id}", "infer=false", f"messages={messages}")
    assert ran.code == 0, ran.err


# Accounts


def test_an_account_is_connected_with_a_secret_from_a_variable_listed_changed_and_removed(local: Local) -> None:
    key = local.ready.memory_api_key
    ran = local(
        *("account", "add", "--id", "crm", "--name", "CRM memory", "--base-url", local.ready.memory_url),
        *("--credential", "api_key=env:CRM_KEY", "--context", "org_id=org_local", "--json"),
        CRM_KEY=key,
    )
    assert ran.code == 0, ran.err
    assert ran.json["id"] == "crm"
    assert ran.json["context"]["org_id"] == "org_local"
    listed = local("account", "list")
    assert re.search(r"^crm +mem0 +CRM memory +active +http://127", listed.out, re.MULTILINE), listed.out
    renamed = local("account", "update", "crm", "--name", "Sales memory", "--json")
    assert renamed.json["name"] == "Sales memory"
    assert "Sales memory" in local("account", "get", "crm").out
    minted = _mint(local, "--account", "crm")
    gone = local("account", "remove", "crm")
    assert gone.out == "account crm is removed, with 1 MCP server and 0 API tokens\n"
    assert _status(minted["url"]) == DEAD
    assert all(key not in text for text in (ran.out, ran.err, listed.out, renamed.out, gone.out))


def test_a_secret_can_come_from_a_file_or_from_standard_input(local: Local, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(local.ready.memory_api_key + "\n", encoding="utf-8")
    for source, stdin in ((f"api_key=@{file}", ""), ("api_key=-", local.ready.memory_api_key + "\n")):
        named = ["--id", "once", "--base-url", local.ready.memory_url, "--credential", source]
        ran = local("account", "add", *named, stdin=stdin)
        assert ran.code == 0, ran.err
        assert re.search(r"^status +active$", ran.out, re.MULTILINE), ran.out
        assert local("account", "remove", "once").code == 0


def test_a_credential_that_the_upstream_rejects_connects_nothing_and_is_not_repeated(local: Local) -> None:
    ran = local("account", "add", "--base-url", local.ready.memory_url, "--credential", "api_key=m0-wrong-secret")
    assert ran.code == 1
    assert ran.err.startswith("postern: Bad Request (400): credentials: "), ran.err
    assert "m0-wrong-secret" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--credential", "api_key"], "--credential must be NAME=VALUE; the text given has no name followed by ="),
        (["--credential", "api_key=env:NOPE"], "--credential api_key: the variable NOPE is not set"),
        (["--credential", "api_key=@/no/file"], "--credential api_key: /no/file cannot be read (FileNotFoundError)"),
        (["--context", "a=1", "--context", "a=2"], "--context a is given twice"),
    ],
)
def test_a_credential_that_cannot_be_read_is_wrong_usage(local: Local, options: list[str], message: str) -> None:
    ran = local("account", "add", *options)
    assert (ran.code, ran.err) == (2, f"postern: {message}\n")


def test_an_update_of_nothing_is_wrong_usage(local: Local) -> None:
    assert local("account", "update", "x").code == 2
    ran = local("server", "update", "x")
    assert (ran.code, ran.err) == (
        2,
        "postern: nothing to change; give --name, --label, --unlabel, an option of the config, --expires-in, "
        "--expires-at or --never\n",
    )


# Servers


def test_a_minted_server_is_what_was_asked_for(local: Local) -> None:
    before = datetime.now(UTC)
    minted = _mint(
        local,
        *("--name", "Audit agent", "--methods", "read", "--tags", "memories,events", "--pin", "user_id=usr_1"),
        *("--write-id", "run_id=run_1", "--write-id", "run_id=run_2", "--write-id", "app_id=*"),
        *("--fixed", "*.max_tokens=500", "--default", "mem_0_memories_search.top_k=3", "--expires-in", "15m"),
        *("--rate-limit", "60/10", "--profile", "core", "--output-schemas", "shallow"),
        *("--views", "always"),
        *("--confirm", "destructive,mem_0_memories_remember", "--confirm-by", "person"),
    )
    assert minted["config"] == {
        "methods": ["read"],
        "tags": ["memories", "events"],
        "profile": "core",
        "output_schemas": "shallow",
        "views": "always",
        "require_api_token_auth": False,
        "oauth": True,
        "pins": {"user_id": "usr_1"},
        "write_ids": {"run_id": ["run_1", "run_2"], "app_id": ["*"]},
        "fixed": {"*": {"max_tokens": 500}},
        "defaults": {"mem_0_memories_search": {"top_k": 3}},
        "strict": False,
        "rate_limit": {"calls_per_minute": 60, "burst": 10},
        "confirm": ["destructive", "mem_0_memories_remember"],
        "confirm_by": "person",
    }
    life = read_time(minted["expires_at"]) - before
    assert timedelta(minutes=15) <= life < timedelta(minutes=15, seconds=30)
    assert _status(minted["url"]) == 200


def test_the_url_is_told_once_as_a_secret_and_alone_when_asked(local: Local) -> None:
    ran = local("server", "create", "--expires-in", "15m")
    url = ran.out.splitlines()[-1].split()[-1]
    assert _status(url) == 200
    assert re.search(r"^expires +\S+Z \(in 15 min\)$", ran.out, re.MULTILINE)
    assert re.search(rf"^account +{local.ready.account_id}$", ran.out, re.MULTILINE)
    assert "shown only once" in ran.err
    alone = local("server", "create", "-q")
    assert re.fullmatch(rf"{local.ready.base_url}/mcp/\S{{43}}\n", alone.out)
    server_id = local("server", "list", "--json").json[-1]["id"]
    for told in (local("server", "get", server_id), local("server", "list"), local("server", "list", "--json")):
        assert "/mcp/" not in told.out


def test_a_server_is_changed_in_place_and_can_live_on(local: Local) -> None:
    minted = _mint(local, "--methods", "read", "--expires-in", "15m")
    changed = local("server", "update", minted["id"], "--name", "Renamed", "--methods", "", "--never", "--json").json
    assert (changed["name"], changed["config"]["methods"], changed["expires_at"]) == ("Renamed", [], None)
    assert changed["tool_count"] > minted["tool_count"]
    assert local("server", "update", minted["id"], "--require-api-token").code == 0
    assert _status(minted["url"]) == 40101
    assert local("server", "update", minted["id"], "--no-oauth").code == 0
    assert _status(minted["url"]) == 40301
    assert local("server", "update", minted["id"], "--no-require-api-token").code == 0
    assert _status(minted["url"]) == 200


def test_a_rotated_server_has_a_new_url_and_the_old_one_lives_as_long_as_was_granted(local: Local) -> None:
    first = _mint(local)
    ran = local("server", "rotate", first["id"], "--grace", "10m", "--json")
    second = ran.json
    assert second["url"] != first["url"]
    assert (_status(first["url"]), _status(second["url"])) == (200, 200)
    third = local("server", "rotate", first["id"])
    assert re.search(r"^old URL +\S+ \(past\)$", third.out, re.MULTILINE), third.out
    assert _status(second["url"]) == DEAD


def test_a_revoked_server_is_dead_at_once(local: Local) -> None:
    minted = _mint(local)
    ran = local("server", "revoke", minted["id"])
    assert ran.out == f"server {minted['id']} is revoked; 1 URL stopped working\n"
    assert _status(minted["url"]) == DEAD
    again = local("server", "revoke", minted["id"])
    assert again.code == 1
    assert f' has no live MCP server "{minted["id"]}"; ' in again.err
    assert again.err.startswith("postern: Not Found (404): ")


def test_a_preview_shows_the_tools_of_a_filter_and_mints_nothing(local: Local) -> None:
    before = local("server", "list", "--json").json
    ran = local("server", "preview", "--methods", "search")
    assert ran.out.splitlines()[0].split() == ["NAME", "METHOD", "ACCESS", "DESTRUCTIVE", "TAGS", "TOKENS"]
    tokens = int(ran.out.splitlines()[1].split()[-1])
    assert ran.out.splitlines()[-1] == f"1 tool; the listing costs a model about {tokens:,} tokens"
    assert local("server", "list", "--json").json == before


def test_tools_that_a_fixed_argument_cannot_reach_are_named_and_hidden_by_strict(local: Local) -> None:
    options = ("--methods", "list,search", "--tags", "memories", "--fixed", "*.top_k=5")
    note = (
        "*.top_k is not fixed for 2 tools without that argument: list_all_mem_0_memories, "
        "list_all_mem_0_memory_history. --strict hides them.\n"
    )
    assert note in local("server", "preview", *options).err
    minted = local("server", "create", *options)
    assert note in minted.err
    name = re.search(r"^id +(\S+)$", minted.out, re.MULTILINE)
    assert name is not None
    strict = local("server", "update", name[1], "--strict")
    assert "is not fixed" not in strict.err
    assert re.search(r"^tool_count +1$", strict.out, re.MULTILINE), strict.out
    assert note in local("server", "update", name[1], "--no-strict").err
    assert note in local("server", "create", *options, "--count", "2", "--name", "agent").err


def test_a_filter_that_is_misspelt_is_refused_with_the_nearest_word(local: Local) -> None:
    ran = local("server", "create", "--methods", "raed")
    assert ran.code == 1
    assert ran.out == ""
    assert '--methods: "raed" is unknown; did you mean "read"?' in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--expires-in", "15x"], '"15x" is not a duration; write a whole number and a unit, e.g. 90s, 15m, 2h or 7d'),
        (["--fixed", "limit=5"], '--fixed limit: write TOOL.ARGUMENT=VALUE, e.g. "*.infer=false"'),
        (["--pin", "usr_1"], "--pin must be NAME=VALUE; the text given has no name followed by ="),
        (["--pin", ""], "--pin must be NAME=VALUE; the text given has no name followed by ="),
        (["--methods", ""], "--methods is empty; leave the option out to select all"),
        (["--tags", " ,"], "--tags is empty; leave the option out to select all"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_minted(local: Local, options: list[str], message: str) -> None:
    ran = local("server", "create", *options)
    assert (ran.code, ran.out, ran.err) == (2, "", f"postern: {message}\n")


@pytest.mark.parametrize(
    "words",
    [
        ["server"],
        ["server", "mint"],
        ["server", "create", "--expires-in", "1h", "--expires-at", "2030-01-01T00:00:00Z"],
        ["log", "--limit", "101"],
        ["serve", "--port", "65536"],
        ["snippet", "--client", "netscape"],
    ],
)
def test_unknown_words_are_exit_code_two(words: list[str], empty: dict[str, str]) -> None:
    ran = run(*words, environment=empty)
    assert ran.code == 2
    assert ran.err.startswith("usage: postern")


def test_the_version_is_told(empty: dict[str, str]) -> None:
    ran = run("--version", environment=empty)
    assert ran.code == 0
    assert ran.out == f"postern {version()}\n"


def test_pins_and_forced_arguments_can_be_cleared(local: Local) -> None:
    forced = ["--pin", "user_id=usr_1", "--fixed", "*.max_tokens=500", "--default", "mem_0_memories_search.top_k=3"]
    minted = _mint(local, *forced)
    cleared = ["--clear", "pins", "--clear", "fixed", "--clear", "defaults"]
    freed = local("server", "update", minted["id"], *cleared, "--json")
    assert freed.code == 0, freed.err
    config = freed.json["config"]
    assert (config["pins"], config["fixed"], config["defaults"]) == ({}, {}, {})


def test_the_deep_research_server_of_the_page_on_clients_has_search_and_fetch(local: Local) -> None:
    page = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^postern (server create .*)$", page, re.MULTILINE)
    minted = local(*command.split(), "--json").json
    tools = local("tools", "--url", minted["url"], "--json").json
    assert [tool["name"] for tool in tools] == ["search", "fetch"]


# API tokens


def test_an_api_token_is_required_by_one_server_until_it_is_revoked(local: Local) -> None:
    guarded = _mint(local, "--require-api-token")
    made = local("api-token", "create", "--name", "CI", "--servers", guarded["id"], "--expires-in", "1h", "--json").json
    assert (made["scopes"], made["server_ids"]) == (["connect"], [guarded["id"]])
    without = local("tools", "--url", guarded["url"])
    assert without.code == 1
    assert made["token"] not in local("api-token", "list").out
    with_token = ["tools", "--url", guarded["url"], "--second-api-token", made["token"]]
    assert local(*with_token).code == 0
    assert local("tools", "--url", guarded["url"], POSTERN_SECOND_API_TOKEN=made["token"]).code == 0
    assert local("api-token", "revoke", made["id"]).out == f"API token {made['id']} is revoked\n"
    assert local(*with_token).code == 1


def test_the_management_token_is_never_sent_to_an_mcp_url_by_itself(local: Local) -> None:
    guarded = _mint(local, "--require-api-token")
    manager = local("api-token", "create", "--name", "ops", "--scopes", "manage,connect", "-q").out.strip()
    ran = local("tools", "--url", guarded["url"], POSTERN_API_TOKEN=manager)
    assert ran.code == 1


# Tools and calls


def test_tools_of_a_server_are_what_an_agent_sees(local: Local) -> None:
    minted = _mint(local, "--methods", "search")
    ran = local("tools", "--url", minted["url"])
    assert ran.out.splitlines()[1].startswith("mem_0_memories_search")
    assert ran.out.splitlines()[-1] == "1 tool"


def test_tools_of_an_account_can_be_bound_to_a_model_as_they_are(local: Local) -> None:
    account = ["--account", local.ready.account_id]
    listed = local("tools", *account, "--methods", "search")
    assert re.search(r"^mem_0_memories_search +search +read +memories +POST /proxy/memories/search$", listed.out, re.M)
    [openai] = local("tools", *account, "--methods", "search", "--format", "openai").json
    assert openai["function"]["name"] == "mem_0_memories_search"
    [anthropic] = local("tools", *account, "--methods", "search", "--format", "anthropic").json
    assert anthropic["input_schema"]["required"] == ["query", "filters"]


def test_a_filter_on_a_servers_tools_is_wrong_usage(local: Local) -> None:
    ran = local("tools", "--url", local.ready.mcp_url, "--tags", "memories")
    assert (ran.code, ran.err) == (
        2,
        "postern: --methods, --tags and --format work on an account only; a server shows the tools it was minted "
        "with\n",
    )


def _through(local: Local, door: str) -> list[str]:
    return ["--url", local.ready.mcp_url] if door == "mcp" else ["--account", local.ready.account_id]


@pytest.mark.parametrize("door", ["mcp", "proxy"])
def test_a_call_gives_the_same_through_either_door(local: Local, door: str) -> None:
    user_id = f"door_{door}"
    _remember(local, user_id, "Drinks green tea.")
    through = _through(local, door)
    found = local("call", "mem_0_memories_search", *through, "query=tea", f"filters.user_id={user_id}")
    assert found.code == 0, found.err
    [memory] = found.json["results"]
    assert memory["memory"] == "Drinks green tea."
    got = local("call", "get_single_mem_0_memory_by_id", *through, f"id={memory['id']}", "--json")
    assert got.json["memory"] == "Drinks green tea."
    changed = local("call", "update_a_mem_0_memory_by_id", *through, f"id={memory['id']}", "text=Drinks black tea.")
    assert changed.code == 0, changed.err
    listed = local(
        "call", "list_all_mem_0_memories", *through, "--arguments", f'{{"filters": {{"user_id": "{user_id}"}}}}'
    )
    assert [entry["memory"] for entry in listed.json["result"]] == ["Drinks black tea."]


@pytest.mark.parametrize("door", ["mcp", "proxy"])
def test_a_failed_call_is_exit_code_one_with_the_words_for_the_model(local: Local, door: str) -> None:
    ran = local("call", "mem_0_memories_search", *_through(local, door), "query=tea", "user_id=u1")
    assert ran.code == 1
    assert "not a top-level argument" in ran.out + ran.err
    assert "nest it" in ran.out + ran.err


@pytest.mark.parametrize("door", ["mcp", "proxy"])
def test_an_unknown_tool_is_exit_code_one(local: Local, door: str) -> None:
    ran = local("call", "mem_0_memories_serach", *_through(local, door), "query=tea")
    assert ran.code == 1
    assert 'no tool "mem_0_memories_serach"' in ran.err


def test_a_dead_url_is_told_in_the_servers_words(local: Local) -> None:
    minted = _mint(local)
    assert local("server", "revoke", minted["id"]).code == 0
    ran = local("tools", "--url", minted["url"])
    assert ran.code == 1
    assert ran.err == (
        "postern: the MCP server answered: This MCP URL is unknown, revoked or expired; ask the person who gave "
        "it to you for a new one (40401)\n"
    )


# The log


def _log(local: Local, *options: str) -> list[Json]:
    ran = local("log", "--json", *options)
    assert ran.code == 0, ran.err
    found: list[Json] = ran.json
    return found


def test_the_log_has_every_call_with_the_client_that_made_it(local: Local) -> None:
    minted = _mint(local)
    search = ["call", "mem_0_memories_search", "--url", minted["url"], "query=secret-value"]
    assert local(*search, "filters.user_id=u_log").code == 0
    assert local(*search, "user_id=u_log").code == 1
    first, second = _log(local, "--server", minted["id"])
    assert (first["outcome"], second["outcome"]) == ("ok", "error")
    assert first["client_name"] == "postern-cli"
    assert [record["status"] for record in _log(local, "--server", minted["id"], "--status", "400")] == [400]
    shown = local("log", "--server", minted["id"])
    assert shown.out.splitlines()[0].split()[:4] == ["TIME", "OUTCOME", "STATUS", "TOOL"]
    assert len(shown.out.splitlines()) == 3
    assert "secret-value" not in shown.out
    assert len(_log(local, "--server", minted["id"], "--limit", "1")) == 1
    assert local("log", "--server", minted["id"], "--status", "599").out == "no matching calls in the log\n"
    unknown = local("log", "--server", "srv_none")
    assert (unknown.code, unknown.out) == (1, "")
    assert '--server is "srv_none"; there is no MCP server of this name and no log entry of one' in unknown.err


def test_the_log_says_who_decided_what(local: Local) -> None:
    minted = _mint(local)
    assert local("server", "rotate", minted["id"], "--grace", "5m").code == 0
    entries = _log(local, "--kind", "decision", "--server", minted["id"])
    assert [entry["action"] for entry in entries] == ["createServer", "rotateServer"]
    assert {entry["principal"] for entry in entries} == {"tok_root"}
    of_server = ["log", "--kind", "decision", "--server", minted["id"]]
    shown = local(*of_server, "--who", "tok_root", "--action", "rotateServer")
    header, row = shown.out.splitlines()
    assert header.split()[:5] == ["TIME", "OUTCOME", "STATUS", "DECISION", "WHO"]
    assert row.split()[1:5] == ["ok", "200", "rotateServer", "tok_root"]
    assert len(_log(local, "--kind", "all", "--since", "1h", "--limit", "2")) == 2
    none = local(*of_server, "--until", "2020-01-01T00:00:00Z")
    assert none.out == "no matching decisions in the log\n"


def test_the_log_is_exported_whole(local: Local) -> None:
    minted = _mint(local)
    search = ["call", "mem_0_memories_search", "--url", minted["url"], "query=x", "filters.user_id=u"]
    for _ in range(3):
        assert local(*search).code == 0
    of_server = ["log", "--kind", "all", "--server", minted["id"], "--export"]
    lines = [json.loads(line) for line in local(*of_server, "jsonl").out.splitlines()]
    assert [line.get("tool") for line in lines] == ["mem_0_memories_search"] * 3 + [None]
    header, *rows = local(*of_server, "csv").out.splitlines()
    assert header.startswith("time,kind,principal,action,outcome")
    assert len(rows) == 4
    wrong = local(*of_server, "csv", "--follow")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--export prints what the log holds and ends; leave out --follow" in wrong.err


class _Until:
    """Standard output that stops the command, as Ctrl-C does, once it has been told something."""

    def __init__(self, local: Local, act: list[str], stop_at: str) -> None:
        self.text = ""
        self._local, self._act, self._stop_at = local, act, stop_at
        self._acted = False

    def write(self, text: str) -> int:
        self.text += text
        if not self._acted:
            self._acted = True
            assert self._local(*self._act).code == 0
        if self._stop_at in self.text:
            raise KeyboardInterrupt
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def test_a_followed_log_shows_new_calls_until_it_is_stopped(local: Local) -> None:
    minted = _mint(local)
    call = ["call", "list_all_mem_0_projects", "--url", minted["url"]]
    assert local(*call).code == 0
    out = _Until(local, ["call", "list_all_mem_0_events", "--url", minted["url"]], "list_all_mem_0_events")
    words = ["log", "--follow", "--server", minted["id"]]
    code = main(words, environment=local.environment, stdout=out, stderr=io.StringIO())  # type: ignore[arg-type]
    assert code == 130
    tools = [line.split()[3] for line in out.text.splitlines()[1:]]
    assert tools == ["list_all_mem_0_projects", "list_all_mem_0_events"]


def test_the_log_of_a_traced_endpoint_shows_the_trace_of_each_call_and_finds_its_calls(tmp_path: Path) -> None:
    environment = {"POSTERN_TRACE_UPSTREAMS": "api.example.com"}
    with start(Settings(state_dir=str(tmp_path)), environment) as ready:
        traced = Local(ready, str(tmp_path))
        for tool in ("list_all_mem_0_projects", "list_all_mem_0_events"):
            assert traced("call", tool).code == 0
        entries = traced("log", "--json").json
        shown = traced("log").out
        found = traced("log", "--trace", entries[1]["trace_id"], "--json").json
    assert len({entry["trace_id"] for entry in entries}) == 2
    assert [line.split()[-1] for line in shown.splitlines()[-2:]] == [entry["trace_id"] for entry in entries]
    assert [entry["tool"] for entry in found] == ["list_all_mem_0_events"]


# The memory's copy


def test_a_memory_is_copied_out_while_it_is_in_use_and_into_a_new_one(local: Local, tmp_path: Path) -> None:
    _remember(local, "copied", "Speaks Basque.")
    copy, new = tmp_path / "copy.jsonl", tmp_path / "new.sqlite"
    ran = local("memory", "export", str(copy), "--json")
    assert ran.code == 0, ran.err
    assert copy.stat().st_mode & 0o777 == 0o600
    assert "Speaks Basque." in copy.read_text(encoding="utf-8")
    imported = run("memory", "import", str(copy), "--memory", str(new), "--json")
    assert imported.json == ran.json
    again = run("memory", "import", "--memory", str(new), stdin=copy.read_text(encoding="utf-8"))
    assert again.code == 1
    assert "already holds data" in again.err
    assert run("memory", "export", "--memory", str(new)).out == copy.read_text(encoding="utf-8")


def test_a_copy_that_is_not_there_or_cut_is_refused(tmp_path: Path) -> None:
    ran = run("memory", "import", str(tmp_path / "no.jsonl"), "--memory", str(tmp_path / "m.sqlite"))
    assert (ran.code, ran.err) == (1, f"postern: {tmp_path}/no.jsonl: No such file or directory\n")
    cut = run(
        "memory", "import", "--memory", str(tmp_path / "m.sqlite"), stdin='{"format":"postern-memory","version":1}\n'
    )
    assert cut.code == 1
    assert "part of it is missing" in cut.err
    assert run("memory", "export", "--memory", str(tmp_path / "none.sqlite")).code == 1


def test_forty_servers_are_minted_by_one_command_and_a_repetition_mints_what_is_missing(local: Local) -> None:
    many = ["server", "create", "--name", "fleet", "--count", "40", "--methods", "read", "--expires-in", "15m"]
    urls = local(*many, "-q").out.splitlines()
    assert len(set(urls)) == 40
    assert all(_status(url) == 200 for url in urls[::13])
    names = {server["name"] for server in local("server", "list", "--json").json}
    assert {f"fleet-{number}" for number in range(1, 41)} <= names
    assert local("server", "revoke", "fleet-7").out.endswith("is revoked; 1 URL stopped working\n")
    again = local(*many, "--json")
    assert [json.loads(line)["name"] for line in again.out.splitlines()] == ["fleet-7"]
    third = local(*many)
    assert third.out == ""
    assert third.err.startswith("Minted 0 servers; 40 names had a live server and were left out.")
    for count in ("0", "-1", "1001", "x", "²"):
        wrong = local(*many[:4], "--count", count)
        assert (wrong.code, wrong.out) == (2, "")


def test_several_servers_are_revoked_and_one_that_fails_does_not_keep_the_others(local: Local) -> None:
    made = [local("server", "create", "--name", f"gone-{number}", "--json").json for number in range(3)]
    ran = local("server", "revoke", made[0]["id"], "gone-none", "gone-1", made[0]["id"], "gone-2")
    assert ran.code == 1
    assert ran.out.splitlines() == [f"server {server['id']} is revoked; 1 URL stopped working" for server in made]
    assert "1 of 4 servers were not revoked:\n  - Not Found (404): " in ran.err
    assert [_status(server["url"]) for server in made] == [DEAD] * 3


def test_a_pipeline_mints_within_the_limits_of_its_token(local: Local) -> None:
    account = local("account", "get", "--json").json["id"]
    limits = ["--mint-methods", "read", "--mint-pin", "user_id=ci", "--mint-for", "1h"]
    made = local("api-token", "create", "--name", "ci", "--scopes", "mint", *limits, "--accounts", account, "-q")
    token = made.out.strip()
    mint = ["server", "create", "--account", account, "--api-token", token, "--methods", "read", "--pin", "user_id=ci"]
    assert local(*mint, "--expires-in", "15m", "-q").out.startswith("http")
    beyond = local(*mint, "--expires-in", "2h")
    assert beyond.code == 1
    assert "this API token may not mint this server: --expires-in or --expires-at must be a time until" in beyond.err
    incomplete = local("api-token", "create", "--name", "ci", "--scopes", "mint", "--mint-methods", "read")
    assert (incomplete.code, incomplete.out) == (2, "")
    assert "--mint-for is missing; give the longest life of a server, e.g. --mint-for 1h" in incomplete.err


def test_a_trust_is_made_changed_and_removed(local: Local) -> None:
    account = local("account", "get", "--json").json["id"]
    limits = ["--accounts", account, "--mint-methods", "read", "--mint-pin", "user_id=ci", "--mint-for", "1h"]
    claims = ["--repository", "octo/agent", "--repository", "octo/other", "--ref", "refs/heads/main"]
    made = local("trust", "create", "--name", "agent CI", *claims, "--claim", "runner_environment=self-hosted", *limits)
    assert made.code == 0, made.err
    assert "Neither is a stored secret" in made.err
    [trust] = [one for one in local("trust", "list", "--json").json if one["name"] == "agent CI"]
    assert trust["issuer"] == "https://token.actions.githubusercontent.com"
    assert trust["claims"] | {"event_name": []} == {
        "event_name": [],
        "repository": ["octo/agent", "octo/other"],
        "ref": ["refs/heads/main"],
        "runner_environment": ["self-hosted"],
    }
    assert trust["mint"] == {"methods": ["read"], "tags": [], "pins": {"user_id": "ci"}, "max_lifetime_seconds": 3600}
    assert trust["audience"] in made.out
    assert "repository=octo/agent,repository=octo/other" in local("trust", "list").out
    changed = local("trust", "update", "agent CI", "--repository-id", "74", "--event", "push", "--json").json
    assert (changed["claims"], changed["mint"]) == ({"repository_id": ["74"], "event_name": ["push"]}, trust["mint"])
    assert local("trust", "get", trust["id"], "--json").json == changed
    longer = local("trust", "update", "agent CI", "--mint-for", "2h")
    assert longer.err == "", "a longer life alone drops no other limit"
    mint = local("trust", "get", trust["id"], "--json").json["mint"]
    assert mint == {**trust["mint"], "max_lifetime_seconds": 7200}
    wider = local(
        "trust", "update", "agent CI", "--repository", "octo/agent", "--mint-for", "2h", "--mint-tags", "memories"
    )
    assert wider.err == (
        "The trust is wider than before, because it no longer has repository_id=74, the limit on methods, the limit on "
        "pins\n"
    )
    assert local("trust", "remove", "agent CI").out == (
        f"Trust {trust['id']} is removed; servers that were minted under it expire\n"
    )
    gone = local("trust", "get", "agent CI")
    assert (gone.code, gone.err) == (
        1,
        'postern: Not Found (404): there is no trust "agent CI"; `postern trust list` lists them\n',
    )


def test_a_trust_of_any_issuer_lists_its_own_claims(local: Local) -> None:
    account = local("account", "get", "--json").json["id"]
    more = ["--issuer", "https://ci.example/realm", "--audience", "https://postern.example"]
    claims = ["--claim", "project=7", "--claim", "project=8"]
    limits = ["--accounts", account, "--mint-for", "90s"]
    made = local("trust", "create", "--name", "own", *more, *claims, *limits, "--json").json
    assert (made["issuer"], made["audience"]) == ("https://ci.example/realm", "https://postern.example")
    assert made["claims"] == {"project": ["7", "8"]}
    assert local("trust", "remove", "own").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--claim", "project"], 2, '--claim is "project"; write NAME=VALUE'),
        (["--ref", "refs/heads/main"], 1, "list one of repository, repository_id"),
        (["--claim", "sub=repo:octo/agent:*"], 1, "--claim sub.0 is"),
        (["--repository", "octo/agent", "--issuer", "ci.example"], 1, 'issuer is "ci.example"; valid: github, gitlab'),
        (["--repository", "octo/agent", "--mint-for", "2 years"], 2, '"2 years" is'),
    ],
)
def test_a_wrong_trust_is_refused_in_the_words_of_its_options(
    local: Local, words: list[str], code: int, said: str
) -> None:
    account = local("account", "get", "--json").json["id"]
    longest = [] if "--mint-for" in words else ["--mint-for", "1h"]
    ran = local("trust", "create", "--name", "wrong", "--accounts", account, *longest, *words)
    assert ran.code == code
    assert said in ran.err
    unchanged = local("trust", "update", "wrong")
    assert (unchanged.code, "nothing to change" in unchanged.err) == (2, True)
    incomplete = local("trust", "update", "wrong", "--mint-methods", "read")
    assert (incomplete.code, "--mint-for is missing" in incomplete.err) == (2, True)


def test_whoami_and_integrations_show_what_can_be_done(local: Local) -> None:
    me = local("whoami").out.splitlines()
    assert me[0].split() == ["id", "tok_root"]
    assert me[2].split() == ["scopes", "manage"]
    assert "createServer" in me[-1]
    assert local("integrations").out.splitlines()[0].split() == ["NAME", "LABEL", "TOOL_COUNT", "BASE_URL"]
    shown = local("integrations", "mem0").out
    assert "--credential  api_key" in shown
    assert "user_id" in shown
    unknown = local("integrations", "mem")
    assert unknown.code == 1
    assert unknown.err.startswith('postern: Not Found (404): there is no integration "mem"; did you mean "mem0"?')


def test_every_listing_is_json_when_asked(local: Local) -> None:
    listings: list[Ran] = [
        local("account", "list", "--json"),
        local("account", "get", "--json"),
        local("server", "list", "--json"),
        local("api-token", "list", "--json"),
        local("trust", "list", "--json"),
        local("tools", "--json"),
        local("log", "--json"),
        local("whoami", "--json"),
        local("integrations", "--json"),
        local("integrations", "mem0", "--json"),
    ]
    for ran in listings:
        assert (ran.code, ran.err) == (0, "")
        assert ran.json is not None


def test_servers_are_chosen_by_label_listed_extended_rotated_and_revoked(local: Local) -> None:
    team = f"team=t{secrets.token_hex(3)}"
    many = ["server", "create", "--name", f"labelled-{team[6:]}", "--count", "3", "--label", team, "--expires-in", "1h"]
    urls = local(*many, "-q").out.splitlines()
    assert len(local("server", "list", "--label", team, "--json").json) == 3
    assert len(local("server", "list", "--label", team, "--expires-within", "2h", "--json").json) == 3
    assert local("server", "list", "--label", team, "--expires-within", "1m", "--json").json == []
    extended = local("server", "extend", "--label", team, "--expires-in", "3h", "--yes")
    assert extended.err.endswith("3 extended, 0 unchanged, 0 failed\n")
    again = local("server", "extend", "--label", team, "--expires-in", "2h", "--yes")
    assert again.err.endswith("0 extended, 3 unchanged, 0 failed\n")
    rotated = local("server", "rotate", "--label", team, "--yes", "-q").out.splitlines()
    assert [_status(url) for url in urls] == [DEAD] * 3
    assert [_status(url) for url in rotated] == [200] * 3
    asked = local("server", "revoke", "--label", team, stdin="n\n")
    assert (asked.code, asked.out) == (1, "")
    assert asked.err == (
        "3 servers will be revoked. Go on? [y/N] postern: nothing was changed; --yes goes on without asking\n"
    )
    gone = local("server", "revoke", "--label", team, stdin="y\n")
    assert gone.err.endswith("3 revoked, 0 unchanged, 0 failed\n")
    assert [_status(url) for url in rotated] == [DEAD] * 3
    decided = local("log", "--kind", "decision", "--label", team, "--action", "deleteServer", "--json").json
    assert len(decided) == 3


def test_a_server_is_relabelled_and_found_by_name_without_an_account(local: Local) -> None:
    name = f"named-{secrets.token_hex(3)}"
    made = local("server", "create", "--name", name, "--label", "a=1", "--label", "b=2", "--json").json
    changed = local("server", "update", name, "--label", "a=3", "--unlabel", "b", "--json").json
    assert (changed["id"], changed["labels"]) == (made["id"], {"a": "3"})
    taken = local("server", "create", "--name", name)
    assert taken.code == 1
    assert f'already has a server {made["id"]} with the name "{name}"; choose another name' in taken.err
    assert local("server", "revoke", name).code == 0


@pytest.mark.parametrize("words", [["revoke"], ["extend", "--expires-in", "1h"], ["rotate", "x", "--all"]])
def test_servers_to_change_are_given_in_exactly_one_way(local: Local, words: list[str]) -> None:
    ran = local("server", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "postern: say which servers in exactly one way: SERVER ..., --label or --all\n"


# The console


def test_the_console_opens_by_a_link_with_the_rights_of_the_token_in_use(local: Local) -> None:
    ran = local("console", "--print")
    assert ran.code == 0, ran.err
    [link] = ran.out.splitlines()
    base_url, _, code = link.partition("/console#sign-in=")
    assert base_url == local.ready.base_url
    assert "The link signs one person in, once, until" in ran.err
    signed_in = httpx.post(
        f"{base_url}/console/sign-in", json={"code": code}, timeout=STUCK_SECONDS, trust_env=False, verify=False
    )
    assert signed_in.json()["scopes"] == ["manage"]
    assert local("console", "--print", "--json").json["url"] != link


def test_the_page_of_a_server_opens_by_its_name(local: Local) -> None:
    made = local("server", "create", "--name", "paged", "--json").json
    ran = local("open", "paged", "--print")
    assert ran.code == 0, ran.err
    link, _, place = ran.out.strip().partition("#sign-in=")[2].partition("/")
    assert place == f"servers/{made['integrated_account_id']}/{made['id']}"
    signed_in = httpx.post(
        f"{local.ready.base_url}/console/sign-in",
        json={"code": link},
        timeout=STUCK_SECONDS,
        trust_env=False,
        verify=False,
    )
    assert signed_in.status_code == 201
    assert "/" not in local("open", "--print").out.partition("#sign-in=")[2]
    unknown = local("open", "none-such", "--print")
    assert (unknown.code, unknown.out) == (1, "")


def test_the_console_is_opened_in_the_browser(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def open_page(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", open_page)
    ran = local("console")
    assert ran.code == 0, ran.err
    assert opened == [ran.out.strip()]
    assert "The console is open in the browser." in ran.err
