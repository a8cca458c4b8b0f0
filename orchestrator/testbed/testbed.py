"""A link, brought up, with a pair of nodes at its ends that have the model."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from netem.backends import AUTO, choose, open_link
from netem.link import ShapedLink, check_rates
from netem.namespace import ensure_privilege
from orchestrator.ask.config import SweepConfig
from orchestrator.ask.pace import paces
from orchestrator.ask.topology import Machines, Namespaces, load_topology
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.machines import MachinesLink, check_machines, remote_nodes
from orchestrator.testbed.model import SweptModel, load_model
from orchestrator.testbed.node_process import local_nodes
from orchestrator.testbed.pair import Pair
from orchestrator.testbed.scratch import Scratch, remove_abandoned, scratch
from splitbed.errors import UsageError
from splitbed.node.processor import Processor


@dataclass(frozen=True)
class Testbed:
    """What a measurement needs; `interruption` says when it is to stop."""

    model: SweptModel
    link: ShapedLink
    pair: Pair
    interruption: Interruption


def check_testbed(config: SweepConfig) -> None:
    """Refuse now what `config` asks for and its topology cannot do.

    Where links are made here, this command may start anew as root of a user namespace. Raises
    UsageError for links that it cannot shape, MachineError where nothing here can.
    """
    topology = load_topology(config.topology)
    if isinstance(topology, Namespaces):
        ensure_privilege()
        _local_backend(config, topology)
        if any(pace.limits for pace in paces(config)):
            Processor().close()
        return
    check_machines(topology)
    if config.link_backend != AUTO:
        raise UsageError(
            f"--link-backend {config.link_backend} is for links made here: the nodes of "
            f"{topology.name} shape theirs themselves"
        )
    for spec in config.links():
        check_rates("nodes-netem", spec)


@contextmanager
def testbed(
    config: SweepConfig, check: Callable[[SweptModel], None] = lambda _: None
) -> Iterator[Testbed]:
    """Bring up what `config` asks for, its first link shaped; take it down at the end.

    `check` sees the model before any link is made. Raises SplitbedError for what is not possible.
    """
    remove_abandoned()
    check_testbed(config)
    topology = load_topology(config.topology)
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        model = load_model(config, _subfolder(space, "model"))
        check(model)
        if isinstance(topology, Machines):
            ue, edge = remote_nodes(topology)
            pair, interruption = _entered(
                stack, Pair(ue, edge, model, secure=topology.tls is not None)
            )
            machines = MachinesLink(ue, edge, pair.ue, pair.edge)
            for spec in config.links():
                machines.check(spec)
            link: ShapedLink = machines
            link.shape(config.links()[0])
        else:
            backend = _local_backend(config, topology)
            link = made = stack.enter_context(
                open_link(backend, _subfolder(space, "link"), topology.subnet)
            )
            link.shape(config.links()[0])
            pair, interruption = _entered(
                stack, Pair(*local_nodes(made, space, topology.data_port), model)
            )
        yield Testbed(model, link, pair, interruption)


def _entered(stack: ExitStack, pair: Pair) -> tuple[Pair, Interruption]:
    interruption = Interruption()
    stack.enter_context(interruption.watched(pair.kill))
    return stack.enter_context(pair), interruption


def _local_backend(config: SweepConfig, topology: Namespaces) -> str:
    backend = choose(topology.link_backend if config.link_backend == AUTO else config.link_backend)
    for spec in config.links():
        check_rates(backend, spec)
    return backend


def _subfolder(space: Scratch, name: str) -> Path:
    (folder := space.folder / name).mkdir()
    return folder
