"""One node of a run, asked over its control plane; it was started here, or elsewhere."""

import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from netem.service import shape_message
from netem.spec import LinkSpec
from orchestrator.ask.topology import Machines, NodePlace
from splitbed.errors import LateError, MachineError, NodeError
from splitbed.security.access import open_channel, read_token, why_unreachable
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.wire import CONTROL_OPTIONS, PROTOCOL

START_TIMEOUT_S, _MOVED = 30.0, 0.02
"""A node that starts is given up when for so long it was at work for no more than such a share."""
ANSWER_S = 120.0
"""For what a node does that hardly depends on the model: bind codecs, slow itself down."""
_RESET_S, _BETWEEN_S, _LOOK_S, _HEARD_AGAIN_S = 5.0, 0.05, 10.0, 1.0
_KEEPALIVE = [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 10_000)]


class Node(ABC):
    """What the orchestrator asks of any node, and what it makes of no answer."""

    side: str
    """Its name in the topology."""
    channel: grpc.Channel
    says: nodes_pb2.NodeDescription
    """What it said of itself when it was started."""
    waits = True
    """Whether a call waits for a connection; one that does not says why there is none."""
    gone = "died"
    """What it is, when it cannot be reached any more."""
    silent = "hung"
    """What it does, when its process is there and does not answer."""

    @abstractmethod
    def start(self) -> None:
        """Open the control channel; start the process where it is ours to start."""

    @abstractmethod
    def stop(self, *, last: bool = True) -> None:
        """Be done with it: nothing of this run is left there but the shape of its link."""

    @abstractmethod
    def kill(self) -> None:
        """Give up at once whatever it is at."""

    def ended(self) -> str:
        """How the process ended, and its last word; empty while it runs, or where none knows."""
        return ""

    def started(self) -> nodes_pb2.NodeDescription:
        """Wait until the node answers, as long as it is at work.

        Raises MachineError when the machine refused it something, NodeError when it died, hung or
        speaks another protocol.
        """
        moved_s, worked_s = time.monotonic(), 0.0
        while True:
            answer = self._describe(1.0)
            if isinstance(answer, nodes_pb2.NodeDescription):
                break
            self._refused(answer)
            time.sleep(_BETWEEN_S)
            now_s, so_far_s = time.monotonic(), self.worked_s()
            if so_far_s - worked_s > _MOVED * START_TIMEOUT_S:
                moved_s, worked_s = now_s, so_far_s
            if now_s - moved_s > START_TIMEOUT_S:
                raise NodeError(self._silent(answer))
        if answer.protocol != PROTOCOL:
            raise NodeError(
                f"the {self.side} node (version {answer.version}) speaks protocol "
                f"{answer.protocol}, this orchestrator {PROTOCOL}: install the same version on all"
            )
        self.says = answer
        return answer

    @abstractmethod
    def _refused(self, error: grpc.RpcError) -> None:
        """Raise what `error` means, where waiting longer will not help."""

    @abstractmethod
    def _silent(self, error: grpc.RpcError) -> str:
        """Why the node never answered."""

    def worked_s(self) -> float:
        """What its process has computed, and waited for a processor that others had.

        0 where nobody here knows.
        """
        return 0.0

    def answers(self) -> bool:
        """Whether the node is there, whatever it is busy with."""
        return isinstance(self._describe(1.0), nodes_pb2.NodeDescription)

    def busy_s(self) -> float | None:
        """What it and the processes that it started have computed so far; None without an answer.

        As every call, it says that this run is alive.
        """
        said = self._describe(_LOOK_S)
        return said.busy_s if isinstance(said, nodes_pb2.NodeDescription) else None

    def frames(self) -> int | None:
        """How many it is at; None without an answer."""
        said = self._describe(_LOOK_S)
        return said.frames if isinstance(said, nodes_pb2.NodeDescription) else None

    def ended_frames(self) -> tuple[int, int] | None:
        """How many it has done since it started, and how many failed; None without an answer."""
        said = self._describe(_LOOK_S)
        if not isinstance(said, nodes_pb2.NodeDescription):
            return None
        return said.frames_done, said.frames_failed

    def read_clock(self) -> int:
        """What the node's CLOCK_MONOTONIC says, in ns."""
        with self.asked("read its clock"):
            stub = nodes_pb2_grpc.NodeStub(self.channel)
            reading = stub.ReadClock(nodes_pb2.ReadClockRequest(), timeout=START_TIMEOUT_S)
        return int(reading.now_ns)

    def read_resources(self, *, begins: bool = False) -> nodes_pb2.Resources:
        """What its process has used so far; peaks and means are from now on where it `begins`."""
        request = nodes_pb2.ReadResourcesRequest(begins=begins)
        with self.asked("read its resources"):
            stub = nodes_pb2_grpc.NodeStub(self.channel)
            told: nodes_pb2.Resources = stub.ReadResources(request, timeout=START_TIMEOUT_S)
        return told

    @property
    def cpus(self) -> int:
        """Processors that it may use."""
        return self.says.cpus

    @property
    def machine(self) -> str:
        """What names the machine that it is on, as all there have its clock."""
        return self.says.clock

    def _describe(self, timeout_s: float) -> nodes_pb2.NodeDescription | grpc.RpcError:
        stub = nodes_pb2_grpc.NodeStub(self.channel)
        request = nodes_pb2.DescribeRequest()
        try:
            return stub.Describe(request, timeout=timeout_s, wait_for_ready=self.waits)
        except grpc.RpcError as error:
            return error

    @contextmanager
    def asked(self, what: str) -> Iterator[None]:
        """Turn a failed RPC inside into a NodeError that says what the node did."""
        try:
            yield
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and self.answers():
                raise LateError(f"it took too long (asked to {what})") from None
            raise NodeError(f"{self._reason(error)} (asked to {what})") from None
        except ValueError as error:  # an interruption may close a channel that is about to be used
            if "closed channel" not in str(error):
                raise
            raise NodeError(f"the {self.side} node was let go (asked to {what})") from None

    def _reason(self, error: grpc.Call) -> str:
        match error.code():
            case grpc.StatusCode.FAILED_PRECONDITION:
                return str(error.details())
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"the {self.side} node hung"
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                return f"the {self.side} node {self.gone}{self.ended()}"
        return f"the {self.side} node failed: {error.code().name}: {error.details()}{self.ended()}"


