"""`splitbed certs`: an authority of one's own, and what it says when files do not fit together."""

import ipaddress
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from splitbed.errors import UsageError
from splitbed.node.config import EdgeConfig, Tls, load_node_config
from splitbed.security import certificates
from splitbed.security.authority import issue, issue_authority
from tests.security.certified import certified

HOSTS = {"ue": ["ue.example", "192.0.2.10"], "edge": ["192.0.2.20", "2001:db8::20"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certificates.create(tmp_path / "certs", HOSTS, 365, token=True)
    return tmp_path / "certs"


def tls_of(folder: Path, role: str) -> Tls:
    return Tls(ca=folder / "ca.pem", cert=folder / f"{role}.pem", key=folder / f"{role}.key")


def certificate_in(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def hosts_in(file: Path) -> set[str]:
    extensions = certificate_in(file).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def certs(*argv: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "splitbed.cli", "certs", *argv]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_secrets_are_for_the_owner_alone(folder: Path) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    secret = {"ca.key", "ue.key", "edge.key", "orchestrator.key", "token"}
    assert {name for name, mode in modes.items() if mode == 0o600} >= secret
    assert modes.keys() - secret == {"ca.pem", "ue.pem", "edge.pem", "orchestrator.pem"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("role", ["ue", "edge", "orchestrator"])
def test_a_certificate_names_its_role_and_its_hosts(folder: Path, role: str) -> None:
    name = certificate_in(folder / f"{role}.pem").subject
    assert [field.value for field in name.get_attributes_for_oid(NameOID.COMMON_NAME)] == [role]
    here = {"localhost", "127.0.0.1", "::1"}
    assert hosts_in(folder / f"{role}.pem") == here | set(HOSTS.get(role, []))
    assert certificates.explain(tls_of(folder, role)) is None


def test_a_folder_with_something_in_it_is_not_written_into(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(UsageError, match="certs renew"):
        certificates.create(folder, HOSTS, 365, token=True)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_what_fails_half_way_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(certificates, "_write_secret", full)
    with pytest.raises(OSError, match="No space"):
        certificates.create(tmp_path / "certs", HOSTS, 365, token=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "host", ["", "edge:50051", "10.0.0.300", "192.0.2.0/24", "a b", "-x", "a..b", "é", "0.0.0.0"]
)
def test_what_is_no_host_is_refused_and_nothing_is_written(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError):
        certificates.create(tmp_path / "certs", {"ue": [host]}, 365, token=False)
    assert list(tmp_path.iterdir()) == []


def test_renewed_certificates_have_the_same_authority_keys_and_hosts(folder: Path) -> None:
    before = certificate_in(folder / "edge.pem")
    kept = {file: file.read_bytes() for file in folder.iterdir() if file.suffix != ".pem"}
    hosts, authority = hosts_in(folder / "edge.pem"), (folder / "ca.pem").read_bytes()
    certificates.renew(folder, {}, 700)
    after = certificate_in(folder / "edge.pem")
    assert after.not_valid_after_utc > before.not_valid_after_utc + timedelta(days=300)
    assert after.serial_number != before.serial_number
    assert hosts_in(folder / "edge.pem") == hosts
    assert (folder / "ca.pem").read_bytes() == authority
    assert all(file.read_bytes() == content for file, content in kept.items())
    assert len(list(folder.iterdir())) == 9
    assert certificates.explain(tls_of(folder, "edge")) is None


def test_renewing_gives_a_role_other_hosts_where_they_are_named(folder: Path) -> None:
    certificates.renew(folder, {"edge": ["edge.example"]}, 365)
    assert hosts_in(folder / "edge.pem") == {"edge.example", "localhost", "127.0.0.1", "::1"}
    assert "ue.example" in hosts_in(folder / "ue.pem")


def test_nodes_of_any_names_have_certificates_of_their_own(tmp_path: Path) -> None:
    ended = certs("init", "--edge", "192.0.2.20", "--node", "cloud=192.0.2.30", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "into cloud.yaml:" in ended.stdout
    folder = tmp_path / "certs"
    assert certificates.certified(folder) == ["cloud", "edge", "orchestrator"]
    ended = certs("renew", "--node", "ue-1=192.0.2.40,ue-1.example", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert certificates.certified(folder) == ["cloud", "edge", "orchestrator", "ue-1"]
    for name, host in (("ue-1", "ue-1.example"), ("cloud", "192.0.2.30")):
        assert certificates.explain(tls_of(folder, name)) is None
        assert host in hosts_in(folder / f"{name}.pem")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([], "certificates of which nodes?"),
        (["--node", "cloud"], "give NAME=HOST"),
        (["--node", "orchestrator=192.0.2.1"], "give NAME=HOST"),
        (["--node", "../x=192.0.2.1"], "give NAME=HOST"),
        (["--ue", "192.0.2.1", "--node", "ue=192.0.2.2"], "each name once"),
    ],
)
def test_nodes_that_cannot_be_are_refused(tmp_path: Path, asked: list[str], says: str) -> None:
    ended = certs("init", *asked, cwd=tmp_path)
    assert ended.returncode == 2
    assert says in " ".join(ended.stderr.split())
    assert not (tmp_path / "certs").exists()


def test_renewing_needs_the_key_of_the_authority(folder: Path) -> None:
    (folder / "ca.key").unlink()
    with pytest.raises(UsageError, match=r"ca\.key"):
        certificates.renew(folder, {}, 365)


def test_no_certificate_outlives_its_authority() -> None:
    authority = issue_authority(days=10)
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    issued = issue(authority, "ue", key, [], days=365)
    assert issued.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_a_peer_whose_clock_is_behind_believes_a_new_certificate(folder: Path) -> None:
    start = certificate_in(folder / "ue.pem").not_valid_before_utc
    assert start < datetime.now(UTC) - timedelta(minutes=30)


@pytest.mark.parametrize("missing", ["ca", "cert", "key"])
def test_a_file_that_is_missing_or_broken_is_named(folder: Path, missing: str) -> None:
    tls = tls_of(folder, "ue")
    file: Path = getattr(tls, missing)
    file.write_text("-----BEGIN NONSENSE-----")
    assert str(file) in (certificates.explain(tls) or "")
    file.unlink()
    assert f"cannot read {file}: No such file" in (certificates.explain(tls) or "")


def test_a_certificate_of_another_authority_is_explained(folder: Path, tmp_path: Path) -> None:
    certificates.create(tmp_path / "other", HOSTS, 365, token=False)
    tls = tls_of(folder, "ue").model_copy(update={"ca": tmp_path / "other" / "ca.pem"})
    assert "is not signed by" in (certificates.explain(tls) or "")


def test_the_key_of_another_certificate_is_explained(folder: Path) -> None:
    tls = tls_of(folder, "ue").model_copy(update={"key": folder / "edge.key"})
    assert "is not that of the certificate" in (certificates.explain(tls) or "")


@pytest.mark.parametrize(("from_days", "words"), [(-9, "expired on"), (9, "not valid before")])
def test_a_certificate_out_of_its_time_is_explained(
    tmp_path: Path, from_days: int, words: str
) -> None:
    tls = certified(tmp_path, "ue", now=datetime.now(UTC) + timedelta(days=from_days), days=1)
    said = certificates.explain(tls) or ""
    assert words in said
    assert "certs renew" in said


def test_an_authority_out_of_its_time_is_explained(tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=9)
    authority = issue_authority(days=1, now=long_ago)
    tls = certified(tmp_path, "ue", authority, now=long_ago)
    assert f"the authority {tls.ca} expired on" in (certificates.explain(tls) or "")


def test_what_init_prints_is_a_configuration_that_works(tmp_path: Path) -> None:
    ended = certs("init", "--ue", "ue.example", "--edge", "192.0.2.20", "--token", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.partition("into edge.yaml:\n")[2].partition("\n\n")[0]
    lines = [line.strip() for line in said.splitlines()]
    where = tmp_path / "certs" / "edge.yaml"
    where.write_text("\n".join(["control: 127.0.0.1:2", "listen: 192.0.2.20:1", *lines]))
    config = load_node_config(EdgeConfig, where, {})
    assert config.tls is not None
    assert certificates.explain(config.tls) is None
    assert config.token_file == tmp_path / "certs" / "token"
    assert hosts_in(config.tls.cert) >= {str(ipaddress.ip_address("192.0.2.20"))}


def test_a_host_that_is_none_exits_2_without_a_traceback(tmp_path: Path) -> None:
    ended = certs("init", "--ue", "ue.example", "--edge", "edge:50051", cwd=tmp_path)
    assert ended.returncode == 2
    assert "error: 'edge:50051' is no host" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []
