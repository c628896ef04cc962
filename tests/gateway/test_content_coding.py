"""Bodies are decoded while they arrive: one coding at most, one that was asked for, and never beyond the limit."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from functions.gateway.content_coding import BadCoding, Body, OverLimit

TEXT = b"tea and biscuits " * 200
RAW = zlib.compress(TEXT, wbits=-15)


def decoded(coding: str, wire: bytes) -> bytes:
    body = Body(coding, 10_000)
    body.feed(wire)
    return body.end()


CODED = {
    "no coding": ("", TEXT),
    "identity": ("identity", TEXT),
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip in capitals": (" X-GZIP ", gzip.compress(TEXT)),
    "two members of gzip": ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "gzip and identity": ("gzip, identity", gzip.compress(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "raw deflate": ("deflate", RAW),
}


@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
@pytest.mark.parametrize("case", CODED)
def test_a_body_is_decoded_however_it_is_cut(case: str, step: int) -> None:
    coding, wire = CODED[case]
    body = Body(coding, len(TEXT))
    for start in range(0, len(wire), step):
        body.feed(wire[start : start + step])
    assert body.end() == TEXT


@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
def test_no_bytes_are_an_empty_body(coding: str) -> None:
    assert Body(coding, 10).end() == b""


@pytest.mark.parametrize("case", CODED)
def test_a_body_over_the_limit_is_refused(case: str) -> None:
    coding, wire = CODED[case]
    with pytest.raises(OverLimit):
        Body(coding, len(TEXT) - 1).feed(wire)


@pytest.mark.parametrize(
    ("coding", "words"),
    [
        ("gzip, gzip", "in 2 content encodings, one inside the other"),
        ("deflate,gzip,br", "in 3 content encodings"),
        ("br", 'in the content encoding "br", which was not asked for (asked: gzip, deflate)'),
        ("zstd", 'in the content encoding "zstd"'),
        ("compress", 'in the content encoding "compress"'),
        ("x" * 5_000, "in a content encoding, which was not asked for"),
    ],
)
def test_any_other_coding_is_refused_by_name_before_a_byte_is_read(coding: str, words: str) -> None:
    with pytest.raises(BadCoding) as refused:
        Body(coding, 1_000)
    assert words in str(refused.value)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("damage", ["not coded", "cut short", "something behind it"])
def test_bytes_that_are_not_in_their_coding_are_refused(coding: str, damage: str) -> None:
    whole = gzip.compress(TEXT) if coding == "gzip" else zlib.compress(TEXT)
    wire = {"not coded": b"<html>", "cut short": whole[:-3], "something behind it": whole + b"<html>"}[damage]
    with pytest.raises(BadCoding, match="bytes that are not in the content encoding it names"):
        decoded(coding, wire)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_left_at_the_limit(coding: str) -> None:
    """50 MB of zeros in 50 kB."""
    zeros = bytes(50_000_000)
    wire = gzip.compress(zeros) if coding == "gzip" else zlib.compress(zeros)
    tracemalloc.start()
    with pytest.raises(OverLimit):
        Body(coding, 10_000).feed(wire)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_many_empty_members_cost_no_memory() -> None:
    body = Body("gzip", 10_000)
    for _ in range(2_000):
        body.feed(gzip.compress(b""))
    assert body.end() == b""
