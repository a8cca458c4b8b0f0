"""What both nodes are: a host of one part of a model, told what to run over the control plane."""

import importlib.metadata
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal

import grpc
import numpy as np

from splitbed.codecs import codec_named
from splitbed.codecs.codec import Coder
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import NodeError, UsageError
from splitbed.media.pictures import random_inputs
from splitbed.node.answering import CALLS, answering
from splitbed.node.config import Limits
from splitbed.node.delivery import CutPart, receive_all
from splitbed.node.lease import Lease
from splitbed.node.serve import InFlight
from splitbed.runtime.part_profile import ProfiledPart
from splitbed.runtime.profiler import profile
from splitbed.runtime.session import PartSession
from splitbed.telemetry import SESSIONS
from splitbed.tensors import TensorInfo, Tensors, zeros
from splitbed.timeline import NS_PER_MS, clock_id
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.wire import PROTOCOL, recipe_of

PACKAGES = (
    "splitbed", "grpcio", "protobuf", "onnx", "onnxruntime", "ai-edge-litert", "tflite-runtime",
    "numpy", "pillow",
)  # fmt: skip

_MOST_RUNS = 100_000
_TCP = ("tcp_slow_start_after_idle", "tcp_no_metrics_save")

Side = Literal["ue", "edge"]


class LoadedPart:
    """A part with an open session, and what encodes or decodes the intermediate data.

    As a rule with one codec; frames by turns may have several.
    """

    def __init__(self, cut: CutPart, threads: int, side: Side) -> None:
        self.cut = cut
        part = cut.part
        self.session = PartSession(
            part.path,
            part.inputs,
            part.outputs,
            part.passthrough,
            threads,
            cut.model.runtime,
        )
        self.fed: Tensors | None = None
        """What it is warmed up with, where made-up inputs might not suit."""
        self.crossing = part.outputs if side == "ue" else part.inputs
        if cut.is_whole:
            self.crossing = ()  # nothing crosses; sizes of outputs may depend on the input
        self._coders: dict[str, Coder] = {}
        """By codec; the one used last comes last."""
        self.use("raw", Setting())

    def run(self, tensors: Tensors) -> Tensors:
        """What this part makes of its inputs."""
        return self.session.run(tensors)

    def use(self, name: str, setting: Setting, keep: Collection[str] = ()) -> Coder:
        """Encode or decode with the codec called `name` from now on, its state as new.

        Of the others only those to `keep` may still be asked for. Raises UsageError for a codec
        that is not installed here or cannot take these tensors.
        """
        codec = codec_named(name)
        coder = codec.bind(self.crossing, setting)
        beside = {held: own for held, own in self._coders.items() if held in keep}
        beside.pop(codec.name, None)
        self._coders = beside | {codec.name: coder}
        return coder

    def coder_of(self, codec: str) -> tuple[str, Coder]:
        """The codec called so and what it does here, empty for the one used last; NodeError."""
        name = codec or next(reversed(self._coders))
        if name not in self._coders:
            raise NodeError(f"{name!r} was asked for, this cut has {', '.join(self._coders)}")
        return name, self._coders[name]


