"""A testbed's own authority, and the certificates that it signs."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from splitbed.errors import UsageError

AUTHORITY_DAYS = 3650
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")

_CLOCKS_DIFFER_BY = timedelta(hours=1)  # a peer whose clock is behind must believe a new one, too
_KEY_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True)
class Authority:
    """Who signs: its certificate, and the key of it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue_authority(days: int = AUTHORITY_DAYS, now: datetime | None = None) -> Authority:
    """A new authority, good for ``days`` from ``now`` (with its time zone; None: from now)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Splitbed authority")])
    certificate = (
        _builder(name, key.public_key(), now)
        .issuer_name(name)
        .not_valid_after((now or datetime.now(UTC)) + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(
    authority: Authority,
    name: str,
    public_key: CertificatePublicKeyTypes,
    hosts: Iterable[str],
    days: int,
    now: datetime | None = None,
) -> x509.Certificate:
    """A certificate for ``name`` at ``hosts`` and on this machine; none outlives its authority.

    Raises UsageError for a host that is neither a name nor an IP address.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = (now or datetime.now(UTC)) + timedelta(days=days)
    names = dict.fromkeys(_general_name(host) for host in [*hosts, *THIS_MACHINE])
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    signer = authority.certificate
    return (
        _builder(subject, public_key, now)
        .issuer_name(signer.subject)
        .not_valid_after(min(end, signer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )


def _builder(
    name: x509.Name, public_key: CertificatePublicKeyTypes, now: datetime | None
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now or datetime.now(UTC)) - _CLOCKS_DIFFER_BY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in allowed for use in _KEY_USES})


def _general_name(host: str) -> x509.GeneralName:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        labels = host.removesuffix(".").split(".")
        # a name does not end in a number: 10.0.0.300 is a bad address
        if all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit() and len(host) <= 253:
            return x509.DNSName(host.removesuffix("."))
        raise UsageError(
            f"{host!r} is no host: give the names and IP addresses by which the others reach it, "
            "without a port, with commas between them"
        ) from None
    if address.is_unspecified:
        raise UsageError(f"{host} is where a node listens: give an address that reaches it")
    return x509.IPAddress(address)
