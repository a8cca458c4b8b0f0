"""A host to log in to: a real sshd with keys of its own, and an `ssh` and `scp` that know it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path

import psutil
import pytest

from netem.namespace import Namespace
from tests.node.loopback import Here
from tests.shared_machine import until

SSHD = shutil.which("sshd", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
needs_sshd = pytest.mark.skipif(not SSHD, reason="no sshd here: apt-get install openssh-server")
_PRIVILEGE_SEPARATION = Path("/run/sshd")  # root's sshd wants it; Debian makes it at boot


@dataclass(frozen=True)
class Hosts:
    """What hosts and their user share. ``bin`` goes first in PATH."""

    folder: Path
    port: int
    user: str = field(default_factory=getuser)

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def state(self) -> Path:
        """Where the hosts keep what `orchestrate up` writes down there."""
        return self.folder / "state" / "splitbed"

    def started(self) -> list[psutil.Process]:
        """The live processes that `orchestrate up` wrote down."""
        pids = [int(file.read_text().split()[0]) for file in sorted(self.state.glob("*.pid"))]
        return [process for pid in pids if (process := alive(pid))]

    def end(self) -> None:
        """End what a failed test left."""
        for process in self.started():
            process.kill()


def alive(pid: int) -> psutil.Process | None:
    """The process, unless it has ended and is only not reaped yet."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return process if process.status() != psutil.STATUS_ZOMBIE else None
    return None


@contextmanager
def hosts(folder: Path, port: int) -> Iterator[Hosts]:
    """Keys and settings for hosts that listen on ``port``; what is started there ends here."""
    (found := Hosts(folder, port)).bin.mkdir(parents=True)
    for name in ("host_key", "user_key"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(make, check=True)
    (folder / "known_hosts").write_text("* " + (folder / "host_key.pub").read_text())
    (folder / "sshd_config").write_text(
        f"Port {port}\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/user_key.pub\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n"
        f"Subsystem sftp internal-sftp\nSetEnv XDG_STATE_HOME={folder}/state\n"
    )
    (folder / "ssh_config").write_text(
        f"Port {port}\nIdentityFile {folder}/user_key\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking yes\n"
        "KexAlgorithms curve25519-sha256\n"  # the quickest
    )
    for name in ("ssh", "scp"):
        (command := found.bin / name).write_text(
            f'#!/bin/sh\nexec {shutil.which(name)} -F {folder}/ssh_config "$@"\n'
        )
        command.chmod(0o755)
    try:
        yield found
    finally:
        found.end()


@contextmanager
def listening(hosts: Hosts, address: str, namespace: Namespace | None = None) -> Iterator[None]:
    """A host at ``address``, of a namespace if one is given."""
    if os.geteuid() == 0:  # it stays: another host may need it
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    log = hosts.folder / f"sshd-{address}.log"
    argv = [str(SSHD), "-D", "-f", str(hosts.folder / "sshd_config"), "-E", str(log)]
    where = namespace or Here(-1)
    sshd = subprocess.Popen(where.command([*argv, "-o", f"ListenAddress={address}"]))
    try:
        until(lambda: log.exists() and "Server listening" in log.read_text(), sshd)
        yield
    finally:
        sshd.terminate()
        sshd.wait()