class NodeHost(nodes_pb2_grpc.NodeServicer):
    """What a node says of itself, and the parts that it has loaded: as a rule one, or one per cut.

    What it writes is under `folder`, under names of its own choosing.
    """

    def __init__(self, side: Side, folder: Path, limits: Limits | None = None) -> None:
        self.side = side
        self.folder = folder
        self.limits = limits or Limits()
        self.in_flight = InFlight()
        self.forget: list[Callable[[], None]] = [self.drop]
        """What has to be called to be as new."""
        self.description = nodes_pb2.NodeDescription(
            version=importlib.metadata.version("splitbed"),
            pid=os.getpid(),
            clock=clock_id(),
            cpu=_cpu_name(),
            cpus=len(os.sched_getaffinity(0)),
            protocol=PROTOCOL,
            sessions=self.limits.sessions,
            packages=dict(_versions()),
        )
        self.turn, self._profiling = threading.RLock(), threading.Lock()
        """Held while models and parts change."""
        self.lease = Lease(lambda: CALLS.under_way > 0)
        self._parts: dict[int, LoadedPart] = {}
        """By the layers before the cut; the one that was opened last comes last."""
        self._sessions = threading.BoundedSemaphore(self.limits.sessions)

    @property
    def part(self) -> LoadedPart:
        """The part that was loaded last; NodeError before one was loaded."""
        if not self._parts:
            raise NodeError(f"the {self.side} node has no part loaded: load one first")
        return next(reversed(self._parts.values()))

    def part_of(self, layers: int | None) -> LoadedPart:
        """The part of the cut after ``layers`` layers, None for the one loaded last; NodeError."""
        if layers is None or not self._parts:
            return self.part
        if layers not in self._parts:
            held = ", ".join(map(str, sorted(self._parts)))
            raise NodeError(
                f"the {self.side} node holds no part of the cut after {layers} layers, only "
                f"after {held}: load it first, and let it keep the others"
            )
        return self._parts[layers]

    def Describe(
        self, request: nodes_pb2.DescribeRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.NodeDescription:
        """Who this node is."""
        for name in _TCP:
            self.description.tcp[name] = Path("/proc/sys/net/ipv4", name).read_text().strip()
        return self.description

    @answering
    def Reset(
        self, request: nodes_pb2.ResetRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.ResetReply:
        """Forget what the run before left."""
        with self.turn:
            if not context.is_active():
                raise NodeError("it was given up before it began")
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

    @answering
    def Profile(
        self, request: Iterator[nodes_pb2.ProfilePiece], context: grpc.ServicerContext
    ) -> nodes_pb2.ProfileReply:
        """Run parts alone, with what else this node does at rest."""
        options = next(request, nodes_pb2.ProfilePiece()).options
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            cuts = receive_all(
                (piece.piece for piece in request), Path(folder), self.limits.model_bytes
            )
            parts = [
                ProfiledPart(cut.part.path, cut.part.inputs, cut.part.outputs, cut.model.runtime)
                for cut in cuts
                if cut.part.path is not None
            ]
            with self._profiling:
                profiles = profile(
                    parts,
                    _threads(options.threads) or len(os.sched_getaffinity(0)),
                    min(options.warmup, _MOST_RUNS),
                    min(options.runs, _MOST_RUNS),
                    by_turns=options.by_turns,
                    given_up=lambda: not context.is_active(),
                )
        return nodes_pb2.ProfileReply(parts=[nodes_pb2.PartProfile(**vars(p)) for p in profiles])

    @answering
    def UseCodec(
        self, request: nodes_pb2.CodecRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.CodecReply:
        """Encode or decode what crosses the cut with another codec, its state as new."""
        ranges = {
            ranges.tensor: Range(
                np.array(ranges.low, np.float32), np.array(ranges.high, np.float32)
            )
            for ranges in request.ranges
        }
        picture = recipe_of(request.picture) if request.HasField("picture") else None
        setting = Setting(ranges, request.channels_last, picture)
        part = self.part_of(request.layers if request.HasField("layers") else None)
        try:
            tried = part.use(request.codec, setting, request.keep)
            tried.decode(tried.encode(zeros(part.crossing)))
            part.use(request.codec, setting, request.keep)
        except UsageError as error:
            raise NodeError(f"the {self.side} node cannot use {request.codec}: {error}") from None
        return nodes_pb2.CodecReply()

    def load(
        self,
        cut: CutPart,
        options: nodes_pb2.SessionOptions,
        start_ns: int,
        feed: Callable[[], Tensors | None] = lambda: None,
    ) -> nodes_pb2.Loaded:
        """Open a session on `cut`, which was begun to be made at `start_ns`, and warm it up.

        Its inputs are then made up, or what `feed` gives, where these might not suit.
        It takes the place of all that it is not asked to keep, and of the one of the same cut.
        Raises NodeError when the limit of sessions leaves no room.
        """
        with self.turn:
            self.drop(keep={*options.keep} - {cut.layers})
            part = self.opened(cut, options.threads)
            self._parts[cut.layers] = part
            load_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
            warmup = min(options.warmup, _MOST_RUNS)
            part.fed = _warm(part.session, warmup, cut.part.inputs, feed)
            for _ in range(warmup if cut.gives_outputs else 0):
                cut.model.result_of(
                    random_inputs([info.least for info in cut.model.outputs], seed=0)
                )
        return nodes_pb2.Loaded(part_bytes=cut.part.nbytes, load_ms=load_ms)

    @answering
    def UsePart(
        self, request: nodes_pb2.UsePartRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.UsePartReply:
        """Take a part that is held as the one opened last; its caches are cold, so warm it up."""
        with self.turn:
            part = self.part_of(request.layers)
            self._parts[request.layers] = self._parts.pop(request.layers)
            part.session.warm(min(request.warmup, _MOST_RUNS), part.fed)
        return nodes_pb2.UsePartReply()

    def drop(self, keep: Collection[int] = ()) -> None:
        """Close the sessions of all parts, but of the cuts after so many layers as ``keep`` has."""
        for layers in [*self._parts]:
            if layers not in keep:
                self.close(self._parts.pop(layers))

    def opened(self, cut: CutPart, threads: int) -> LoadedPart:
        """A part with a session, to be closed by :meth:`close`; NodeError when there are many."""
        if not self._sessions.acquire(blocking=False):
            raise NodeError(
                f"the {self.side} node has {self.limits.sessions} sessions open: hold fewer "
                "splits, try again when others are done, or raise limits.sessions"
            )
        try:
            part = LoadedPart(cut, _threads(threads), self.side)
        except BaseException:
            self._sessions.release()
            raise
        SESSIONS.inc()
        return part

    def close(self, part: LoadedPart) -> None:
        """Close a session that :meth:`opened` gave."""
        part.session.close()
        self._sessions.release()
        SESSIONS.dec()


def _warm(
    session: PartSession,
    runs: int,
    inputs: Sequence[TensorInfo],
    feed: Callable[[], Tensors | None],
) -> Tensors | None:
    """Run it on made-up inputs, or on what `feed` gives, which is given back."""
    fed = feed() if runs and any(info.is_index for info in inputs) else None
    try:
        session.warm(runs, fed)
    except NodeError:
        # a size may have been computed from what was made up, in floating point, too
        if fed is not None or (fed := feed()) is None:
            raise
        session.warm(runs, fed)
    return fed


def _threads(asked: int) -> int:
    """No more than there are CPUs: a runtime would start them all."""
    return min(asked, os.cpu_count() or 1)


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # one runtime is enough for a node


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
