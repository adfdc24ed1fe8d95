"""The certificate authority of a lab: signs certificates for any name."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tailstest.lab.network.kept_keys import kept

#: Days that certificates of servers and of the authority are good for, from yesterday on. A
#: checkpoint must not outlive the authority that it trusts.
_DAYS, _AUTHORITY_DAYS = 30, 3650
_ONE_DAY = datetime.timedelta(days=1)


def new_authority() -> bytes:
    """Return the key and the certificate of a new authority (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("tailstest lab authority")
    certificate = (
        _begun(name, key, name, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _key_bytes(key) + certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """Signs certificates; the same one for all labs of a user.

    Args:
        folder: private; gets `authority.pem`, which a guest must trust, and the certificates of
            servers.
        keys: private file that keeps the authority; made if it is not there.
    """

    def __init__(self, folder: Path, keys: Path) -> None:
        self._folder = folder
        content = kept(keys, new_authority)
        key = serialization.load_pem_private_key(content, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # we wrote it ourselves
        self._key = key
        certificate = x509.load_pem_x509_certificate(content)
        self._name = certificate.subject
        #: What a guest must trust.
        self.path = folder / "authority.pem"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def certify(self, name: str) -> Path:
        """Return a file with a key and a certificate for a name or an address.

        Args:
            name: as a client asked for it; not trusted.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _begun(_named(name[:64]), key, self._name, _DAYS)
            .add_extension(x509.SubjectAlternativeName([_subject(name)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / f"certificate-{certificate.serial_number:x}.pem"
        path.touch(mode=0o600)
        path.write_bytes(_key_bytes(key) + certificate.public_bytes(serialization.Encoding.PEM))
        return path


def _begun(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _ONE_DAY)
        .not_valid_after(now + days * _ONE_DAY)
    )


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _subject(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
