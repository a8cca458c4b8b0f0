"""Spark over shaped links: the Master and PySpark's driver in one namespace, each UE in its own.

All ports are bound to addresses of these namespaces.  The aggregator has an address of its own, to
which each UE has a route over its link, so that it has one name for all of them.
"""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from netem.backends import AUTO, open_network
from netem.backends.network import Network
from netem.link import Link
from netem.namespace import Counters
from netem.probe.client import prove
from netem.probe.proof import Proof
from netem.probe.server import ProbeServer
from netem.spec import LinkSpec
from orchestrator.federated import spark, words
from orchestrator.federated.process import SparkProcess
from orchestrator.testbed.scratch import Scratch
from splitbed.errors import NodeError
from splitbed.federated.task import SAMPLES, UE

AGGREGATOR, ADDRESS = "aggregator", "10.77.255.1"
_SUBNET = "10.77.{}.0/24"
START_S = 300.0
"""What a JVM or Python may take to be there, on a machine that others keep busy, too."""


class Cluster:
    """One that is up.  Raises NodeError where a process of it is gone or silent."""

    def __init__(
        self, network: Network, scratch: Scratch, data: Path, settings: Path, stack: ExitStack
    ) -> None:
        self._network, self._scratch = network, scratch
        self._data, self._settings, self._stack = data, settings, stack
        self.ues = tuple(network.links)
        self._workers: dict[str, SparkProcess] = {}
        self._master = self._start(AGGREGATOR, "master", ADDRESS, spark.master(ADDRESS))
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        hosts = [f"{ue}={link.ue_address}" for ue, link in network.links.items()]
        with theirs:
            argv = [spark.PYTHON, "-m", "orchestrator.federated.driver", str(theirs.fileno())]
            self._answers_master()
            self._driver = self._start(
                AGGREGATOR, "driver", ADDRESS, [*argv, str(data), *hosts], passed=[theirs.fileno()]
            )
        self._stream = stack.enter_context(ours.makefile("rwb"))
        self._socket = ours
        for ue in self.ues:
            self.start(ue)
        self._read(START_S)
        self.wait(self.ues)

    @property
    def links(self) -> Mapping[str, Link]:
        """By the UE's name."""
        return self._network.links

    def start(self, ue: str) -> None:
        """Start a UE's Worker; :meth:`wait` for it."""
        address = self._network.links[ue].ue_address
        (folder := self._scratch.folder / ue).mkdir(exist_ok=True)
        own = {
            UE: ue,
            SAMPLES: str(self._data / f"{ue}.npz"),
            "SPARK_LOCAL_DIRS": str(folder),
        }
        argv = spark.worker(address, ADDRESS, folder)
        self._workers[ue] = self._start(ue, ue, address, argv, own)

    def hold(self, ue: str) -> None:
        """Stop a UE's processes where they are, until they are killed."""
        self._workers[ue].hold()

    def kill(self, ue: str) -> None:
        """End a UE's processes at once, whatever they are at."""
        self._workers.pop(ue).end()

    def gone(self) -> list[str]:
        """The UEs that were killed."""
        return [ue for ue in self.ues if ue not in self._workers]

    def wait(self, ues: Sequence[str]) -> None:
        """Until these can be given tasks."""
        began = self.ask(words.Waiting(tuple(ues), START_S), START_S * 2)
        if isinstance(began, words.Began) and began.problem:
            logs = {ue: self._workers[ue].last_words() for ue in ues if ue in self._workers}
            raise NodeError(f"Spark's workers did not start: {began.problem}; they said {logs}")

    def ask(self, told: words.Told, within_s: float) -> words.Answered:
        """What the driver answers."""
        try:
            self._stream.write(msgspec.json.encode(told) + b"\n")
            self._stream.flush()
        except OSError:
            raise self._silent("is gone") from None
        return self._read(within_s)

    def shape(self, specs: Mapping[str, LinkSpec]) -> None:
        """Shape each UE's link. Raises LinkError."""
        for ue, spec in specs.items():
            self.links[ue].shape(spec)

    def prove(self, specs: Mapping[str, LinkSpec]) -> dict[str, Proof]:
        """Measure each UE's link, one after another. Raises LinkError."""
        return {ue: _proved(self.links[ue], spec) for ue, spec in specs.items()}

    def counters(self) -> dict[str, Counters]:
        """What each UE's interface has carried."""
        return {ue: one.ue.counters()[one.ue_device] for ue, one in self.links.items()}

    def _start(
        self,
        node: str,
        name: str,
        address: str,
        argv: Sequence[str],
        own: Mapping[str, str] | None = None,
        passed: Sequence[int] = (),
    ) -> SparkProcess:
        local = {"SPARK_LOCAL_DIRS": str(self._scratch.folder), **(own or {})}
        environment = spark.environment(self._settings, address, local)
        namespace = self._network.nodes[node]
        made = SparkProcess(name, argv, namespace, self._scratch, environment, passed)
        self._stack.callback(made.end)
        return made

    def _answers_master(self) -> None:
        """Wait until the Master listens."""
        namespace = self._network.nodes[AGGREGATOR]
        for _ in range(round(START_S / 0.2)):
            with namespace.open_socket() as trying:
                trying.settimeout(0.2)
                if trying.connect_ex((ADDRESS, spark.MASTER_PORT)) == 0:
                    return
            if self._master.process.poll() is not None:
                break
            time.sleep(0.2)
        raise NodeError(f"Spark's Master did not start: {self._master.last_words()}")

    def _read(self, within_s: float) -> words.Answered:
        self._socket.settimeout(within_s)
        try:
            line = self._stream.readline()
        except OSError:
            raise self._silent(
                f"was silent for {within_s:g} s, as where others keep it busy"
            ) from None
        if not line:
            raise self._silent("is gone")
        answered: words.Answered = words.ANSWER.decode(line)
        return answered

    def _silent(self, how: str) -> NodeError:
        return NodeError(f"the aggregator {how}: {self._driver.last_words()}")


@contextmanager
def cluster(
    backend: str, scratch: Scratch, data: Path, ues: Sequence[str], quorum: int, limit_s: float
) -> Iterator[Cluster]:
    """Links and Spark over them, with samples in ``data``; all of it ends with the context.

    Links are not shaped yet.  Raises MachineError, LinkError, NodeError.
    """
    wanted = {ue: (ue, AGGREGATOR, _SUBNET.format(n)) for n, ue in enumerate(ues, start=1)}
    with ExitStack() as stack:
        (run_dir := scratch.folder / f"links-{len(ues)}").mkdir()
        network = stack.enter_context(open_network(backend or AUTO, run_dir, wanted))
        network.nodes[AGGREGATOR].run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
        for link in network.links.values():
            route = [ADDRESS, "via", link.edge_address, "dev", link.ue_device]
            link.ue.run(["ip", "route", "add", *route, "congctl", "cubic"])
        (settings := scratch.folder / f"spark-{len(ues)}").mkdir()
        spark.write_settings(settings, ADDRESS, len(ues), quorum, limit_s)
        yield Cluster(network, scratch, data, settings, stack)


def _proved(link: Link, spec: LinkSpec) -> Proof:
    listening = link.edge.open_socket(socket.SOCK_DGRAM)
    with ProbeServer(link.edge_address, opened=listening) as server:
        opened = link.ue.open_socket(socket.SOCK_DGRAM)
        return prove(server.address, server.token, spec, opened=opened)
