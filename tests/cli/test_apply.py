"""Servers as a file: what is different is shown, asked for, made once; what is alike stays untouched."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from functions.gateway.settings import Settings
from functions.local import start
from tests.cli.conftest import Local

FLEET = """
servers:
  - name: agent
    count: 3
    labels: {team: support}
    config: {methods: [read], rate_limit: {calls_per_minute: 60}}
    expires_at: 2099-12-31T23:59:59Z
  - name: desk
    config: {tags: [memories]}
"""

Write = Callable[[str], str]


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> Iterator[Local]:
    """An endpoint that no other test changes, with the one server that serve makes."""
    state_dir = str(tmp_path / "state")
    with start(Settings(state_dir=state_dir), {}) as ready:
        yield Local(ready, state_dir)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file and gives its path."""

    def written(text: str) -> str:
        path = tmp_path / "servers.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


def test_a_file_is_planned_made_and_then_found_to_be_so(own: Local, write: Write, tmp_path: Path) -> None:
    file, secrets = write(FLEET), tmp_path / "urls.jsonl"
    planned = own("apply", file, "--dry-run")
    assert planned.code == 0
    assert [line for line in planned.out.splitlines() if line.startswith("+")] == [
        f"+ {name} ({own.ready.account_id})" for name in ("agent-1", "agent-2", "agent-3", "desk")
    ]
    assert planned.err == "4 to mint, 0 to change, 0 to revoke\n"
    nowhere = own("apply", file, "--yes")
    assert (nowhere.code, nowhere.err.splitlines()[-1]) == (
        2, "postern: the file has new servers; give --secrets FILE, where their URLs go"
    )  # fmt: skip
    assert len(own("server", "list", "--json").json) == 1
    made = own("apply", file, "--secrets", str(secrets), stdin="y\n")
    assert made.code == 0, made.err
    assert "/mcp/" not in made.out + made.err
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    kept = [json.loads(line) for line in secrets.read_text().splitlines()]
    assert [entry["name"] for entry in kept] == ["agent-1", "agent-2", "agent-3", "desk"]
    assert own("tools", "--url", kept[0]["url"]).code == 0
    for _ in range(3):
        again = own("apply", file)
        assert (again.code, again.out, again.err) == (0, "", "0 to mint, 0 to change, 0 to revoke\n")


def test_a_difference_is_shown_and_changed_and_nothing_else(own: Local, write: Write, tmp_path: Path) -> None:
    secrets = str(tmp_path / "urls.jsonl")
    assert own("apply", write(FLEET), "--secrets", secrets, "--yes").code == 0
    before = {server["name"]: server for server in own("server", "list", "--json").json}
    changed = FLEET.replace("support", "sales").replace("count: 3", "count: 2").replace("tags: [memories]", "{}")
    changed = changed.replace("config: {{}}", "config: {}")
    ran = own("apply", write(changed), "--yes")
    assert ran.code == 0, ran.err
    assert '    labels.team: "support" -> "sales"' in ran.out.splitlines()
    assert '    config.tags: ["memories"] -> -' in ran.out.splitlines()
    assert ran.err.startswith("0 to mint, 3 to change, 0 to revoke\n")
    after = {server["name"]: server for server in own("server", "list", "--json").json}
    assert after["agent-1"]["labels"] == {"team": "sales"}
    assert after["agent-1"]["id"] == before["agent-1"]["id"]
    assert after["agent-3"] == before["agent-3"]
    assert after["desk"]["config"]["tags"] == []


def test_other_servers_are_revoked_only_when_pruning_and_after_a_question(
    own: Local, write: Write, tmp_path: Path
) -> None:
    file = write("servers:\n  - {name: kept}\n")
    assert own("apply", file, "--secrets", str(tmp_path / "urls.jsonl"), "--yes").code == 0
    assert own("apply", file).err == "0 to mint, 0 to change, 0 to revoke\n"
    declined = own("apply", file, "--prune", stdin="\n")
    assert declined.code == 1
    assert declined.err.endswith("postern: nothing was changed; --yes goes on without asking\n")
    assert len(own("server", "list", "--json").json) == 2
    assert own("apply", file, "--prune", stdin="yes\n").code == 0
    assert [server["name"] for server in own("server", "list", "--json").json] == ["kept"]


