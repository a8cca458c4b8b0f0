"""A pair of real node processes on loopback: everything but the shaped link."""

import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from netem.link import Link
from netem.namespace import Namespace
from netem.probe.proof import nominal_rtt_ms
from netem.spec import Shape
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import FLOWS, UPLINK
from orchestrator.ask.heads import shared_out
from orchestrator.ask.split_point import NOTHING
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.topology import PAIR
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.model import SweptModel, load_model
from orchestrator.testbed.nodes.node_process import NodeProcess, local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import Scratch, scratch
from splitbed.v1 import nodes_pb2

ROOT = Path(__file__).parents[2]
FRAME_S = 20.0
SIDE = 16
LAYERS = 6


class Here(Namespace):
    """The namespace that the tests run in."""

    def command(self, argv: Sequence[str]) -> list[str]:
        return list(argv)

    @property
    def files(self) -> list[str]:
        return []


@dataclass
class Unshaped:
    """An egress that shapes nothing and says what it was asked."""

    shape: Shape | None = None

    def apply(self, shape: Shape) -> Shape:
        self.shape = shape
        return shape

    def read(self) -> Shape:
        assert self.shape is not None
        return self.shape


def loopback_link(address: str = "127.0.0.1") -> Link:
    """Both ends on one address of this machine."""
    here = Here(-1)
    return Link(
        backend="native",
        ue=here,
        edge=here,
        ue_address=address,
        edge_address=address,
        uplink=Unshaped(),
        downlink=Unshaped(),
    )


@contextmanager
def proved_as_asked() -> Iterator[None]:
    """Each link is told to be as it was asked, at once.

    Of one that is not shaped a proof differs, so it would be measured again and again, for seconds.
    """

    def proved(*given: Any) -> nodes_pb2.LinkProof:
        _, _, spec, _, known = given
        rtt_ms = nominal_rtt_ms(spec)
        return nodes_pb2.LinkProof(
            uplink_mbit=spec.uplink.rate_mbit,
            downlink_mbit=spec.downlink.rate_mbit,
            rtt_min_ms=rtt_ms,
            rtt_median_ms=rtt_ms,
            pings=1,
            attempts=1,
            rates_known=known is not None,
        )

    with patch("orchestrator.testbed.nodes.proofs.prove", proved):
        yield


def small_model(path: Path, side: int = SIDE) -> Path:
    """Six layers with a residual branch on a square picture: conv, relu, conv, add, relu, mean."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.standard_normal((8, 3, 3, 3)).astype(np.float32) / 5,
        "w2": rng.standard_normal((8, 8, 3, 3)).astype(np.float32) / 8,
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu1"),
        helper.make_node("Conv", ["b", "w2"], ["c"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["d"], "add"),
        helper.make_node("Relu", ["d"], ["e"], "relu2"),
        helper.make_node("GlobalAveragePool", ["e"], ["scores"], "mean"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 8, 1, 1])
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "small", [image], [scores], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


# below those that the kernel gives to whoever connects; each process of the tests has its own
_ports = iter(range(first := 10_000 + os.getpid() % 200 * 100, first + 100))


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody is given before it is used."""
    for port in _ports:
        with suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port is left to this process of the tests")


def loopback_nodes(
    space: Scratch,
    edge_module: str = "edge_node",
    address: str = "127.0.0.1",
    *,
    clients: bool = False,
) -> dict[str, NodeProcess]:
    """Both, not started, on a port that nobody has."""
    link = {PAIR: loopback_link(address)}
    return local_nodes(link, space, free_port(), edge_module, clients=clients)


@contextmanager
def loopback_pair(
    folder: Path,
    edge_module: str = "edge_node",
    picture: Path | None = None,
    file: Path | None = None,
    shape: Mapping[str, Sequence[int]] | None = None,
    address: str = "127.0.0.1",
    flow: str = UPLINK,
    *,
    clients: bool = False,
) -> Iterator[tuple[Pair, SweptModel]]:
    """Both nodes with a model on them, the small one as a rule, and what it is fed."""
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        # nodes find what is installed; those of the tests are not
        stack.enter_context(patch.dict(os.environ, PYTHONPATH=str(ROOT)))
        (stored := folder / "stored").mkdir()
        file = file or small_model(folder / "small.onnx")
        config = sweep_config({"model": str(file), "input": picture, "shape": shape or {}})
        model = load_model(config, stored)
        nodes = loopback_nodes(space, edge_module, address, clients=clients)
        if FLOWS[flow].links != (PAIR,):  # each that listens has an address of its own
            ends = enumerate(FLOWS[flow].links, start=1)
            links = {both: loopback_link(f"127.0.0.{place}") for place, both in ends}
            nodes = local_nodes(links, space, free_port(), edge_module)
        yield stack.enter_context(Pair(nodes, model, flow)), model


class Splits:
    """Splits of the model on a pair, and frames of the one that was loaded last."""

    def __init__(self, pair: Pair, model: SweptModel, **options: object) -> None:
        usual = {"warmup": 0, "delivery": False, "ue_threads": 1, "edge_threads": 1}
        config = sweep_config({"model": model.name} | usual | options)
        self.pair, self.model, self.parts = pair, model, Parts(pair, model, config)
        self.flow = config.flow
        self.last: Configuration

    def asked(self, layers: int, codec: str = "raw", *later: int) -> Configuration:
        """The split after so many layers, with a codec where something crosses."""
        n, outputs = self.model.graph.n, [one.name for one in self.model.graph.outputs]
        heads = shared_out(FLOWS[self.flow].users, outputs)
        bare = Configuration(
            layers, n, f"{layers}", codec, flow=self.flow, later=later, heads=heads
        )
        return bare if bare.crossings else replace(bare, codec=NOTHING)

    def load(self, layers: int, codec: str = "raw", *later: int) -> None:
        """Load a split, and assign it to the nodes."""
        self.last = self.asked(layers, codec, *later)
        self.parts.load(self.last)
        self.parts.assign(self.last)

    def restart(self, layers: int = 2, *later: int) -> None:
        """Begin anew with both nodes, and load a split."""
        self.pair.restart()
        self.parts.forget()
        self.load(layers, "raw", *later)

    def alive(self) -> "Splits":
        """Itself, on nodes that are there: where a test killed one, they begin anew."""
        ended: dict[str, int | None] = {}
        for name, node in self.pair.nodes.items():
            assert isinstance(node, NodeProcess)
            ended[name] = node.process.poll() if node.process else -signal.SIGKILL
        # of a node that ended by itself, behind all that a test looked at, nobody else would hear
        assert {*ended.values()} <= {None, -signal.SIGKILL}, ended
        if any(ended.values()):
            self.pair.restart()
            self.parts.forget()
        return self

    def run(
        self, number: int = 0, timeout_s: float = FRAME_S, of: Configuration | None = None
    ) -> nodes_pb2.FrameRecord:
        """A frame of the first input."""
        assignment = self.parts.assignment(of or self.last)
        return self.pair.ways.run_frame(number, 0, timeout_s, assignment)
