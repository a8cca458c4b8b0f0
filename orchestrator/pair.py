"""The UE node and the edge node of one run: two processes at the two ends of a link."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import grpc

from netem.link import Link
from netem.namespace import Namespace
from netem.spec import LinkSpec
from orchestrator.model import SweptModel
from orchestrator.scratch import Scratch
from splitbed.errors import MachineError, NodeError
from splitbed.graphs.parts import GRAPH_FILE
from splitbed.graphs.weights import FILE as WEIGHTS_FILE
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.wire import CHANNEL_OPTIONS

START_TIMEOUT_S = 30.0
CONTROL_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 3.0
_LACKING = MachineError.exit_code
_DYING_S = 0.5  # what a process takes to be gone once its peer has seen the connection close
_PIECE_BYTES = 1 << 20


@dataclass
class NodeProcess:
    """One node in its namespace; its control plane is a Unix socket that crosses no link."""

    side: str
    argv: Sequence[str]
    namespace: Namespace
    scratch: Scratch
    module: str
    process: subprocess.Popen[bytes] | None = None
    channel: grpc.Channel = field(init=False)

    @property
    def _socket(self) -> Path:
        return self.scratch.folder / f"{self.side}.sock"

    @property
    def log(self) -> Path:
        """What the node wrote to stdout and stderr."""
        return self.scratch.folder / f"{self.side}.log"

    def start(self) -> None:
        """Start the process and open its control channel."""
        self._socket.unlink(missing_ok=True)
        control = f"unix:{self._socket}"
        argv = [sys.executable, "-m", self.module, "serve", "--control", control]
        # killed with the orchestrator, however that ends; a Ctrl-C is the orchestrator's to handle
        dying = ["setpriv", "--pdeathsig", "KILL", "--"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*dying, *self.namespace.command([*argv, *self.argv])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # what a killed node leaves in its own folder goes with the run's
                env={**os.environ, "TMPDIR": str(self.scratch.folder)},
                start_new_session=True,
            )
        self.scratch.record(self.process.pid)
        self.channel = grpc.insecure_channel(control, options=CHANNEL_OPTIONS)

    def stop(self) -> None:
        """End the process: politely, then not."""
        if self.process is None:
            return
        self.channel.close()
        self.process.terminate()
        try:
            self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def started(self) -> nodes_pb2.NodeDescription:
        """Wait until the node answers.

        Raises MachineError when the machine refused it something, NodeError when it died or hung.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if description := self._described(1.0):
                return description
            if how := self.ended():
                lacking = self.process is not None and self.process.returncode == _LACKING
                raise (MachineError if lacking else NodeError)(
                    f"the {self.side} node died at its start{how}"
                )
        raise NodeError(f"the {self.side} node did not answer within {START_TIMEOUT_S:g} s")

    def answers(self) -> bool:
        """Whether the node is there, whatever it is busy with."""
        return self._described(1.0) is not None

    def _described(self, timeout_s: float) -> nodes_pb2.NodeDescription | None:
        stub = nodes_pb2_grpc.NodeStub(self.channel)
        request = nodes_pb2.DescribeRequest()
        try:
            return stub.Describe(request, timeout=timeout_s, wait_for_ready=True)
        except grpc.RpcError:
            return None

    @contextmanager
    def asked(self, what: str) -> Iterator[None]:
        """Turn a failed RPC inside into a NodeError that says what the node did."""
        try:
            yield
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            raise NodeError(f"{self._reason(error)} (asked to {what})") from None

    def _reason(self, error: grpc.Call) -> str:
        match error.code():
            case grpc.StatusCode.FAILED_PRECONDITION:
                return str(error.details())
            case grpc.StatusCode.DEADLINE_EXCEEDED if self.answers():
                return "it took too long; --frame-timeout-s allows more"
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"the {self.side} node hung"
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                return f"the {self.side} node died{self.ended()}"
        return f"the {self.side} node failed: {error.code().name}: {error.details()}{self.ended()}"

    def ended(self) -> str:
        """How the process ended, and its last word; empty while it runs."""
        try:
            code = self.process.wait(_DYING_S) if self.process else 0
        except subprocess.TimeoutExpired:
            return ""
        last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
        ended = f"signal {-code}" if code < 0 else f"exit {code}"
        return f" ({ended}{': ' + last[0] if last else ''})"


