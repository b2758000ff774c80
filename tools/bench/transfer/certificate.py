"""A certificate for 127.0.0.1 that signs itself: TLS over the loopback interface, for who is told to trust it."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

VALID_FOR: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """`authority` is what clients trust, `pair` the private key and the certificate of the server; both are PEM."""

    authority: Path
    pair: Path

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Return the certificate that `make` has written into this folder."""
        return cls(folder / "authority.pem", folder / "pair.pem")

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make a certificate that is valid for a day, and write its files into the folder."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        addresses = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # The clock of who checks it may be a little behind.
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + VALID_FOR)
            .add_extension(addresses, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, SHA256())
            .public_bytes(Encoding.PEM)
        )
        made = cls.of(folder)
        made.authority.write_bytes(certificate)
        made.pair.touch(mode=0o600)
        made.pair.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
        return made

    def server_context(self) -> ssl.SSLContext:
        """Return the settings of a server that has this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pair)
        return context
