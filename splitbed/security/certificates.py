"""Certificates of a testbed's own authority, which say who is which node, or the orchestrator.

    ca.pem ca.key             the authority; who has its key makes certificates
    ue.pem ue.key …           one for each node, and the orchestrator: its common name is who it is
    token                     a secret that all share, where it was asked for

Every process is a server to some and a client to others (the UE's node asks the edge), so every
certificate is good for both.
"""

import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from splitbed.errors import UsageError
from splitbed.media.files import opened
from splitbed.security.authority import Authority, issue, issue_authority

if TYPE_CHECKING:
    from splitbed.node.config import Tls

PAIR, ORCHESTRATOR = ("ue", "edge"), "orchestrator"


def create(folder: Path, hosts: Mapping[str, Sequence[str]], days: int, *, token: bool) -> None:
    """Fill a new ``folder`` (0700) with an authority, and for each node certificate and key (0600).

    ``hosts`` gives, for each node, the names and addresses that others call it by; without any
    there are a UE and an edge. Raises UsageError for a folder that has something in it, and for
    what is no host; then nothing is written.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"refused to write into {folder}, which is not empty: give a folder that does not "
            "exist; where it has certificates, `splitbed certs renew` keeps their authority"
        )
    authority = issue_authority()
    names = (*(hosts or PAIR), ORCHESTRATOR)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in names}
    issued = {
        name: issue(authority, name, key.public_key(), hosts.get(name, ()), days)
        for name, key in keys.items()
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    # mkdtemp gives 0700; what was written when something fails goes with the draft
    with tempfile.TemporaryDirectory(prefix=".certs-", dir=folder.parent) as space:
        draft = Path(space) / "certs"
        draft.mkdir(mode=0o700)
        (draft / "ca.pem").write_bytes(_pem(authority.certificate))
        _write_secret(draft / "ca.key", _pem_of_key(authority.key))
        for name, key in keys.items():
            (draft / f"{name}.pem").write_bytes(_pem(issued[name]))
            _write_secret(draft / f"{name}.key", _pem_of_key(key))
        if token:
            _write_secret(draft / "token", f"{secrets.token_urlsafe(32)}\n".encode())
        draft.rename(folder)


def renew(folder: Path, hosts: Mapping[str, Sequence[str]], days: int) -> None:
    """New certificates of the same authority for the same keys, over the old ones in ``folder``.

    A node that ``hosts`` does not name keeps its hosts; one that has no certificate yet gets one,
    with a key. Raises UsageError where the authority is missing, a certificate is none, or where
    the authority has expired.
    """
    authority = _authority(folder)
    new = {
        name: ec.generate_private_key(ec.SECP256R1())
        for name in hosts
        if not (folder / f"{name}.pem").exists()
    }
    issued = {
        name: issue(authority, name, key.public_key(), hosts[name], days)
        for name, key in new.items()
    }
    for name in certified(folder):
        old = _certificates(folder / f"{name}.pem")[0]
        kept = [str(one.value) for one in _names(old)]
        issued[name] = issue(authority, name, old.public_key(), hosts.get(name, kept), days)
    for name, certificate in issued.items():
        if name in new:
            _write_secret(folder / f"{name}.key", _pem_of_key(new[name]))
        draft = folder / f".{name}.pem"
        draft.write_bytes(_pem(certificate))
        draft.replace(folder / f"{name}.pem")


def certified(folder: Path) -> list[str]:
    """Who has a certificate in there: nodes, and the orchestrator."""
    names = sorted(file.stem for file in folder.glob("[!.]*.pem"))
    return [name for name in names if name != "ca"]


def explain(tls: "Tls") -> str | None:
    """What is wrong with our own files and what repairs it; None when nothing is."""
    try:
        own, *chain = _certificates(tls.cert)
        issuers = [*chain, *_certificates(tls.ca)]
        key = _private_key(tls.key)
    except UsageError as error:
        return str(error)
    issuer = next((one for one in issuers if _issued_by(own, one)), None)
    if issuer is None:
        return (
            f"the certificate {tls.cert} is not signed by {tls.ca}: "
            "both must come from the same `splitbed certs init`"
        )
    if key.public_key() != own.public_key():
        return f"the key {tls.key} is not that of the certificate {tls.cert}: copy both again"
    if wrong := _out_of_date(issuer):
        return f"the authority {tls.ca} {wrong}: `splitbed certs init` into a new folder"
    if wrong := _out_of_date(own):
        return f"the certificate {tls.cert} {wrong}: `splitbed certs renew` where ca.key is"
    return None


def valid_until(file: Path) -> datetime:
    """When the certificate in ``file`` expires (UTC); UsageError where there is none."""
    return _certificates(file)[0].not_valid_after_utc


def _names(certificate: x509.Certificate) -> Iterable[x509.GeneralName]:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()


def _authority(folder: Path) -> Authority:
    certificate, key = _certificates(folder / "ca.pem")[0], _private_key(folder / "ca.key")
    if wrong := _out_of_date(certificate):
        raise UsageError(
            f"the authority {folder / 'ca.pem'} {wrong}: `splitbed certs init` into a new folder"
        )
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise UsageError(f"the key in {folder / 'ca.key'} is not that of {folder / 'ca.pem'}")
    return Authority(certificate, key)


def _out_of_date(certificate: x509.Certificate) -> str | None:
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return None


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(file))
    except ValueError:
        raise UsageError(f"{file} holds no certificate in PEM: copy it again") from None


def _private_key(file: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_read(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError(
            f"{file} holds no private key in PEM that opens without a password: copy it again"
        ) from None


def _read(file: Path) -> bytes:
    try:
        with opened(file) as stream:
            return stream.read()
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror}: give a file of `splitbed certs init`, with the "
            "right to read it"
        ) from None


def _write_secret(file: Path, content: bytes) -> None:
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(content)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
