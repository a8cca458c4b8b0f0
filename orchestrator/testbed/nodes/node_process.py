"""A node started here: a process at one end of the link, asked over a Unix socket."""

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import grpc
import psutil

from netem.link import Link
from netem.namespace import Namespace
from orchestrator.ask.topology import kind_of
from orchestrator.testbed.nodes.node import Node
from orchestrator.testbed.scratch import Scratch
from splitbed.errors import MachineError, NodeError
from splitbed.node.config import Limits
from splitbed.runtime.turns import waited_ms
from splitbed.security.addresses import ip_port
from splitbed.wire import CONTROL_OPTIONS
from splitbed.workers.fork_server import prepare
from splitbed.workers.program import Program

_NONE: Mapping[str, str] = MappingProxyType({})
_STOP_TIMEOUT_S = 3.0
_LACKING = MachineError.exit_code
_LOGGED = re.compile(r"\d{4}-\d\d-\d\dT")  # its log, not what it died of
_DYING_S = 0.5  # what a process takes to be gone once its peer has seen the connection close
_AT_ONCE = [(f"grpc.{which}_reconnect_backoff_ms", 100) for which in ("initial", "max")]
"""A node that starts is called before it listens; gRPC would try again a second later."""

_NEEDS = (
    *("ue_node.cli", "ue_node.planes", "edge_node.cli", "edge_node.planes"),
    *("splitbed.node.running", "grpc_reflection.v1alpha.reflection"),
)


def expect_nodes() -> None:
    """Have what nodes need imported, once for all, before they are started; nobody waits for it."""
    prepare(*_NEEDS)


@dataclass(eq=False)
class NodeProcess(Node):
    """One node in its namespace; its control plane is a Unix socket that crosses no link."""

    side: str
    argv: Sequence[str]
    namespace: Namespace
    scratch: Scratch
    module: str
    process: Program | None = None
    channel: grpc.Channel = field(init=False)

    @property
    def _socket(self) -> Path:
        return self.scratch.folder / f"{self.side}.sock"

    @property
    def log(self) -> Path:
        """What the node wrote to stdout and stderr."""
        return self.scratch.folder / f"{self.side}.log"

    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        control = f"unix:{self._socket}"
        self.process = Program(
            self.module,
            ["serve", "--control", control, *self.argv],
            log=self.log,
            # what a killed node leaves in its own folder goes with the run's
            environment={**os.environ, "TMPDIR": str(self.scratch.folder)},
            namespaces=self.namespace.files,
        )
        self.scratch.record(self.process.pid)
        self.channel = grpc.insecure_channel(control, options=[*CONTROL_OPTIONS, *_AT_ONCE])

    def stop(self, *, last: bool = True) -> None:
        del last  # the process ends either way
        if self.process is None:
            return
        self.channel.close()
        self.process.terminate()
        if self.process.wait(_STOP_TIMEOUT_S) is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def worked_s(self) -> float:
        with suppress(psutil.Error):
            if self.process is not None:
                times = psutil.Process(self.process.pid).cpu_times()
                return times.user + times.system + waited_ms(self.process.pid) / 1e3
        return 0.0

    def _silent(self, error: grpc.RpcError) -> str:
        assert isinstance(error, grpc.Call)
        return f"the {self.side} node did not answer its start: {error.details()}"

    def _refused(self, error: grpc.RpcError) -> None:
        assert isinstance(error, grpc.Call)
        # what has not answered in time mostly starts still; how a process ended says more
        late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if how := self.ended(0 if late else _DYING_S):
            lacking = self.process is not None and self.process.returncode == _LACKING
            raise (MachineError if lacking else NodeError)(
                f"the {self.side} node died at its start{how}"
            )

    def ended(self, within_s: float = _DYING_S) -> str:
        code = self.process.wait(within_s) if self.process else 0
        if code is None:
            return ""
        said = self.log.read_text(errors="replace").strip().splitlines()
        last = [line for line in said if not _LOGGED.match(line)][-1:]
        ended = f"signal {-code}" if code < 0 else f"exit {code}"
        return f" ({ended}{': ' + last[0] if last else ''})"


def local_nodes(
    links: Mapping[tuple[str, str], Link],
    scratch: Scratch,
    data_port: int,
    edge_module: str = "edge_node",
    *,
    clients: int = 0,
    model_coders: Sequence[str] = (),
    providers: Mapping[str, str] = _NONE,
) -> dict[str, NodeProcess]:
    """The nodes at the ends of `links`, by name, not started yet; the first of two ends dials.

    With ``clients``, each UE answers so many at once on a Unix socket: no network leads into its
    namespace. Each decodes with the classes ``model_coders``, and computes on what ``providers``
    says of its kind.
    """
    expect_nodes()
    namespaces: dict[str, Namespace] = {}
    argv: dict[str, list[str]] = {}
    listens: dict[str, str] = {}
    for (near, far), link in links.items():
        namespaces |= {near: link.ue, far: link.edge}
        place = ip_port(link.edge_address, data_port)
        argv.setdefault(near, []).extend(["--dial", f"{far}={place}"])
        # of one that several dial: wherever its namespace is reached
        listens[far] = place if far not in listens else f"0.0.0.0:{data_port}"
    dialling = Counter(far for _, far in links)
    settings: dict[str, dict[str, object]] = defaultdict(dict)
    for node, place in listens.items():
        argv.setdefault(node, []).extend(["--listen", place])
        if (callers := dialling[node]) > 1:
            # each has a call for its frames, and now and then one for a part
            settings[node]["limits"] = {"streams": Limits().streams + 4 * callers}
    for node in namespaces:
        if clients and kind_of(node) == "ue":
            argv[node].extend(["--infer", f"unix:{scratch.folder / node}-infer.sock"])
            # to the UE all of them are one caller, who has half of its streams
            settings[node]["limits"] = {"streams": Limits().streams + 2 * clients}
        if words := providers.get(kind_of(node)):
            argv[node].extend(["--provider", words])
        if model_coders and kind_of(node) == "ue":
            settings[node]["model_coders"] = [*model_coders]
    for node, its in settings.items():
        (file := scratch.folder / f"{node}.yaml").write_text(json.dumps(its))
        argv[node].extend(["--config", str(file)])
    modules = {"ue": "ue_node", "edge": edge_module}
    return {
        name: NodeProcess(
            name,
            ["--name", name, *argv[name], "--insecure"],
            namespace,
            scratch,
            modules[kind_of(name)],
        )
        for name, namespace in namespaces.items()
    }
