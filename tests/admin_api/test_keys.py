"""Who opens an account's data key: a key file, or KMS."""

from __future__ import annotations

import base64
import random
import threading
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from starlette.testclient import TestClient

from functions.admin_api.accounts.keys import KeyFailure, KmsKeys, LocalKeys
from functions.admin_api.app import create_app
from functions.gateway.errors import PosternError, Unavailable
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.stores import layout
from tests.admin_api.conftest import Plane
from tests.patience import STUCK_SECONDS
from tool_catalog import compiled_file

DATA_KEY = bytes(range(32))


def local(path: Path, seed: int = 1) -> LocalKeys:
    return LocalKeys(path, random.Random(seed).randbytes)


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "account.key"
    wrapped = local(path).wrap(DATA_KEY, "acc_1")
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert len(base64.b64decode(path.read_text())) == 32
    assert DATA_KEY not in wrapped
    assert local(path, seed=2).unwrap(wrapped, "acc_1") == DATA_KEY
    assert [file.name for file in path.parent.iterdir()] == ["account.key"]


def test_a_wrapped_key_opens_for_its_own_account_only(tmp_path: Path) -> None:
    path = tmp_path / "account.key"
    wrapped = local(path).wrap(DATA_KEY, "acc_1")
    with pytest.raises(KeyFailure):
        local(path).unwrap(wrapped, "acc_2")


def test_another_key_file_does_not_open_it_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    wrapped = local(tmp_path / "a.key").wrap(DATA_KEY, "acc_1")
    path = tmp_path / "b.key"
    with pytest.raises(KeyFailure) as caught:
        local(path, seed=2).unwrap(wrapped, "acc_1")
    assert caught.value.message == (
        f"the key file {path} does not open account acc_1: the account was connected with another file. "
        "Restore that file, or connect the account again"
    )


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "account.key"
    local(path).wrap(DATA_KEY, "acc_1")
    path.chmod(0o644)
    with pytest.raises(KeyFailure, match=f"can be read by other users; run: chmod 600 {path}"):
        local(path).wrap(DATA_KEY, "acc_1")


@pytest.mark.parametrize("text", ["", "not base64 !", "c2hvcnQ=", "ÿ"])
def test_a_damaged_key_file_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "account.key"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(KeyFailure, match="does not hold a key"):
        local(path).wrap(DATA_KEY, "acc_1")
    assert path.read_text(encoding="latin-1") == text


def test_processes_that_start_together_use_the_same_key_file(tmp_path: Path) -> None:
    path = tmp_path / "account.key"
    wrapped: list[bytes] = []
    workers = [
        threading.Thread(target=lambda seed=seed: wrapped.append(local(path, seed).wrap(DATA_KEY, "acc_1")))
        for seed in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(STUCK_SECONDS)
    assert [local(path).unwrap(box, "acc_1") for box in wrapped] == [DATA_KEY] * 8


def test_a_lost_key_file_is_told_to_the_operator_and_nothing_is_overwritten(plane: Plane, account: str) -> None:
    """The process starts again without it: what was sealed before does not open."""
    key_file = plane.folder / "keys" / "account.key"
    key_file.unlink()
    settings = Settings(state_dir=str(plane.folder))
    app = create_app(
        settings, plane.store, {"mem0": compiled_file.load("mem0")}, local(key_file, seed=9), Sender(settings)
    )
    with TestClient(app, headers={"authorization": f"Bearer {plane.root}"}) as client:
        before = plane.store.query(layout.ACCOUNTS)
        answer = client.post(f"/integrated-account/{account}/mcp", json={"name": "s"})
        assert answer.status_code == 500
        assert answer.json()["message"].startswith(f"the key file {key_file} does not open account {account}")
        assert plane.store.query(layout.ACCOUNTS) == before
        assert plane.store.query(layout.servers(account)) == []


@pytest.fixture
def kms() -> Stubber:
    client = boto3.client("kms", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="y")
    return Stubber(client)


def test_kms_binds_the_wrapped_key_to_the_account(kms: Stubber) -> None:
    context = {"account_id": "acc_1"}
    kms.add_response(
        "encrypt",
        {"CiphertextBlob": b"wrapped"},
        {"KeyId": "alias/postern", "Plaintext": DATA_KEY, "EncryptionContext": context},
    )
    kms.add_response(
        "decrypt",
        {"Plaintext": DATA_KEY},
        {"KeyId": "alias/postern", "CiphertextBlob": b"wrapped", "EncryptionContext": context},
    )
    with kms:
        keys = KmsKeys("alias/postern", cast(Any, kms.client))
        assert keys.unwrap(keys.wrap(DATA_KEY, "acc_1"), "acc_1") == DATA_KEY
    kms.assert_no_pending_responses()


def test_kms_that_throttles_is_worth_repeating(kms: Stubber) -> None:
    kms.add_client_error("decrypt", "ThrottlingException", "slow", 400)
    with kms, pytest.raises(Unavailable) as caught:
        KmsKeys("k", cast(Any, kms.client)).unwrap(b"wrapped", "acc_1")
    assert caught.value.message == "the data key could not be opened: KMS returned ThrottlingException"
    assert caught.value.retry_after == 1


def test_kms_that_refuses_says_what_to_check(kms: Stubber) -> None:
    kms.add_client_error("encrypt", "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized", 400)
    with kms, pytest.raises(KeyFailure) as caught:
        KmsKeys("k", cast(Any, kms.client)).wrap(DATA_KEY, "acc_1")
    assert caught.value.message == (
        "the data key could not be wrapped: KMS returned AccessDeniedException; check POSTERN_KMS_KEY_ID and the "
        "role's permission on it"
    )


def test_kms_that_is_out_of_reach_is_worth_repeating(kms: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**arguments: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://kms.example")

    monkeypatch.setattr(kms.client, "decrypt", unreachable)
    with pytest.raises(Unavailable, match="KMS is out of reach"):
        KmsKeys("k", cast(Any, kms.client)).unwrap(b"wrapped", "acc_1")


def test_what_kms_denies_is_counted_and_what_passes_is_not(kms: Stubber) -> None:
    counted: list[tuple[str, str]] = []

    def count(metric: str, *, error: str) -> None:
        counted.append((metric, error))

    codes = ("AccessDeniedException", "DisabledException", "ThrottlingException", "KMSInvalidStateException")
    for code in codes:
        kms.add_client_error("decrypt", code, "no", 400)
    with kms:
        for _ in codes:
            with pytest.raises(PosternError):
                KmsKeys("k", cast(Any, kms.client), count).unwrap(b"wrapped", "acc_1")
    assert counted == [
        ("kms_denials", code) for code in ("AccessDeniedException", "DisabledException", "KMSInvalidStateException")
    ]
