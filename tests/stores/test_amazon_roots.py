"""The roots that DynamoDB's certificate is checked against."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import certifi

from functions.stores.amazon_roots import AMAZON_ROOTS
from functions.stores.dynamodb_light import LightDynamoStore

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----", re.DOTALL)
KEYS = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}


def context(**environment: str) -> ssl.SSLContext:
    made = LightDynamoStore("t", {**KEYS, **environment})._tls
    assert made is not None
    return made


def test_each_root_is_one_that_certifi_has() -> None:
    known = set(CERTIFICATE.findall(Path(certifi.where()).read_text("ascii")))
    found = CERTIFICATE.findall(AMAZON_ROOTS)
    assert len(found) == 5
    assert set(found) <= known


def test_an_endpoint_of_aws_is_vouched_for_by_amazon_alone() -> None:
    names = [dict(entry[0] for entry in root["subject"]) for root in context().get_ca_certs()]  # type: ignore[misc]
    assert {name["organizationName"] for name in names} == {"Amazon", "Starfield Technologies, Inc."}


def test_the_certificate_and_the_host_name_are_checked() -> None:
    made = context()
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_another_endpoint_is_checked_against_the_roots_of_the_machine() -> None:
    assert len(context(AWS_ENDPOINT_URL="https://dynamodb.internal.example").get_ca_certs()) != 5
