"""Certificates as no `splitbed certs init` makes them: expired, of strangers, for other hosts."""

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from splitbed.node.config import Tls
from splitbed.security.authority import Authority, issue, issue_authority


def certified(
    folder: Path,
    role: str,
    authority: Authority | None = None,
    *,
    days: int = 10,
    now: datetime | None = None,
) -> Tls:
    """A certificate for `role` on this machine, of an `authority` of its own where none is given.

    Its files are written into `folder`, under names that no other call writes.
    """
    authority = authority or issue_authority()
    key = ec.generate_private_key(ec.SECP256R1())
    issued = issue(authority, role, key.public_key(), [], days, now)
    stem = folder / f"{role}-{issued.serial_number}"
    files = Tls(
        ca=stem.with_suffix(".ca"), cert=stem.with_suffix(".pem"), key=stem.with_suffix(".key")
    )
    files.ca.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    files.cert.write_bytes(issued.public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
