"""The built artefact of the data plane as Lambda runs it, with TLS to its table and to its upstream.

AWS's runtime interface client runs the handler under AWS's emulator (`infra/aws-tools.sh sam runtime` installs both).
The table and the upstream are on loopback, with certificates of a local authority, whose root is added to the list of
roots in a copy of the artefact. Each round is one cold process with TLS and one without, from its spawn to its first
listing, on to its first call, and then through warm requests.
"""

from __future__ import annotations

import datetime
import shutil
import ssl
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.aws import lambda_runtime, standins
from tests.benchmarks import preparing, synthetic, world
from tests.benchmarks.preparing import CACHE

ROUNDS, REQUESTS = 7, 30

CALL = {"name": "list_all_mem_0_memories", "arguments": {"filters": {"user_id": "usr_1"}}}


@contextmanager
def authority() -> Iterator[tuple[Path, Path, Path]]:
    """Files of a root certificate, of a certificate for localhost, and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def usage(*, is_authority: bool) -> x509.KeyUsage:
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
        named = dict.fromkeys((*others, "decipher_only"), False)
        return x509.KeyUsage(True, key_cert_sign=is_authority, crl_sign=is_authority, **named)

    def certificate(name: str, issuer: str, key: Any, signer: Any, *, is_authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .add_extension(usage(is_authority=is_authority), critical=True)
            .sign(signer, hashes.SHA256())
        )

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("bench root", "bench root", root_key, root_key, is_authority=True)
    leaf = certificate("localhost", "bench root", key, root_key, is_authority=False)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "root.pem", Path(folder) / "leaf.pem", Path(folder) / "key.pem"
        files[0].write_bytes(root.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        files[2].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        yield files


def one_process(folder: Path, around: world.Addresses, minted: preparing.Minted, roots: Path) -> dict[str, float]:
    """Milliseconds of a cold process and of its warm requests."""
    events = {
        "list": synthetic.event(minted.token, "modern", "tools/list", {}),
        "call": synthetic.event(minted.token, "modern", "tools/call", CALL),
    }
    variables = {
        "POSTERN_STORE": "dynamodb",
        "POSTERN_TABLE": preparing.TABLE,
        "POSTERN_PRIVATE_UPSTREAMS": "true",
        "AWS_ENDPOINT_URL_DYNAMODB": around.table,
        "SSL_CERT_FILE": str(roots),
    }
    figures: dict[str, float] = {}
    started = time.perf_counter()
    with lambda_runtime.running(folder, "functions.mcp_endpoint.handler.handler", 30, **variables) as function:
        for name, event in events.items():
            before = time.perf_counter()
            synthetic.check(function.invoke(event)["body"], f"tools/{name}")
            ended = time.perf_counter()
            figures[f"start to first {name}"] = (ended - started) * 1000
            figures[f"first {name} alone"] = (ended - before) * 1000
        for name, event in events.items():
            taken = []
            for _ in range(REQUESTS):
                before = time.perf_counter()
                function.invoke(event)
                taken.append((time.perf_counter() - before) * 1000)
            figures[f"warm {name}"] = statistics.median(taken)
    return figures


def run() -> None:
    """Measure and print."""
    for program, needed in (("runtime/bin/python", "runtime"), ("sam/lib", "sam")):
        if not (standins.TOOLS / program).exists():
            print(f"the runtime was not measured: {program} is not installed; run infra/aws-tools.sh {needed}")
            return
    if preparing.artefact() is None:
        sys.exit("the artefact cannot be built for this machine")
    with (
        authority() as (root, leaf, key),
        world.running() as plain,
        world.running(str(leaf), str(key)) as secure,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name) / "function"
        shutil.copytree(CACHE / "artefact", folder)
        with (folder / "certifi" / "cacert.pem").open("ab") as roots:
            roots.write(root.read_bytes())
        trusting = ssl.create_default_context(cafile=str(root))
        ways = {}
        for way, around, tls in (("TLS", secure, trusting), ("no TLS", plain, None)):
            minted = preparing.mint("mem0", around.upstream)
            preparing.put(around.table, minted, tls)
            ways[way] = (around, minted)
        samples: dict[tuple[str, str], list[float]] = defaultdict(list)
        for number in range(ROUNDS + 1):
            for way, (around, minted) in ways.items():
                for figure, value in one_process(folder, around, minted, root).items():
                    if number:  # the first one fills the page cache
                        samples[figure, way].append(value)
    print(f"the artefact under the emulator, ms, medians and best of {ROUNDS} processes:")
    for figure in dict.fromkeys(figure for figure, _ in samples):
        cells = [
            f"{way} {statistics.median(samples[figure, way]):.1f} (best {min(samples[figure, way]):.1f})"
            for way in ways
        ]
        print(f"{figure}: {', '.join(cells)}")
