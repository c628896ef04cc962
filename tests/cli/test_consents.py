"""`postern server consents` and `end-consent`: who signed in to a server, and the end of one sign-in."""

from __future__ import annotations

import pytest

from tests.admin_api.oauth.signing_in import signed_in
from tests.cli.conftest import Local


def test_an_operator_lists_who_signed_in_and_ends_one(local: Local) -> None:
    name = "signed in"
    minted = local("server", "create", "--name", name, "--require-api-token", "--json").json
    assert local("server", "consents", name, "--json").json == []
    person = local("api-token", "create", "--name", "anna", "--json").json
    for client in ("First", "Second", "Third"):
        signed_in(local.ready.base_url, minted["url"], person["token"], client)
    listed = local("server", "consents", name, "--json").json
    assert {(one["person"], one["client_name"]) for one in listed} == {
        ("anna", client) for client in ("First", "Second", "Third")
    }
    table = local("server", "consents", name).out
    assert all(one["id"] in table for one in listed)
    gone = next(one for one in listed if one["client_name"] == "Second")
    ran = local("server", "end-consent", name, gone["id"])
    assert (ran.code, ran.out) == (0, "Second no longer acts for anna on this server\n")
    left = local("server", "consents", name, "--json").json
    assert {one["client_name"] for one in left} == {"First", "Third"}
    again = local("server", "end-consent", name, gone["id"])
    assert again.code == 1
    assert f'has no consent "{gone["id"]}"; it has ended, or never was' in again.err


@pytest.mark.parametrize("text", ["..", ".", ""])
def test_a_text_that_would_change_the_path_is_no_id(local: Local, text: str) -> None:
    """An HTTP client takes `mcp/SERVER/consent/..` for the server itself, which DELETE would revoke."""
    minted = local("server", "create", "--json").json
    ran = local("server", "end-consent", minted["id"], text)
    assert (ran.code, ran.out) == (2, "")
    assert local("server", "get", minted["id"]).code == 0
