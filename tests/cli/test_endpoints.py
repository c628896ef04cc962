"""Names for several endpoints, what an endpoint holds, and what is wrong with it."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.gateway.grants import write_time
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Put
from tests.cli.conftest import Local, Ran, run


def _at(home: Path, *words: str, **variables: str) -> Ran:
    """A command in a shell that knows no endpoint but the named ones."""
    environment = {"HOME": str(home), "POSTERN_STATE_DIR": str(home / "none"), **variables}
    return run(*words, environment=environment)


def test_a_name_stands_for_an_endpoint_and_its_token(local: Local, tmp_path: Path) -> None:
    add = ["endpoint", "add", "prod", "--url", local.ready.base_url + "/", "--api-token", "env:SECRET"]
    made = _at(tmp_path, *add, SECRET=local.ready.api_token)
    assert made.code == 0, made.err
    file = tmp_path / ".config" / "postern" / "endpoints.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for _ in range(3):
        assert _at(tmp_path, "whoami", "--endpoint", "prod").out.startswith("id          tok_root")
        assert _at(tmp_path, "whoami", POSTERN_ENDPOINT="prod").code == 0
    shown = _at(tmp_path, "endpoint", "list")
    assert shown.out.splitlines()[1].split() == ["prod", local.ready.base_url]
    assert local.ready.api_token not in shown.out + made.out + made.err
    unknown = _at(tmp_path, "whoami", "--endpoint", "prd")
    assert (unknown.code, unknown.err) == (2, 'postern: there is no endpoint "prd"; did you mean "prod"? valid: prod\n')
    elsewhere = _at(tmp_path, "whoami", "--endpoint", "http://127.0.0.1:1", POSTERN_ENDPOINT="prod")
    assert elsewhere.err.startswith("postern: no API token for http://127.0.0.1:1"), "a token stays with its endpoint"
    assert _at(tmp_path, "endpoint", "remove", "prod").code == 0
    assert _at(tmp_path, "whoami", "--endpoint", "prod").code == 2


def test_a_file_of_names_that_is_something_else_is_said(tmp_path: Path) -> None:
    file = tmp_path / ".config" / "postern" / "endpoints.json"
    file.parent.mkdir(parents=True)
    file.write_text("[]", encoding="utf-8")
    ran = _at(tmp_path, "endpoint", "list")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith("endpoints.json cannot be read (AttributeError); mend it, or remove it\n")


def test_the_status_shows_what_an_endpoint_holds(local: Local) -> None:
    shown = local("status", "--json").json
    assert shown["endpoint"] == local.ready.base_url
    assert shown["API token"] == "root"
    assert "active" in shown["accounts"].values()
    assert shown["servers"] >= 1
    before = shown["expire within 24h"]
    made = local("server", "create", "--expires-in", "1h", "--json").json
    assert local("status", "--json").json["expire within 24h"] == before + 1
    assert local("server", "revoke", made["id"]).code == 0


def test_the_doctor_finds_a_refused_credential_and_an_open_file(local: Local) -> None:
    well = local("doctor")
    assert well.code == 0, well.out
    account = local("account", "get", "--json").json
    store = SqliteStore(Path(local.state_dir) / "postern.sqlite")
    state = {"status": "needs_reauth", "at": write_time(datetime.now(UTC))}
    store.write([Put(layout.account_state(account["id"]), state)])
    file = Path(local.state_dir) / "local.json"
    file.chmod(0o644)
    try:
        ill = local("doctor")
        assert ill.code == 1
        assert f"WRONG  account {account['name']}: the upstream refuses its credential since" in ill.out
        assert f"`postern account update {account['id']} --credential ...`" in ill.out
        assert f"WRONG  state folder: {file} can be read by other users; run: chmod 600 {file}" in ill.out
        assert ill.err.endswith("2 wrong\n")
    finally:
        file.chmod(0o600)
        state = {"status": "active", "at": write_time(datetime.now(UTC))}
        store.write([Put(layout.account_state(account["id"]), state)])
        store.close()


@pytest.mark.parametrize("words", [["status"], ["doctor"]])
def test_without_an_endpoint_both_say_so(words: list[str], empty: dict[str, str]) -> None:
    ran = run(*words, environment=empty)
    assert ran.code == 1
    assert "no endpoint: start one here with `postern serve`" in ran.out + ran.err
