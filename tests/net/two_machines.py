"""Two machines: a UE and an edge that share nothing but a link, and the orchestrator's own path.

UE  data0 ════════════ data0  edge         each with its own network, mounts, processes;
ctl0 ──── orchestrator ──── ctl0           the edge with a clock of its own, too
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from netem.namespace import Namespace, add_veth, new_namespace, privileged
from tests.shared_machine import until

UE, EDGE = "10.88.0.1", "10.88.0.2"
CONTROL = {"ue": "10.88.1.1", "edge": "10.88.2.1"}
METRICS = {"ue": f"{CONTROL['ue']}:9101", "edge": f"{CONTROL['edge']}:9102"}
DATA_PORT, CONTROL_PORT = 50051, 50052
CLOCK_AHEAD_S = 5000
_BOOT = 'mount -t tmpfs tmpfs "$0" && exec sleep infinity'


@dataclass
class Machine:
    """One of the two; what its node writes goes to ``log``."""

    side: str
    namespace: Namespace
    folder: Path
    hidden: Path
    clock_ahead_s: int = 0
    init: "subprocess.Popen[bytes] | None" = None
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def config(self) -> Path:
        return self.folder / f"{self.side}.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def boot(self) -> None:
        """Make its namespaces, in which the other's files are not to be seen."""
        ahead = ["--time", "--monotonic", str(self.clock_ahead_s)] if self.clock_ahead_s else []
        apart = ["unshare", "--mount", "--pid", *ahead, "--fork", "--kill-child", "--mount-proc"]
        argv = [*apart, "sh", "-c", _BOOT, str(self.hidden)]
        self.init = subprocess.Popen(self.namespace.command(argv), start_new_session=True)
        hidden = Path(f"/proc/{_child(self.init.pid)}/root{self.hidden}")
        while any(hidden.iterdir()):
            assert self.init.poll() is None

    def off(self) -> None:
        """End it, and all that runs on it."""
        assert self.init is not None
        self.init.kill()
        self.init.wait()

    def command(self, *words: str) -> list[str]:
        """The node's command, as it is given on that machine."""
        module = [sys.executable, "-m", f"{self.side}_node", "serve"]
        return [*module, "--config", str(self.config), *words]

    def start(self) -> None:
        """Start the node."""
        assert self.init is not None
        enter = ["nsenter", "--target", str(_child(self.init.pid)), "--all", "--"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*enter, *self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        """Of the node itself."""
        assert self.process is not None
        return _child(self.process.pid)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the node; its exit code."""
        assert self.process is not None
        os.kill(self.pid, how)
        return self.process.wait(40)


def _child(pid: int) -> int:
    """The one process that `pid` has started, once it has."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    until(children.read_text)
    return int(children.read_text().split()[0])


@dataclass(frozen=True)
class Machines:
    """Both, and the place from which they are measured."""

    ue: Machine
    edge: Machine
    orchestrator: Namespace
    topology: Path

    def popen(self, argv: Sequence[str]) -> "subprocess.Popen[str]":
        """Run something where the orchestrator is."""
        return subprocess.Popen(
            self.orchestrator.command(argv),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@contextmanager
def two_machines(folder: Path, *, shaped: bool = True) -> Iterator[Machines]:
    """Both machines with certificates, configuration and running nodes; all of it goes again."""
    if not privileged():
        pytest.skip("needs root, whose namespaces need no other to join them")
    certs = folder / "certs"
    hosts = ["--ue", f"{CONTROL['ue']},{UE}", "--edge", f"{CONTROL['edge']},{EDGE}"]
    subprocess.run(
        [sys.executable, "-m", "splitbed.cli", "certs", "init", str(certs), *hosts, "--token"],
        check=True,
        capture_output=True,
    )
    with ExitStack() as stack:
        ue, edge, here = (stack.enter_context(new_namespace()) for _ in range(3))
        _join(ue, "data0", f"{UE}/24", edge, "data0", f"{EDGE}/24")
        _join(ue, "ctl0", f"{CONTROL['ue']}/24", here, "ue0", "10.88.1.100/24")
        _join(edge, "ctl0", f"{CONTROL['edge']}/24", here, "edge0", "10.88.2.100/24")
        folders = {side: folder / side for side in ("ue", "edge")}
        for side, place in folders.items():
            place.mkdir()
            _write_config(side, place, certs, shaped=shaped)
        machines = Machines(
            Machine("ue", ue, folders["ue"], folders["edge"]),
            Machine("edge", edge, folders["edge"], folders["ue"], CLOCK_AHEAD_S),
            here,
            folder / "machines.yaml",
        )
        machines.topology.write_text(
            yaml.safe_dump(
                {"name": "two-machines", "token_file": "certs/token"}
                | {side: {"control": f"{CONTROL[side]}:{CONTROL_PORT}"} for side in folders}
                | {"tls": _tls(Path("certs"), "orchestrator")}
            )
        )
        for machine in (machines.edge, machines.ue):
            machine.boot()
            stack.callback(machine.off)
            machine.start()
        yield machines


def _tls(certs: Path, role: str) -> dict[str, str]:
    names = {"ca": "ca.pem", "cert": f"{role}.pem", "key": f"{role}.key"}
    return {what: str(certs / name) for what, name in names.items()}


def _write_config(side: str, folder: Path, certs: Path, *, shaped: bool) -> None:
    data = f"{EDGE}:{DATA_PORT}"
    config = {
        "edge" if side == "ue" else "listen": data,
        "control": f"{CONTROL[side]}:{CONTROL_PORT}",
        "metrics": METRICS[side],
        "tls": _tls(certs, side),
        "token_file": str(certs / "token"),
        "log": "json",
    }
    if shaped:
        config["shaper"] = {"dev": "data0"}
    (folder / f"{side}.yaml").write_text(yaml.safe_dump(config))


def _join(
    one: Namespace, device: str, address: str, other: Namespace, peer: str, peer_address: str
) -> None:
    add_veth(one, device, other, peer)
    for namespace, name, own in ((one, device, address), (other, peer, peer_address)):
        namespace.run(["ip", "address", "add", own, "dev", name])
        namespace.run(["ip", "link", "set", name, "up"])
