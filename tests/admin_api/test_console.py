"""The console's files and their headers, and signing in by a link that works once."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from functions.admin_api.console.files import FOLDER
from functions.admin_api.operations import OPERATIONS
from functions.stores import layout
from functions.stores.store import Delete
from tests.admin_api.conftest import Plane

PREACT_SHA256 = "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7"
"""Of htm/preact/standalone.module.js in the npm package htm 3.1.1."""


def code_of(plane: Plane, **more: str) -> str:
    made = plane.ok("POST", "/console/sign-in-link", **more)
    assert made["url"].startswith("https://postern.example/console#sign-in=")
    return str(made["url"].partition("#sign-in=")[2])


def test_a_link_signs_in_once_with_the_rights_of_its_maker(plane: Plane, account: str) -> None:
    limited = plane.ok("POST", "/api-token", {"name": "desk", "scopes": ["read", "call"], "account_ids": [account]})
    code = code_of(plane, token=limited["token"])
    session = plane.ok("POST", "/console/sign-in", {"code": code}, token="")
    assert (session["scopes"], session["account_ids"]) == (["read", "call"], [account])
    assert session["name"] == f"console {session['id'].removeprefix('tok_')} of desk"
    assert session["expires_at"] == "2026-11-22T00:00:00Z"
    plane.ok("GET", "/integrated-account", token=session["token"])
    for _ in range(3):
        refused = plane.refused("POST", "/console/sign-in", {"code": code}, status=401, token="")
        assert refused["message"].startswith("this sign-in link was used, has expired or was never made")


def test_the_log_says_who_signed_in(plane: Plane) -> None:
    sessions = [plane.ok("POST", "/console/sign-in", {"code": code_of(plane)}, token="") for _ in range(3)]
    plane.refused("POST", "/console/sign-in", {"code": "x" * 43}, status=401, token="")
    entries = plane.ok("GET", "/log?kind=decision&action=signIn")["result"]
    shown = [(entry["principal"], entry["api_token_id"], entry["outcome"]) for entry in entries]
    ids = [session["id"] for session in sessions]
    assert sorted(shown) == sorted([("", "", "refused"), *((one, one, "ok") for one in ids)])


def test_a_session_does_not_outlive_the_token_behind_it(plane: Plane) -> None:
    short = plane.ok(
        "POST", "/api-token", {"name": "short", "scopes": ["manage"], "expires_at": "2026-11-21T13:00:00Z"}
    )
    session = plane.ok("POST", "/console/sign-in", {"code": code_of(plane, token=short["token"])}, token="")
    assert session["expires_at"] == "2026-11-21T13:00:00Z"


def test_a_link_of_a_revoked_token_signs_nobody_in(plane: Plane) -> None:
    gone = plane.ok("POST", "/api-token", {"name": "gone", "scopes": ["read"]})
    code = code_of(plane, token=gone["token"])
    plane.ok("DELETE", f"/api-token/{gone['id']}")
    refused = plane.refused("POST", "/console/sign-in", {"code": code}, status=401, token="")
    assert refused["message"] == "the API token behind this request was revoked or has expired"


def test_a_link_lives_for_fifteen_minutes(plane: Plane) -> None:
    code = code_of(plane)
    plane.clock.advance(minutes=15)
    plane.refused("POST", "/console/sign-in", {"code": code}, status=401, token="")


def test_the_root_token_of_the_environment_signs_in(plane: Plane) -> None:
    session = plane.ok("POST", "/console/sign-in", {"code": code_of(plane)}, token="")
    assert session["scopes"] == ["manage"]


def test_neither_the_code_nor_a_token_is_in_the_store_or_the_log(plane: Plane) -> None:
    code = code_of(plane)
    [stored] = plane.store.get([layout.sign_in(hashlib.sha256(code.encode()).hexdigest())])
    assert stored is not None
    assert code not in repr(stored.body)
    session = plane.ok("POST", "/console/sign-in", {"code": code}, token="")
    written = plane.decision_lines.getvalue()
    assert "signIn" in written
    assert session["id"] in written
    assert code not in written
    assert session["token"] not in written


def test_two_uses_at_the_same_moment_make_one_session(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    code = code_of(plane)
    key = layout.sign_in(hashlib.sha256(code.encode()).hexdigest())
    read = plane.store.get

    def raced(keys: list[object]) -> object:
        items = read(keys)  # type: ignore[arg-type]
        if keys == [key]:
            plane.store.write([Delete(key)])
        return items

    monkeypatch.setattr(plane.store, "get", raced)
    plane.refused("POST", "/console/sign-in", {"code": code}, status=401, token="")


@pytest.mark.parametrize("path", ["/console", "/console/main.js", "/console/console.css", "/console/vendor/x.js"])
def test_every_file_has_headers_that_let_nothing_else_run(plane: Plane, path: str) -> None:
    answer = plane.call("GET", path, token="")
    if path.endswith("x.js"):
        assert answer.status_code == 404
        return
    for _ in range(3):
        answer = plane.call("GET", path, token="")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        for forbidden in ("unsafe-inline", "unsafe-eval", "data:", "*", "http"):
            assert forbidden not in policy
        assert "frame-ancestors 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    again = plane.call("GET", path, token="", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_no_file_outside_the_folder_is_served(plane: Plane) -> None:
    for path in ("/console/../files.py", "/console/%2e%2e/files.py", "/console//etc/passwd", "/console/"):
        assert plane.call("GET", path, token="").status_code == 404


def test_the_vendored_library_is_the_published_one() -> None:
    [vendored] = (FOLDER / "vendor").glob("*.js")
    assert hashlib.sha256(vendored.read_bytes()).hexdigest() == PREACT_SHA256


def test_no_file_names_another_host_stores_anything_or_makes_markup_of_text() -> None:
    for path in FOLDER.rglob("*.js"):
        if path.parent.name == "vendor":
            continue
        source = path.read_text(encoding="utf-8")
        for forbidden in ("localStorage", "sessionStorage", "indexedDB", "document.cookie", "innerHTML", "eval("):
            assert forbidden not in source, (path.name, forbidden)
        assert re.findall(r"https?://(?!www\.w3\.org)", source) == [], path.name


def test_every_import_names_a_file_that_exists() -> None:
    for path in FOLDER.rglob("*.js"):
        for target in re.findall(r"""from ["'](\.[^"']+)["']""", path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), (path.name, target)


WITHOUT_A_SCREEN = {
    "getApiToken": "the list of API tokens has every member",
    "createSignInLink": "the command line makes links",
    **{f"{verb}Trust": "the command line manages trusts" for verb in ("create", "get", "update", "remove")},
    **{
        f"{verb}Proxy{item}": "the console runs each tool by POST and the name of its method"
        for verb in ("get", "post", "put", "patch", "delete")
        for item in ("", "Item")
        if (verb, item) != ("post", "Item")
    },
}
"""Operation -> why no screen asks for it."""


def test_every_operation_of_the_api_can_be_reached_by_clicking() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.js"))
    for operation in OPERATIONS:
        pattern = re.sub(r"\\\{\w+\\\}", r"(\\$\\{[^}]+\\}|-)", re.escape(operation.path))
        verb = rf"""ask(Whole)?\("{operation.verb.upper()}",\s*"""
        verb = rf"({verb}|ask(All|File)\()" if operation.verb == "get" else verb
        asked = re.search(rf"""{verb}(path)?["`]{pattern}["`]""", source) is not None
        assert asked is not (operation.name in WITHOUT_A_SCREEN), operation.name


MODULES = sorted(path for path in FOLDER.parent.rglob("*.js") if "vendor" not in path.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FOLDER.parent)))
def test_what_a_module_imports_is_exported_where_it_says(path: Path) -> None:
    """A browser refuses a whole page over one name; this finds it without a browser."""
    for names, place in re.findall(r'^import \{([^}]*)\} from "([^"]+)";$', path.read_text("utf-8"), re.MULTILINE):
        imported = (path.parent / place).resolve()
        source = imported.read_text("utf-8")
        exported = set(re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", source, re.MULTILINE))
        for together in re.findall(r"export\{([^}]*)\}", source):
            exported |= {one.split(" as ")[-1].strip() for one in together.split(",")}
        wanted = {name.split(" as ")[0].strip() for name in names.split(",") if name.strip()}
        assert wanted <= exported, f"{imported.name} does not export {', '.join(sorted(wanted - exported))}"
