"""What both nodes are: a host of one model's part, told what to run over the control plane."""

import hashlib
import importlib.metadata
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any, Literal

import grpc

from splitbed.errors import NodeError, SplitbedError
from splitbed.graphs.parts import GRAPH_FILE, StoredModel, extract, open_stored
from splitbed.graphs.weights import FILE as WEIGHTS_FILE
from splitbed.media.pictures import random_inputs
from splitbed.runtime.session import PartSession
from splitbed.tasks import TASKS
from splitbed.tensors import TensorInfo, Tensors
from splitbed.timeline import NS_PER_MS, clock_id
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc

MAX_MODEL_BYTES = 8 << 30
PACKAGES = ("splitbed", "grpcio", "protobuf", "onnx", "onnxruntime", "numpy", "pillow")


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
    """The layers that this node runs of a model cut after `layers`, ready to run."""

    def __init__(self, stored: StoredModel, side: Literal["ue", "edge"], layers: int, threads: int):
        cut_part = extract(stored, layers)[0 if side == "ue" else 1]
        self.layers = layers
        self.nbytes = cut_part.nbytes
        self.inputs: tuple[TensorInfo, ...] = cut_part.inputs
        self.session = PartSession(
            cut_part.path,
            cut_part.inputs,
            cut_part.outputs,
            cut_part.passthrough,
            threads or len(os.sched_getaffinity(0)),
        )

    def run(self, tensors: Tensors) -> Tensors:
        """What this part makes of its inputs."""
        return self.session.run(tensors)


class ModelHost(nodes_pb2_grpc.NodeServicer):
    """The control plane of one node: takes the model, cuts its own part out and warms it up.

    Everything it writes is under `folder`, under names of its own choosing.
    """

    def __init__(self, side: Literal["ue", "edge"], folder: Path) -> None:
        self.side = side
        self.folder = folder
        self.description = nodes_pb2.NodeDescription(
            version=importlib.metadata.version("splitbed"),
            pid=os.getpid(),
            clock=clock_id(),
            cpu=_cpu_name(),
            cpus=len(os.sched_getaffinity(0)),
            packages={name: importlib.metadata.version(name) for name in PACKAGES},
        )
        self._lock = threading.Lock()
        self._stored: StoredModel | None = None
        self._part: LoadedPart | None = None
        self.task = TASKS["tensors"]

    @property
    def stored(self) -> StoredModel:
        """The whole model; NodeError before one was deployed."""
        if self._stored is None:
            raise NodeError(f"the {self.side} node has no model: deploy one first")
        return self._stored

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

    def result_of(self, outputs: Tensors) -> Tensors:
        """What the model's task makes of its outputs."""
        return self.task.decode(outputs)

    @property
    def result_infos(self) -> tuple[TensorInfo, ...]:
        """What a result looks like; a size of -1 depends on the input."""
        return self.task.results or self.stored.graph.outputs

    @answering
    def Deploy(
        self, request: Iterator[nodes_pb2.ModelPiece], context: grpc.ServicerContext
    ) -> nodes_pb2.Deployed:
        """Store the model and check it before anything is run."""
        with self._lock:
            self._drop_part()
            self._stored = None
            digest = self._receive(request)
            self._stored = open_stored(self.folder)
        return nodes_pb2.Deployed(sha256=digest)

    def _receive(self, pieces: Iterator[nodes_pb2.ModelPiece]) -> str:
        digest, size = hashlib.sha256(), 0
        paths = {
            nodes_pb2.ModelPiece.GRAPH: self.folder / GRAPH_FILE,
            nodes_pb2.ModelPiece.WEIGHTS: self.folder / WEIGHTS_FILE,
        }
        files = {kind: path.open("wb") for kind, path in paths.items()}
        try:
            for piece in pieces:
                if piece.task:
                    if piece.task not in TASKS:
                        raise NodeError(f"unknown task {piece.task!r}; one of {', '.join(TASKS)}")
                    self.task = TASKS[piece.task]
                if (size := size + len(piece.data)) > MAX_MODEL_BYTES:
                    raise NodeError(f"refused a model of over {MAX_MODEL_BYTES} bytes")
                if piece.file not in files:
                    raise NodeError(f"refused an unknown kind of model file: {piece.file}")
                files[piece.file].write(piece.data)
                digest.update(piece.data)
        finally:
            for file in files.values():
                file.close()
        return digest.hexdigest()

    @answering
    def Load(
        self, request: nodes_pb2.LoadRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.Loaded:
        """Cut, open the session on this node's part, warm it up."""
        with self._lock:
            self._drop_part()
            start_ns = time.monotonic_ns()
            self._part = LoadedPart(self.stored, self.side, request.layers, request.threads)
            load_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
            self._part.session.warm(request.warmup)
            for _ in range(request.warmup):
                self.result_of(random_inputs(_sized(self.stored.graph.outputs), seed=0))
        return nodes_pb2.Loaded(part_bytes=self._part.nbytes, load_ms=load_ms)

    def _drop_part(self) -> None:
        if self._part is not None:
            self._part.session.close()
            self._part = None


def _sized(infos: Sequence[TensorInfo]) -> list[TensorInfo]:
    """The same tensors, with 1 for each size that depends on the input."""
    return [replace(info, shape=tuple(max(size, 1) for size in info.shape)) for info in infos]


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
