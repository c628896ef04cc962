"""What a credential may be sent to: base URLs as operators write them, addresses as resolvers give them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from functions.gateway import addresses
from functions.gateway.addresses import check_base_url, is_public
from functions.gateway.errors import Invalid, Unavailable
from functions.gateway.waits.names import Busy
from functions.gateway.waits.resolver import Resolver

PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")
PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1"),
    *("fd00:ec2::254", "ff02::1", "2001:db8::1", "3fff::1", "fec0::1", "100::1", "::ffff:127.0.0.1"),
    *("192.88.99.1", "192.0.0.9", "192.0.0.10", "168.63.129.16", "::ffff:168.63.129.16", "2002:c058:6301::"),
    *("::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "::127.0.0.1"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_around_us_is_not_public_in_any_spelling(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://api.mem0.ai", 'base_url is "http://api.mem0.ai"; it must start with https:// and a host'),
        ("https://", 'base_url is "https://"; it must start with https:// and a host'),
        ("api.mem0.ai", 'base_url is "api.mem0.ai"; it must start with https:// and a host'),
        ("https://[::1", 'base_url is not a URL; write it like https://api.example.com'),
        ("https://user:pass@api.mem0.ai",
         "base_url contains a user name or password; remove it and send the secret under credentials"),
        ("https://api.mem0.ai?key=1", "base_url has a query or a fragment; remove it"),
        ("https://api.mem0.ai#x", "base_url has a query or a fragment; remove it"),
        ("https://api.mem0.ai\\@evil.example",
         "base_url contains a user name or password; remove it and send the secret under credentials"),
        ("https://api.mem0.ai\\evil",
         'base_url is "https://api.mem0.ai\\\\evil"; it must be a plain ASCII URL with a valid port'),
        ("https://ａpi.mem0.ai", 'base_url is "https://ａpi.mem0.ai"; it must be a plain ASCII URL with a valid port'),
        ("https://api.mem0.ai/../x",
         'base_url is "https://api.mem0.ai/../x"; the path must not hold "." or ".." as a segment'),
        ("https://api.mem0.ai/v1/%2e%2E/x",
         'base_url is "https://api.mem0.ai/v1/%2e%2E/x"; the path must not hold "." or ".." as a segment'),
        ("https://api.mem0.ai/v1/.%2e",
         'base_url is "https://api.mem0.ai/v1/.%2e"; the path must not hold "." or ".." as a segment'),
        ("https://api.mem0.ai/a%2",
         'base_url is "https://api.mem0.ai/a%2"; the path holds a character that a URL must percent-encode'),
        ("https://api.mem0.ai%00.evil.example",
         'base_url is "https://api.mem0.ai%00.evil.example"; '
         "the host must be an IP address or a name of letters, digits, dots and hyphens"),
        ("https://[2606:4700::1111%25eth0]\x7f",
         'base_url is "https://[2606:4700::1111%25eth0]\x7f"; it must be a plain ASCII URL with a valid port'),
        ("https://-api.mem0.ai",
         'base_url is "https://-api.mem0.ai"; '
         "the host must be an IP address or a name of letters, digits, dots and hyphens"),
        ("https://api.mem0.ai:22",
         'base_url is "https://api.mem0.ai:22"; port 22 belongs to another protocol; '
         "valid: 80, 443, and 1024 to 65535"),
        ("https://api.mem0.ai:25/",
         'base_url is "https://api.mem0.ai:25/"; port 25 belongs to another protocol; '
         "valid: 80, 443, and 1024 to 65535"),
        ("https://mem0.ai:0", 'base_url is "https://mem0.ai:0"; it must be a plain ASCII URL with a valid port'),
    ],
)  # fmt: skip
def test_a_base_url_that_is_not_a_plain_https_origin_is_refused(url: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_base_url(url, private=False)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "localhost", "LOCALHOST", "localhost.", "db", "printer.local", "api.internal", "metadata.google.internal",
        "x.localhost",
    ],
)  # fmt: skip
def test_a_base_url_into_a_private_network_is_refused(host: str) -> None:
    with pytest.raises(Invalid, match="is not on the public internet, and credentials are not sent there"):
        check_base_url(f"https://{host}/api", private=False)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.mem0.ai", "https://api.mem0.ai"),
        ("https://api.mem0.ai:8443/v1/", "https://api.mem0.ai:8443/v1"),
        ("https://api.mem0.ai:443/a%2Fb/v1.0/...", "https://api.mem0.ai:443/a%2Fb/v1.0/..."),
        ("https://api.mem0.ai:/v1", "https://api.mem0.ai:/v1"),
        ("https://api_eu.mem0.ai", "https://api_eu.mem0.ai"),
        ("https://8.8.8.8", "https://8.8.8.8"),
        ("https://[2606:4700::1111]", "https://[2606:4700::1111]"),
    ],
)
def test_a_public_https_base_url_is_kept_without_its_last_slash(url: str, kept: str) -> None:
    assert check_base_url(url, private=False) == kept


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000", "https://db", "http://127.0.0.1:80"])
def test_private_base_urls_are_allowed_where_settings_say_so(url: str) -> None:
    assert check_base_url(url, private=True) == url


def resolving(*found: str) -> Resolver:
    return Resolver(lambda host, port, **how: [(socket.AF_INET, how["type"], 6, "", (one, port)) for one in found])


def resolved(resolver: Resolver, *, private: bool) -> list[str]:
    return asyncio.run(addresses.resolve("api.example", 443, private=private, names=resolver))


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(addresses.NotPublic, match="the name resolves to a private address"):
        resolved(resolving("8.8.8.8", "10.0.0.1"), private=False)
    assert resolved(resolving("8.8.8.8", "10.0.0.1"), private=True) == ["8.8.8.8", "10.0.0.1"]


def test_all_addresses_of_a_public_name_are_known_in_the_resolvers_order() -> None:
    assert resolved(resolving("1.1.1.1", "8.8.8.8", "1.1.1.1"), private=False) == ["1.1.1.1", "8.8.8.8"]


def test_a_name_without_an_address_does_not_resolve() -> None:
    with pytest.raises(addresses.Unresolved):
        resolved(resolving(), private=True)


def test_a_base_url_is_refused_for_what_its_name_resolves_to() -> None:
    class Crowded(Resolver):
        async def addresses(self, host: str, port: int) -> list[str]:
            raise Busy

    async def check(resolver: Resolver) -> None:
        await addresses.check_resolves("https://api.example", resolver)

    asyncio.run(check(resolving("8.8.8.8")))
    with pytest.raises(Invalid, match=r"base_url: the host api\.example does not resolve; check its spelling"):
        asyncio.run(check(resolving()))
    with pytest.raises(Invalid, match="resolves to an address that is not on the public internet"):
        asyncio.run(check(resolving("10.0.0.1")))
    with pytest.raises(Unavailable, match="nothing was saved, try again later"):
        asyncio.run(check(Crowded()))