class Pair:
    """Both nodes with the model deployed on them, and what the orchestrator asks of them.

    Every method raises NodeError when a node died, hung or refused.
    """

    def __init__(
        self,
        link: Link,
        scratch: Scratch,
        model: SweptModel,
        data_port: int,
        *,
        edge_module: str = "edge_node",
    ) -> None:
        data = f"{link.edge_address}:{data_port}"
        self._edge = NodeProcess(
            "edge", ["--listen", data, "--insecure"], link.edge, scratch, edge_module
        )
        self._ue = NodeProcess("ue", ["--edge", data], link.ue, scratch, "ue_node")
        self._model = model
        self.ue: nodes_pb2.NodeDescription
        self.edge: nodes_pb2.NodeDescription

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kill(self) -> None:
        """End both nodes at once, whatever they are at."""
        for node in (self._ue, self._edge):
            if node.process is not None:
                node.process.kill()

    def close(self) -> None:
        """End both nodes, the second one even when ending the first is interrupted."""
        try:
            self._ue.stop()
        finally:
            self._edge.stop()

    def restart(self) -> None:
        """End both nodes and bring them up again as they were, the model on them."""
        self.close()
        self._start()

    def _start(self) -> None:
        nodes = (self._edge, self._ue)
        for node in nodes:
            node.start()
        self.edge, self.ue = (node.started() for node in nodes)
        if self.ue.clock != self.edge.clock:
            raise NodeError("UE and edge do not share a clock: one-way times would mean nothing")
        for node in nodes:
            with node.asked("take the model"):
                stub = nodes_pb2_grpc.NodeStub(node.channel)
                stub.Deploy(_pieces(self._model), timeout=CONTROL_TIMEOUT_S)
        for source in self._model.inputs:
            self._add_input(source)

    def _add_input(self, source: nodes_pb2.Input) -> None:
        with self._ue.asked(f"take the input {source.name}"):
            stub = nodes_pb2_grpc.UeStub(self._ue.channel)
            tensors = list(stub.AddInput(source, timeout=CONTROL_TIMEOUT_S))
        with self._edge.asked(f"run the whole model on {source.name}"):
            edge = nodes_pb2_grpc.EdgeStub(self._edge.channel)
            edge.SetReference(iter(tensors), timeout=CONTROL_TIMEOUT_S)

    def load(self, layers: int, *, threads: tuple[int, int], warmup: int) -> tuple[Any, Any]:
        """Cut after `layers` layers; sessions open and warm on both nodes at the end.

        `threads` are those of UE and edge. Both nodes work at once.
        """
        pending = []
        for node, count in zip((self._ue, self._edge), threads, strict=True):
            request = nodes_pb2.LoadRequest(layers=layers, threads=count, warmup=warmup)
            stub = nodes_pb2_grpc.NodeStub(node.channel)
            pending.append((node, stub.Load.future(request, timeout=CONTROL_TIMEOUT_S)))
        loaded = []
        for node, future in pending:
            with node.asked(f"load its part of the cut after {layers} layers"):
                loaded.append(future.result())
        return loaded[0], loaded[1]

    def warm_link(self, nbytes: int, timeout_s: float) -> None:
        """Send `nbytes` that mean nothing over the data connection."""
        request = nodes_pb2.WarmLinkRequest(bytes=nbytes)
        self._ask_ue("WarmLink", request, "warm the link", timeout_s)

    def prove_link(self, spec: LinkSpec) -> nodes_pb2.LinkProof:
        """Measure the link's rates and round trip between the nodes."""
        request = nodes_pb2.ProveLinkRequest(
            probe_port=self.edge.probe_port,
            probe_token=self.edge.probe_token,
            uplink=nodes_pb2.LinkShape(**spec.uplink.model_dump()),
            downlink=nodes_pb2.LinkShape(**spec.downlink.model_dump()),
        )
        proof = self._ask_ue("ProveLink", request, "prove the link", CONTROL_TIMEOUT_S)
        return cast(nodes_pb2.LinkProof, proof)

    def run_frame(self, frame: int, input_: int, timeout_s: float) -> Any:
        """Take one input through the pipeline; a FrameRecord."""
        request = nodes_pb2.FrameRequest(frame=frame, input=input_)
        what = f"run frame {frame} in {timeout_s:.0f} s"
        return self._ask_ue("RunFrame", request, what, timeout_s)

    def _ask_ue(self, method: str, request: object, what: str, timeout_s: float) -> Any:
        try:
            with self._ue.asked(what):
                stub = nodes_pb2_grpc.UeStub(self._ue.channel)
                return getattr(stub, method)(request, timeout=timeout_s)
        except NodeError as error:
            # the UE can only say that its edge went away or is silent, not why
            if how := self._edge.ended():
                raise NodeError(f"the edge node died{how}: {error}") from None
            if self._ue.answers() and not self._edge.answers():
                raise NodeError(f"the edge node hung: {error}") from None
            raise


def _pieces(model: SweptModel) -> Iterator[nodes_pb2.ModelPiece]:
    yield nodes_pb2.ModelPiece(task=model.task)
    for kind, name in (
        (nodes_pb2.ModelPiece.GRAPH, GRAPH_FILE),
        (nodes_pb2.ModelPiece.WEIGHTS, WEIGHTS_FILE),
    ):
        with (model.folder / name).open("rb") as file:
            while data := file.read(_PIECE_BYTES):
                yield nodes_pb2.ModelPiece(file=kind, data=data)