class RemoteNode(Node):
    """A node that runs elsewhere, as a service; it stays when the run ends."""

    waits = False
    gone = "is gone"
    silent = "does not answer"

    def __init__(self, side: str, place: NodePlace, machines: Machines) -> None:
        self.side = side
        self._address = place.control
        self._tls = machines.tls
        self._token = read_token(machines.token_file)
        self._run = secrets.token_hex(8)
        self._ours = False  # until it has begun this run: what another's left is not ours to reset
        self.channel = self._opened()

    def _opened(self) -> grpc.Channel:
        options = [*CONTROL_OPTIONS, *_KEEPALIVE]
        return open_channel(self._address, self._tls, self._token, options, self._run)

    def start(self) -> None:
        self.kill()

    def started(self) -> nodes_pb2.NodeDescription:
        description = super().started()
        if description.name != self.side:
            raise NodeError(
                f"the node at {self._address} calls itself {description.name}, the topology "
                f"{self.side}: give it `name: {self.side}` in its configuration, or the topology "
                "the address of another"
            )
        with self.asked("forget the run before"):
            nodes_pb2_grpc.NodeStub(self.channel).Reset(
                nodes_pb2.ResetRequest(), timeout=START_TIMEOUT_S
            )
        self._ours = True
        threading.Thread(target=_be_heard, args=(self.channel,), daemon=True).start()
        return description

    def stop(self, *, last: bool = True) -> None:
        if self._ours:
            with suppress(grpc.RpcError, ValueError):
                nodes_pb2_grpc.NodeStub(self.channel).Reset(
                    nodes_pb2.ResetRequest(last=last), timeout=_RESET_S
                )
        self.channel.close()

    def kill(self) -> None:
        # what follows may still ask: over another channel
        before, self.channel = self.channel, self._opened()
        before.close()

    def _refused(self, error: grpc.RpcError) -> None:
        assert isinstance(error, grpc.Call)
        why = why_unreachable(error, self._address, self._tls)
        denied = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
            raise MachineError(f"the {self.side} node at {self._address}: {error.details()}")
        if error.code() in denied or why.startswith("TLS failed"):
            raise MachineError(f"the {self.side} node: {why}")

    def _silent(self, error: grpc.RpcError) -> str:
        return f"the {self.side} node: {why_unreachable(error, self._address, self._tls)}"


def _be_heard(channel: grpc.Channel) -> None:
    """Keep a call open on a channel until that is closed: a run that has one is no dead one."""
    # the stub's methods are set when it is made, which its types do not know
    watch = cast(Any, health_pb2_grpc.HealthStub(channel)).Watch
    with suppress(ValueError):  # no call is begun on a closed channel
        while True:
            with suppress(grpc.RpcError):
                for _ in watch(health_pb2.HealthCheckRequest(), wait_for_ready=True):
                    pass
            time.sleep(_HEARD_AGAIN_S)


def prove(
    near: Node,
    far: Node,
    spec: LinkSpec,
    timeout_s: float,
    known: nodes_pb2.LinkProof | None = None,
) -> nodes_pb2.LinkProof:
    """Let `near` measure rates and round trip of its link to `far`, both started; grpc.RpcError.

    The round trip alone where the rates are `known` of a link that nobody has touched since.
    """
    request = nodes_pb2.ProveLinkRequest(
        probe_port=far.says.probe_port,
        probe_token=far.says.probe_token,
        uplink=shape_message(spec.uplink),
        downlink=shape_message(spec.downlink),
        peer=far.side,
        known=known,
    )
    return nodes_pb2_grpc.LinksStub(near.channel).Prove(request, timeout=timeout_s)
