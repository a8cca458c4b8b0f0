"""A node that is attacked, and what is demanded of it: it lives, it answers, it does not grow."""

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import grpc
import psutil
import yaml

from splitbed.node.config import Tls
from splitbed.security.access import open_channel
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.wire import CONTROL_OPTIONS
from tests.hostile.calls import INFERENCE, Call, as_line, kept
from tests.hostile.length import LONG
from tests.node.loopback import free_port
from tests.shared_machine import until

Role = Literal["edge", "ue"]

LOCKED_S = 2.0
LEAST_LOCK_S = LOCKED_S if LONG else 3 * LOCKED_S
"""Beside other tests a machine stalls; who is locked out is so until something times out."""
GROWTH_BYTES = 64 << 20
SMALL = {"message_bytes": 1 << 20, "tensor_bytes": 1 << 20, "model_bytes": 4 << 20}
"""Limits that add up to less than a node may grow by."""

_LOOK_S, _SETTLED_S, CALL_S, _GIVEN_UP_S = 0.1, 20.0, 10.0, 30.0
_RECENT = 50
_OWN = ("grpc.use_local_subchannel_pool", 1)
_ELSEWHERE = ("/Profile", "/LimitProcessor")  # long, and leave nothing in the node


@dataclass
class Toll:
    """What an attack did to a node."""

    longest_wait_s: float = 0.0
    grown_bytes: int = 0


@dataclass(eq=False)
class Attacked:
    """A node process, as its orchestrator has it.

    ``tls`` is the orchestrator's. Attackers open channels of their own to ``control`` and ``data``.
    A UE answers clients at ``infer``. It is started by the command ``before`` its own.
    """

    role: Role
    control: str
    data: str
    infer: str
    config: Path
    tls: Tls | None = None
    before: Sequence[str] = ()
    tolls: list[Toll] = field(default_factory=list)
    recent: deque[Call] = field(default_factory=lambda: deque(maxlen=_RECENT))
    """What it was sent last."""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        argv = [sys.executable, "-m", f"{self.role}_node", "serve", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*self.before, *argv], stdout=log, stderr=log)
        self._connect()
        until(self._answers, self.process)

    def stop(self) -> None:
        self._disconnect()
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> Path:
        return self.config.with_suffix(".log")

    def open_channel(self) -> grpc.Channel:
        """A connection of its own to the control plane."""
        return open_channel(self.control, self.tls, None, [*CONTROL_OPTIONS, _OWN])

    def send(self, call: Call, timeout_s: float, channel: grpc.Channel | None = None) -> str:
        """Send it; the name of the status that it was answered with."""
        self.recent.append(call)
        if call.path.startswith(INFERENCE):
            channel = self.clients
        calls: grpc.StreamStreamMultiCallable[bytes, bytes]
        calls = (channel or self.channel).stream_stream(call.path, None, None)
        sent = calls(iter(call.messages), timeout=timeout_s)
        try:
            for _ in sent:
                pass
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            return str(error.code().name)
        return "OK"

    def memory_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    @contextmanager
    def unharmed(self) -> Iterator[Toll]:
        """Fails where what happens inside ends the node, locks it or makes it grow."""
        if self.process.poll() is not None:
            self.start()
        self.tolls.append(toll := Toll())
        before, ended = self._kept_bytes(), threading.Event()
        watching = threading.Thread(target=self._watch, args=(toll, ended))
        watching.start()
        try:
            yield toll
        finally:
            ended.set()
            watching.join()
        assert self.process.poll() is None, self._died()
        waited_s = toll.longest_wait_s
        assert waited_s <= LEAST_LOCK_S, f"the {self.role} node was silent for {waited_s:.1f} s"
        given_up_s = time.monotonic() + _SETTLED_S
        while (grown := self._kept_bytes() - before) > GROWTH_BYTES:
            if time.monotonic() > given_up_s:
                break
            time.sleep(_LOOK_S)
        toll.grown_bytes = grown
        assert grown <= GROWTH_BYTES, f"the {self.role} node has grown by {grown >> 20} MiB"

    def _kept_bytes(self) -> int:
        """What is left after a reset, which gives back what calls that have ended had."""
        self._reset()
        return self.memory_bytes()

    def _watch(self, toll: Toll, ended: threading.Event) -> None:
        while not ended.wait(_LOOK_S) and self.process.poll() is None:
            start_s = time.monotonic()
            while not self._answers() and self.process.poll() is None:
                time.sleep(_LOOK_S / 10)  # refused at once, for want of room
                if time.monotonic() - start_s > _GIVEN_UP_S:
                    break
            toll.longest_wait_s = max(toll.longest_wait_s, time.monotonic() - start_s)

    def _answers(self) -> bool:
        try:
            self._ask.Describe(nodes_pb2.DescribeRequest(), timeout=LOCKED_S)
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            if error.code() is grpc.StatusCode.UNAVAILABLE:  # this channel would wait to try again
                self._disconnect()
                self._connect()
            return False
        return True

    def _connect(self) -> None:
        self.channel = self.open_channel()
        self.clients = open_channel(self.infer, self.tls, None, [*CONTROL_OPTIONS, _OWN])
        self._ask: Any = nodes_pb2_grpc.NodeStub(self.channel)

    def _disconnect(self) -> None:
        self.channel.close()
        self.clients.close()

    def _reset(self) -> None:
        self._ask.Reset(nodes_pb2.ResetRequest(), timeout=30)

    def _died(self) -> str:
        kept = self.config.with_name(f"{self.role}-died.jsonl")
        kept.write_text("".join(f"{as_line(call)}\n" for call in [*self.recent]))
        said = self.log.read_text(errors="replace").splitlines()[-3:]
        code = self.process.returncode
        return f"the {self.role} node ended with {code} after what is in {kept}: {said}"


