"""Encrypted from end to end with one setting: a folder with `certificate.pem` and `key.pem`.

Where both are missing, the station makes itself a certificate, so that nothing is sent in the clear until the plant has
put its own there. A browser warns of such a one: nobody but the station vouches for it.
"""

from __future__ import annotations

import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from inspection.errors import InspectionError

CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"

VALID_FOR: Final = timedelta(days=397)
"""The longest that browsers take: CA/Browser Forum, Baseline Requirements, 6.3.2."""


class TlsUnusable(InspectionError):
    """Certificate and key do not serve. Facts: folder, reason."""

    code = "SVC-TLS-UNUSABLE"


def tls_files(folder: Path) -> tuple[Path, Path]:
    """Certificate and key in `folder`, made where there is neither. Raises TlsUnusable."""
    certificate, key = folder / CERTIFICATE, folder / KEY
    try:
        if not certificate.exists() and not key.exists():
            _make(certificate, key)
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError
        raise _unusable(folder, str(error)) from error
    if ends <= datetime.now(UTC):
        raise _unusable(folder, f"the certificate ended on {ends:%Y-%m-%d}")
    return certificate, key


def _make(certificate: Path, key: Path) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname()
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Lynceus {host}"[:64])])
    now = datetime.now(UTC)
    reached_by = [
        x509.DNSName("localhost"),
        *([x509.DNSName(host)] if host.isascii() else []),
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.IPAddress(ip_address("::1")),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(reached_by), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(own, hashes.SHA256())
    )
    key.parent.mkdir(parents=True, exist_ok=True)
    # Never readable by others, not for a moment.
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(made.public_bytes(Encoding.PEM))


def _unusable(folder: Path, reason: str) -> TlsUnusable:
    return TlsUnusable(
        f"{folder} has no certificate and key that serve: {reason}.",
        action=f"Put {CERTIFICATE} and {KEY} there, or take both away: then the station makes its own.",
        folder=str(folder),
        reason=reason,
    )
