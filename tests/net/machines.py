"""Machines that share nothing but links, and the orchestrator's own path to each.

UE  data0 ════════════ data0  edge  data1 ════════ data0  cloud     each with its own network,
ctl0 ────────────────────── ctl0 ── orchestrator ── ctl0            mounts, processes, a clock
"""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from netem.namespace import Namespace, add_veth, new_namespace, privileged
from orchestrator.ask.topology import kind_of
from splitbed.security.addresses import ip_port
from tests.shared_machine import until

UE, EDGE = "10.88.0.1", "10.88.0.2"
CONTROL = {"ue": "10.88.1.1", "edge": "10.88.2.1", "cloud": "10.88.3.1"}
METRICS = {side: f"{host}:910{number}" for number, (side, host) in enumerate(CONTROL.items(), 1)}
DATA_PORT, CONTROL_PORT = 50051, 50052
CLIENTS = f"{CONTROL['ue']}:8001"
CLOCK_AHEAD_S = 5000
AHEAD_S = {"edge": CLOCK_AHEAD_S, "cloud": 9000}
_BOOT = 'for other; do mount -t tmpfs tmpfs "$other" || exit; done; exec sleep infinity'


@dataclass(frozen=True)
class Wire:
    """A link between two machines, and their addresses in it."""

    near: str
    far: str
    near_address: str
    far_address: str
    prefix_bits: int = 24


ACCESS = Wire("ue", "edge", UE, EDGE)
BACKHAUL = Wire("edge", "cloud", "fd00:88::1", "fd00:88::2", 64)