def test_an_export_is_a_file_that_changes_nothing(own: Local, write: Write, tmp_path: Path) -> None:
    assert own("apply", write(FLEET), "--secrets", str(tmp_path / "urls.jsonl"), "--yes").code == 0
    exported = own("export")
    assert "token" not in exported.out
    assert "/mcp/" not in exported.out
    again = own("apply", write(exported.out), "--prune")
    assert (again.code, again.out, again.err) == (0, "", "0 to mint, 0 to change, 0 to revoke\n")
    chosen = own("export", "--label", "team=support", "--json").json
    assert [server["name"] for server in chosen["servers"]] == ["agent-1", "agent-2", "agent-3"]


def test_a_server_that_is_refused_ends_the_run_which_can_be_repeated(own: Local, write: Write, tmp_path: Path) -> None:
    secrets = tmp_path / "urls.jsonl"
    broken = write("servers:\n  - {name: a}\n  - {name: b, config: {methods: [raed]}}\n  - {name: c}\n")
    ran = own("apply", broken, "--secrets", str(secrets), "--yes")
    assert ran.code == 1
    assert 'b: Bad Request (400): --methods: "raed" is unknown' in ran.err
    assert ran.err.endswith("1 change of 3 were made; repeat the command to go on\n")
    mended = write("servers:\n  - {name: a}\n  - {name: b, config: {methods: [read]}}\n  - {name: c}\n")
    assert own("apply", mended, "--secrets", str(secrets), "--yes").code == 0
    assert [json.loads(line)["name"] for line in secrets.read_text().splitlines()] == ["a", "b", "c"]


def test_a_file_for_secrets_that_others_can_read_is_refused_before_anything_is_minted(
    own: Local, write: Write, tmp_path: Path
) -> None:
    secrets = tmp_path / "urls.jsonl"
    secrets.touch(mode=0o644)
    secrets.chmod(0o644)
    ran = own("apply", write("servers:\n  - {name: a}\n"), "--secrets", str(secrets), "--yes")
    assert ran.code == 1
    assert ran.err.endswith(f"postern: {secrets} can be read by other users; run: chmod 600 {secrets}\n")
    assert len(own("server", "list", "--json").json) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("servers: [", "is not YAML at line 1"),
        ("[]", "must have one key, servers, with a list"),
        ("servers: {}", "must have one key, servers, with a list"),
        ("servers:\n  - {nam: a}", 'servers.0.nam: unknown key; did you mean "name"?'),
        ("servers:\n  - {name: a, count: 0}", "servers.0.count must be a whole number from 1 to 1000"),
        ("servers:\n  - {name: a, labels: [x]}", "servers.0.labels is not an object"),
        ("servers:\n  - {name: a, expires_at: 2026-12-31}", "servers.0.expires_at must be a time with its offset"),
        ("servers:\n  - {name: a}\n  - {name: a}", "stands in the file twice"),
        ("trusts: {}", "it can have trusts, with a list, as well or alone"),
        ("trusts: [1]", "trusts.0 is not an object"),
        ("trusts:\n  - {name: a, repository: b}", "trusts.0.repository: unknown key"),
        ("trusts:\n  - {name: a}", "trusts.0.mint is missing, or is not an object"),
        ("trusts:\n  - {name: a, claims: {sub: [b]}, accounts: [{a: b}], mint: {max_lifetime_seconds: 1}}",
         "trusts.0.accounts must list names or ids of accounts"),
        ("trusts:\n  - {name: a, claims: {sub: b}, accounts: [c], mint: {max_lifetime_seconds: 1}}",
         'trusts.0.claims.sub must be a list of texts, e.g. ["74"]'),
        ("trusts:\n  - {name: a, claims: {repository_id: [74]}, accounts: [c], mint: {max_lifetime_seconds: 1}}",
         "trusts.0.claims.repository_id must be a list of texts"),
        ("trusts:\n  - {name: a, claims: {7: [a]}, accounts: [c], mint: {max_lifetime_seconds: 1}}",
         "trusts.0.claims.7 must be a list of texts"),
        ("trusts:\n  - {name: a, issuer: [c], claims: {sub: [b]}, accounts: [c], mint: {max_lifetime_seconds: 1}}",
         "trusts.0.issuer must be a text"),
        ("trusts:\n  - {name: a, claims: {sub: [b]}, accounts: [gone], mint: {max_lifetime_seconds: 1}}",
         'there is no account "gone"'),
    ],
)  # fmt: skip
def test_a_file_that_says_something_else_is_a_usage_error(local: Local, write: Write, text: str, message: str) -> None:
    ran = local("apply", write(text), "--yes")
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


