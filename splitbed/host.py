"""What both nodes are: a host of one part of a model, told what to run over the control plane."""

import importlib.metadata
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any, Literal

import grpc
import numpy as np

from splitbed.codecs import codec_named
from splitbed.codecs.stage import Range, Setting
from splitbed.delivery import CutPart, receive_all
from splitbed.errors import NodeError, SplitbedError, UsageError
from splitbed.media.pictures import random_inputs
from splitbed.runtime.profiler import ProfiledPart, profile
from splitbed.runtime.session import PartSession
from splitbed.tensors import TensorInfo, Tensors, zeros
from splitbed.timeline import NS_PER_MS, clock_id
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.wire import recipe_of

PACKAGES = (
    "splitbed", "grpcio", "protobuf", "onnx", "onnxruntime", "ai-edge-litert", "tflite-runtime",
    "numpy", "pillow",
)  # fmt: skip


Side = Literal["ue", "edge"]


def answering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Answer an RPC with the reason, not a traceback, when it raises one of our errors."""

    def refuse(context: grpc.ServicerContext, error: SplitbedError) -> None:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    @wraps(method)
    def unary(self: object, request: object, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except SplitbedError as error:
            return refuse(context, error)

    @wraps(method)
    def stream(self: object, request: object, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from method(self, request, context)
        except SplitbedError as error:
            refuse(context, error)

    return stream if isgeneratorfunction(method) else unary


class LoadedPart:
    """A part with an open session, and what encodes or decodes the intermediate data."""

    def __init__(self, cut: CutPart, threads: int, side: Side) -> None:
        self.cut = cut
        part = cut.part
        self.session = PartSession(
            part.path,
            part.inputs,
            part.outputs,
            part.passthrough,
            threads,
        )
        self.crossing = part.outputs if side == "ue" else part.inputs
        if cut.is_whole:
            self.crossing = ()  # nothing crosses; sizes of outputs may depend on the input
        self.use("raw", Setting())

    def run(self, tensors: Tensors) -> Tensors:
        """What this part makes of its inputs."""
        return self.session.run(tensors)

    def use(self, name: str, setting: Setting) -> None:
        """Encode or decode with the codec called `name` from now on.

        Raises UsageError for a codec that is not installed here or cannot take these tensors.
        """
        codec = codec_named(name)
        self.codec, self.coder = codec.name, codec.bind(self.crossing, setting)


class NodeHost(nodes_pb2_grpc.NodeServicer):
    """What a node says of itself, and the one part that it has loaded.

    What it writes is under `folder`, under names of its own choosing.
    """

    def __init__(self, side: Side, folder: Path) -> None:
        self.side = side
        self.folder = folder
        self.description = nodes_pb2.NodeDescription(
            version=importlib.metadata.version("splitbed"),
            pid=os.getpid(),
            clock=clock_id(),
            cpu=_cpu_name(),
            cpus=len(os.sched_getaffinity(0)),
            packages=dict(_versions()),
        )
        self._lock = threading.Lock()
        self._part: LoadedPart | None = None

    @property
    def part(self) -> LoadedPart:
        """The loaded part; NodeError before one was loaded."""
        if self._part is None:
            raise NodeError(f"the {self.side} node has no part loaded: load one first")
        return self._part

    def Describe(
        self, request: nodes_pb2.DescribeRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.NodeDescription:
        """Who this node is."""
        return self.description

    @answering
    def Profile(
        self, request: Iterator[nodes_pb2.ProfilePiece], context: grpc.ServicerContext
    ) -> nodes_pb2.ProfileReply:
        """Run parts alone, with what else this node does at rest."""
        options = next(request, nodes_pb2.ProfilePiece()).options
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            cuts = receive_all((piece.piece for piece in request), Path(folder))
            parts = [
                ProfiledPart(cut.part.path, cut.part.inputs, cut.part.outputs)
                for cut in cuts
                if cut.part.path is not None
            ]
            threads = options.threads or len(os.sched_getaffinity(0))
            with self._lock:
                profiles = profile(parts, threads, options.warmup, options.runs)
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
        try:
            self.part.use(request.codec, setting)
            self.part.coder.decode(self.part.coder.encode(zeros(self.part.crossing)))
            self.part.use(request.codec, setting)
        except UsageError as error:
            raise NodeError(f"the {self.side} node cannot use {request.codec}: {error}") from None
        return nodes_pb2.CodecReply()

    def load(
        self, cut: CutPart, options: nodes_pb2.SessionOptions, start_ns: int
    ) -> nodes_pb2.Loaded:
        """Open a session on `cut`, which was begun to be made at `start_ns`, and warm it up."""
        with self._lock:
            self.drop()
            self._part = LoadedPart(cut, options.threads, self.side)
            load_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
            self._part.session.warm(options.warmup)
            for _ in range(options.warmup if cut.gives_outputs else 0):
                cut.model.result_of(random_inputs(_sized(cut.model.outputs), seed=0))
        return nodes_pb2.Loaded(part_bytes=cut.part.nbytes, load_ms=load_ms)

    def drop(self) -> None:
        """Close the session, if one is open."""
        if self._part is not None:
            self._part.session.close()
            self._part = None


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # one runtime is enough for a node


def _sized(infos: Sequence[TensorInfo]) -> list[TensorInfo]:
    """The same tensors, with 1 for each size that depends on the input."""
    return [replace(info, shape=tuple(max(size, 1) for size in info.shape)) for info in infos]


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