@dataclass
class Machine:
    """One of them; what its node writes goes to ``log``, and it does not see ``hidden``."""

    side: str
    namespace: Namespace
    folder: Path
    hidden: Sequence[Path]
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
        """Make its namespaces, in which the others' files are not to be seen."""
        ahead = ["--time", "--monotonic", str(self.clock_ahead_s)] if self.clock_ahead_s else []
        apart = ["unshare", "--mount", "--pid", *ahead, "--fork", "--kill-child", "--mount-proc"]
        argv = [*apart, "sh", "-c", _BOOT, "sh", *map(str, self.hidden)]
        self.init = subprocess.Popen(self.namespace.command(argv), start_new_session=True)
        root = f"/proc/{_child(self.init.pid)}/root"
        while any(any(Path(f"{root}{other}").iterdir()) for other in self.hidden):
            assert self.init.poll() is None

    def off(self) -> None:
        """End it, and all that runs on it."""
        assert self.init is not None
        self.init.kill()
        self.init.wait()

    def command(self, *words: str) -> list[str]:
        """The node's command, as it is given on that machine."""
        module = [sys.executable, "-m", f"{kind_of(self.side)}_node", "serve"]
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
    """All of them, and the place from which they are measured."""

    by_name: dict[str, Machine]
    orchestrator: Namespace
    topology: Path

    @property
    def ue(self) -> Machine:
        """The user's."""
        return self.by_name["ue"]

    @property
    def edge(self) -> Machine:
        """The one that it dials."""
        return self.by_name["edge"]

    def popen(self, argv: Sequence[str]) -> "subprocess.Popen[str]":
        """Run something where the orchestrator is."""
        return subprocess.Popen(
            self.orchestrator.command(argv),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@contextmanager
def brought_up(
    folder: Path, wires: Sequence[Wire] = (ACCESS,), *, shaped: bool = True
) -> Iterator[Machines]:
    """Machines with certificates, configuration and running nodes; all of it goes again."""
    if not privileged():
        pytest.skip("needs root, whose namespaces need no other to join them")
    certs = folder / "certs"
    names = [*dict.fromkeys(name for wire in wires for name in (wire.near, wire.far))]
    _certify(certs, names, wires)
    with ExitStack() as stack:
        spaces = {name: stack.enter_context(new_namespace()) for name in names}
        here = stack.enter_context(new_namespace())
        places: defaultdict[str, _Place] = defaultdict(_Place)
        for wire in wires:
            _wire(wire, spaces, places)
        for name in names:
            network = CONTROL[name].rpartition(".")[0]
            ends = (spaces[name], "ctl0", f"{CONTROL[name]}/24"), (here, name, f"{network}.100/24")
            _join(*ends[0], *ends[1])
            (folder / name).mkdir()
            _write_config(name, folder / name, certs, places[name], shaped=shaped)
        hidden = {name: [folder / other for other in names if other != name] for name in names}
        made = {
            name: Machine(name, spaces[name], folder / name, hidden[name], AHEAD_S.get(name, 0))
            for name in names
        }
        topology = folder / "machines.yaml"
        topology.write_text(yaml.safe_dump(_topology(names, wires), sort_keys=False))
        for name in reversed(names):
            made[name].boot()
            stack.callback(made[name].off)
            made[name].start()
        yield Machines(made, here, topology)


@dataclass
class _Place:
    """What a machine's configuration says of its links."""

    listen: str | None = None
    dials: dict[str, str] = field(default_factory=dict)
    towards: dict[str, str] = field(default_factory=dict)
    """The interface to each other machine."""


def _wire(wire: Wire, spaces: dict[str, Namespace], places: dict[str, _Place]) -> None:
    near, far = places[wire.near], places[wire.far]
    near.towards[wire.far] = f"data{len(near.towards)}"
    far.towards[wire.near] = f"data{len(far.towards)}"
    near.dials[wire.far] = far.listen = ip_port(wire.far_address, DATA_PORT)
    _join(
        *(spaces[wire.near], near.towards[wire.far], f"{wire.near_address}/{wire.prefix_bits}"),
        *(spaces[wire.far], far.towards[wire.near], f"{wire.far_address}/{wire.prefix_bits}"),
    )


def _certify(certs: Path, names: Sequence[str], wires: Sequence[Wire]) -> None:
    hosts: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        hosts[name].append(CONTROL[name])
    for wire in wires:
        hosts[wire.near].append(wire.near_address)
        hosts[wire.far].append(wire.far_address)
    hosts["client"].append("10.88.1.100")
    own = [word for one, at in hosts.items() for word in ("--node", f"{one}={','.join(at)}")]
    subprocess.run(
        [sys.executable, "-m", "splitbed.cli", "certs", "init", str(certs), *own, "--token"],
        check=True,
        capture_output=True,
    )


def _topology(names: Sequence[str], wires: Sequence[Wire]) -> dict[str, object]:
    places = {name: {"control": f"{CONTROL[name]}:{CONTROL_PORT}"} for name in names}
    tls = _tls(Path("certs"), "orchestrator")
    common: dict[str, object] = {"name": "machines", "token_file": "certs/token", "tls": tls}
    if len(wires) == 1:  # as topologies/two-machines.yaml has it
        return common | places
    links = {f"{wire.near}-{wire.far}": {"ends": [wire.near, wire.far]} for wire in wires}
    return common | {"nodes": places, "links": links}


def _tls(certs: Path, role: str) -> dict[str, str]:
    names = {"ca": "ca.pem", "cert": f"{role}.pem", "key": f"{role}.key"}
    return {what: str(certs / name) for what, name in names.items()}


def _write_config(name: str, folder: Path, certs: Path, place: _Place, *, shaped: bool) -> None:
    config: dict[str, object] = {
        "name": name,
        "control": f"{CONTROL[name]}:{CONTROL_PORT}",
        "metrics": METRICS[name],
        **({"infer": CLIENTS} if name == "ue" else {}),
        "tls": _tls(certs, name),
        "token_file": str(certs / "token"),
        "log": "json",
        "dials": place.dials,
    }
    if place.listen:
        config["listen"] = place.listen
    if shaped and len(place.towards) == 1:
        config["shaper"] = {"dev": "data0"}
    elif shaped:
        config["shaper"] = [{"dev": dev, "towards": to} for to, dev in place.towards.items()]
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))


def _join(
    one: Namespace, device: str, address: str, other: Namespace, peer: str, peer_address: str
) -> None:
    add_veth(one, device, other, peer)
    for namespace, name, own in ((one, device, address), (other, peer, peer_address)):
        six = ["nodad"] if ":" in own else []
        if six:
            for key, value in (("disable_ipv6", "0"), ("keep_addr_on_down", "1")):
                namespace.run(["tee", f"/proc/sys/net/ipv6/conf/{name}/{key}"], given=value)
        namespace.run(["ip", "address", "add", own, "dev", name, *six])
        namespace.run(["ip", "link", "set", name, "up"])