TRUSTS = """
trusts:
  - name: agent CI
    claims: {repository: [octo/agent], ref: [refs/heads/main]}
    accounts: [ACCOUNT, ACCOUNT]
    issuer:
    mint: {methods: [read], pins: {user_id: ci}, max_lifetime_seconds: 3600}
  - name: other CI
    issuer: https://ci.example
    audience: https://postern.example
    claims: {project: ["7"]}
    accounts: [ACCOUNT]
    mint: {max_lifetime_seconds: 60}
"""


def test_trusts_are_planned_made_changed_and_removed_with_the_servers(own: Local, write: Write, tmp_path: Path) -> None:
    text = TRUSTS.replace("ACCOUNT", own.ready.account_id)
    file = write(text)
    planned = own("apply", file, "--dry-run")
    assert [line for line in planned.out.splitlines() if line.startswith("+")] == [
        "+ agent CI (trust)",
        "+ other CI (trust)",
    ]
    assert planned.err == "2 trusts to make, 0 to change, 0 to remove\n"
    assert own("trust", "list", "--json").json == []
    assert own("apply", file, "--yes").code == 0
    for _ in range(3):
        again = own("apply", file)
        assert (again.code, again.out, again.err) == (0, "", "0 trusts to make, 0 to change, 0 to remove\n")
    before = {trust["name"]: trust for trust in own("trust", "list", "--json").json}
    changed = own("apply", write(text.replace("refs/heads/main", "refs/heads/next")), "--yes")
    assert [line for line in changed.out.splitlines() if line.startswith("~")] == ["~ agent CI (trust)"]
    after = {trust["name"]: trust for trust in own("trust", "list", "--json").json}
    assert after["agent CI"]["claims"] == {**before["agent CI"]["claims"], "ref": ["refs/heads/next"]}
    assert after["agent CI"]["audience"] == before["agent CI"]["audience"]
    assert after["other CI"] == before["other CI"]
    fixed = own("apply", write(text.replace("https://ci.example", "https://other.example")), "--yes")
    assert (fixed.code, "the issuer https://ci.example, which cannot be changed" in fixed.err) == (2, True)
    one = text[: text.index("  - name: other CI")]
    assert own("apply", write(one + FLEET), "--prune", "--yes", "--secrets", str(tmp_path / "urls.jsonl")).code == 0
    assert [trust["name"] for trust in own("trust", "list", "--json").json] == ["agent CI"]
    twice = own("apply", write(one + one.partition("trusts:")[2]), "--yes")
    assert (twice.code, "the trust agent CI stands in the file twice" in twice.err) == (2, True)
    exported = own("export").out
    assert "octo/agent" in exported
    nothing = own("apply", write(exported), "--prune", "--yes")
    assert nothing.err == "0 trusts to make, 0 to change, 0 to remove\n0 to mint, 0 to change, 0 to revoke\n"
    assert "octo/agent" not in own("export", "--account", own.ready.account_id).out


def test_an_api_token_with_limits_exports_its_servers_alone(own: Local, write: Write) -> None:
    file = write(TRUSTS.replace("ACCOUNT", own.ready.account_id))
    assert own("apply", file, "--yes").code == 0
    made = own("api-token", "create", "--name", "l", "--scopes", "read", "--accounts", own.ready.account_id, "-q")
    exported = own("export", "--api-token", made.out.strip())
    assert exported.code == 0, exported.err
    assert "octo/agent" not in exported.out
