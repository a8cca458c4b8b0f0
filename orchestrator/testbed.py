"""A link, brought up, with a pair of nodes at its ends that have the model."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from netem.backends import AUTO, choose, open_link
from netem.link import Link, check_rates
from orchestrator.config import SweepConfig
from orchestrator.interruption import Interruption
from orchestrator.model import SweptModel, load_model
from orchestrator.pair import Pair
from orchestrator.scratch import Scratch, remove_abandoned, scratch
from orchestrator.topology import Topology, load_topology


@dataclass(frozen=True)
class Testbed:
    """What a measurement needs; `interruption` says when it is to stop."""

    model: SweptModel
    link: Link
    pair: Pair
    interruption: Interruption


def check_links(config: SweepConfig) -> tuple[Topology, str]:
    """The topology and what will shape its link.

    Raises UsageError for links that it cannot shape, MachineError where nothing here can.
    """
    topology = load_topology(config.topology)
    backend = choose(topology.link_backend if config.link_backend == AUTO else config.link_backend)
    for spec in config.links():
        check_rates(backend, spec)
    return topology, backend


@contextmanager
def testbed(
    config: SweepConfig, check: Callable[[SweptModel], None] = lambda _: None
) -> Iterator[Testbed]:
    """Bring up what `config` asks for, its first link shaped; take it down at the end.

    `check` sees the model before any link is made. Raises SplitbedError for what is not possible.
    """
    remove_abandoned()
    topology, backend = check_links(config)
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        model = load_model(config, _subfolder(space, "model"))
        check(model)
        link = stack.enter_context(open_link(backend, _subfolder(space, "link"), topology.subnet))
        link.shape(config.links()[0])
        pair = Pair(link, space, model, topology.data_port)
        interruption = Interruption()
        stack.enter_context(interruption.watched(pair.kill))
        stack.enter_context(pair)
        yield Testbed(model, link, pair, interruption)


def _subfolder(space: Scratch, name: str) -> Path:
    (folder := space.folder / name).mkdir()
    return folder
