"""One node of a run: a process at one end of the link, asked over a Unix socket."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from netem.namespace import Namespace
from orchestrator.scratch import Scratch
from splitbed.errors import MachineError, NodeError
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.wire import CONTROL_OPTIONS

START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 3.0
_LACKING = MachineError.exit_code
_DYING_S = 0.5  # what a process takes to be gone once its peer has seen the connection close


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
        self.channel = grpc.insecure_channel(control, options=CONTROL_OPTIONS)

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
