"""What every node is: told over its control plane what to be, and as new for each run."""

import importlib.metadata
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import psutil

from splitbed.errors import NodeError
from splitbed.meters.process import METER
from splitbed.node.answering import answering
from splitbed.node.calls.lease import Lease
from splitbed.node.config import Limits, checked_runs
from splitbed.node.delivery import receive_all
from splitbed.node.parts.held import HeldParts
from splitbed.node.serve import InFlight
from splitbed.runtime.part_profile import ProfiledPart
from splitbed.runtime.profiler import profile
from splitbed.runtime.provider import OWN, Provider
from splitbed.timeline import clock_id
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.wire import PROTOCOL
from splitbed.workers.wanted import LOOK_S

PACKAGES = (
    "splitbed", "grpcio", "protobuf", "onnx", "onnxruntime", "ai-edge-litert", "tflite-runtime",
    "numpy", "pillow",
)  # fmt: skip

BUSY_LOOK_S = 1.0
"""To find its processes takes a node a look at all of a machine's: not more often."""
_TCP = ("tcp_slow_start_after_idle", "tcp_no_metrics_save")


class NodeHost(nodes_pb2_grpc.NodeServicer):
    """What a node says of itself, and the parts that it holds.

    ``name`` is what errors call it. What it writes is under `folder`, under names of its own
    choosing.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        limits: Limits | None = None,
        provider: Provider = OWN,
    ) -> None:
        self.name = name
        self.folder = folder
        self.limits = limits or Limits()
        self.model_coders: Collection[str] = ()
        """Classes that decode what comes, as ``MODULE:CLASS``."""
        self.in_flight = InFlight()
        self.held = HeldParts(name, self.limits.sessions, provider)
        self.forget: list[Callable[[], None]] = [self.held.drop]
        """What has to be called to be as new."""
        self.description = nodes_pb2.NodeDescription(
            version=importlib.metadata.version("splitbed"),
            pid=os.getpid(),
            clock=clock_id(),
            cpu=cpu_name(),
            cpus=len(os.sched_getaffinity(0)),
            protocol=PROTOCOL,
            sessions=self.limits.sessions,
            packages=dict(versions(PACKAGES)),
            provider=str(provider),
        )
        self._profiling = threading.RLock()
        self._busy = _Busy()
        self.lease = Lease(lambda: self.in_flight.last_s)

    @contextmanager
    def turn(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Change models and parts inside; NodeError where the caller gave up while it waited."""
        with _taken(self.held.turn, context):
            yield

    def Describe(
        self, request: nodes_pb2.DescribeRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.NodeDescription:
        """Who this node is."""
        for name in _TCP:
            self.description.tcp[name] = Path("/proc/sys/net/ipv4", name).read_text().strip()
        self.description.busy_s = self._busy.seconds()
        self.description.frames = self.in_flight.frames
        self.description.frames_done = self.in_flight.done
        self.description.frames_failed = self.in_flight.failed
        return self.description

    @answering
    def Reset(
        self, request: nodes_pb2.ResetRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.ResetReply:
        """Forget what the run before left, and end what it is still at."""
        self.lease.give_up_others(context)
        with self.turn(context):
            for forget in self.forget:
                forget()
        if request.last:
            self.lease.release()
        return nodes_pb2.ResetReply()

    def ReadClock(
        self, request: nodes_pb2.ReadClockRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.ClockReading:
        """What this node's clock says."""
        return nodes_pb2.ClockReading(now_ns=time.monotonic_ns())

    def ReadResources(
        self, request: nodes_pb2.ReadResourcesRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.Resources:
        """What this process has used so far."""
        return METER.begin() if request.begins else METER.read()

    @answering
    def Profile(
        self, request: Iterator[nodes_pb2.ProfilePiece], context: grpc.ServicerContext
    ) -> nodes_pb2.ProfileReply:
        """Run parts alone, with what else this node does at rest."""
        options = next(request, nodes_pb2.ProfilePiece()).options
        warmup, runs = checked_runs(options.warmup), checked_runs(options.runs)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            cuts = receive_all((piece.piece for piece in request), Path(folder), self.limits)
            parts = [
                ProfiledPart(path, one.inputs, one.outputs, cut.model.runtime, self.held.provider)
                for cut in cuts
                if (path := (one := cut.part).path) is not None
            ]
            with _taken(self._profiling, context):
                profiles = profile(
                    parts,
                    min(options.threads, os.cpu_count() or 1) or len(os.sched_getaffinity(0)),
                    warmup,
                    runs,
                    by_turns=self.limits.sessions if options.by_turns else 0,
                    given_up=lambda: not context.is_active(),
                )
        return nodes_pb2.ProfileReply(parts=[nodes_pb2.PartProfile(**vars(p)) for p in profiles])


@contextmanager
def _taken(lock: threading.RLock, context: grpc.ServicerContext) -> Iterator[None]:
    """Hold a lock inside; NodeError where the caller gave up while it was waited for."""
    while not lock.acquire(timeout=LOOK_S):
        _check_waits(context)
    try:
        _check_waits(context)
        yield
    finally:
        lock.release()


def _check_waits(context: grpc.ServicerContext) -> None:
    if not context.is_active():
        raise NodeError("it was given up before it began")


def versions(packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each that is installed, and its version."""
    for name in packages:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # one runtime is enough for a node


class _Busy:
    """CPU time of this process and of those that it started, ended or not, as it was just now."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._looked_s: float | None = None
        self._seconds = 0.0

    def seconds(self) -> float:
        with self._turn:
            now_s = time.monotonic()
            if self._looked_s is None or now_s - self._looked_s >= BUSY_LOOK_S:
                self._seconds, self._looked_s = _busy_s(), now_s
            return self._seconds


def _busy_s() -> float:
    times = os.times()
    busy_s = times.user + times.system + times.children_user + times.children_system
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            busy_s += sum(child.cpu_times()[:4])  # of those that it has reaped, too
    return busy_s


def cpu_name() -> str:
    """The processor's, as Linux has it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