@contextmanager
def attacked(
    role: Role,
    folder: Path,
    tls: Tls | None = None,
    own: Tls | None = None,
    before: Sequence[str] = (),
    **config: object,
) -> Iterator[Attacked]:
    """A node of its own with this configuration, to be attacked; a UE dials ``edge``.

    With TLS it has certificates of its ``own``, its orchestrator those of ``tls``.
    """
    control, data, infer = (f"127.0.0.1:{free_port()}" for _ in range(3))
    place = {"listen": data} if role == "edge" else {"edge": data, "infer": infer}
    if own is not None:
        config |= {"tls": own.model_dump(mode="json")}
    config = {"control": control, "log": "json"} | place | config
    file = folder / f"{role}-{data.rpartition(':')[2]}.yaml"
    file.write_text(yaml.safe_dump(config))
    places = str(config["control"]), str(config.get("edge", data)), str(config.get("infer", infer))
    node = Attacked(role, *places, file, tls, before)
    node.start()
    try:
        yield node
    finally:
        node.stop()


def within(most_s: float, came: Callable[[], object]) -> None:
    """Wait until it `came`, which a node promises by then."""
    start_s = time.monotonic()
    while not came():
        assert time.monotonic() - start_s < most_s, f"it did not come within {most_s:g} s"
        time.sleep(_LOOK_S)


def rehearse(nodes: Mapping[str, Attacked]) -> None:
    """Take nodes through an orchestrator's run: what they have since is no growth."""
    for call in kept("run"):
        if call.node in nodes and not call.path.endswith(_ELSEWHERE):
            nodes[call.node].send(call, CALL_S)


def told(nodes: Sequence[Attacked]) -> str:
    """What attacks did to nodes, in a line for people."""
    tolls = [toll for node in nodes for toll in node.tolls]
    waited = max(toll.longest_wait_s for toll in tolls)
    grown = max(toll.grown_bytes for toll in tolls)
    return f"answers took at most {waited:.2f} s, nodes grew by at most {max(grown, 0) >> 20} MiB"
