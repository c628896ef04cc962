"""Certificates of an authority that exists for one test or one measurement."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@contextmanager
def authority() -> Iterator[tuple[Path, Path, Path]]:
    """Files of a root certificate, of a certificate for localhost, and of its key."""

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
    root = certificate("test root", "test root", root_key, root_key, is_authority=True)
    leaf = certificate("localhost", "test root", key, root_key, is_authority=False)
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
