"""One context for all upstreams, which checks certificates and names against the roots of certifi."""

from __future__ import annotations

import ssl
import threading

import certifi

from functions.gateway import upstream_tls


def test_the_roots_are_those_that_certifi_names() -> None:
    assert str(upstream_tls.roots()) == certifi.where()


def test_every_caller_gets_the_one_context_also_while_it_is_made() -> None:
    upstream_tls.prepare()
    found: list[ssl.SSLContext] = []
    threads = [threading.Thread(target=lambda: found.append(upstream_tls.context())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert {id(one) for one in found} == {id(upstream_tls.context())}


def test_certificates_and_names_are_checked() -> None:
    made = upstream_tls.context()
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(made.get_ca_certs()) > 100
