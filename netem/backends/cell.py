"""A cell: several UEs that reach one edge through one shaped link, which all of them share.

    ue-1 ── access ──┐
    ue-2 ── access ──┤ cell ══ shaped: the sum ══ edge
    ue-3 ── access ──┘

The cell is a namespace that routes. An access is a plain veth, or a link of the backend's where it
has a shape of its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from netem.backends import open_network
from netem.backends.network import Cable, Network
from netem.link import DEVICE, Addresses, Link
from netem.namespace import Namespace, add_veth, new_namespace, single_segments
from netem.spec import LinkSpec

CELL = "cell"


@dataclass(frozen=True)
class Cell:
    """The link that is shared, from the cell to the edge, and each UE's way to the edge over it.

    What shapes a way is the shared link; what its access has of its own is set for good.
    """

    shared: Link
    ways: Mapping[str, Link]


@contextmanager
def open_cell(
    backend: str, run_dir: Path, edge: str, subnets: Mapping[str, str], own: Mapping[str, LinkSpec]
) -> Iterator[Cell]:
    """Namespaces of an edge, a cell and UEs, the shared link unshaped yet.

    ``subnets`` has that of the shared link, by the edge's name, and then of each UE's access; those
    in ``own`` are shaped so. Otherwise as :func:`netem.backends.open_link`.
    """
    wanted = {name: (name, CELL, subnets[name]) for name in own}
    wanted = {edge: (CELL, edge, subnets[edge])} | wanted
    with open_network(backend, run_dir, wanted) as network, ExitStack() as stack:
        shared, cell = network.links[edge], network.nodes[CELL]
        cell.run(["tee", "/proc/sys/net/ipv4/ip_forward"], given="1")
        ways = {}
        for place, name in enumerate(one for one in subnets if one != edge):
            access = network.links.get(name)
            if access is None:
                access = _plain(stack, name, f"ue{place}", network, Addresses.of(subnets[name]))
            else:
                access.shape(own[name])
            _route(access.ue, shared.edge_address, access.edge_address)
            _route(shared.edge, access.ue_address, shared.ue_address)
            ways[name] = replace(
                shared, ue=access.ue, ue_address=access.ue_address, ue_device=access.ue_device
            )
        yield Cell(shared, ways)


def _plain(stack: ExitStack, name: str, device: str, network: Network, at: Addresses) -> Link:
    """An access that shapes nothing, to a new namespace."""
    cell = network.nodes[CELL]
    ue = stack.enter_context(new_namespace(cell))
    add_veth(ue, DEVICE, cell, device)
    for end, called in ((ue, DEVICE), (cell, device)):
        single_segments(end, called)
    cable = Cable(name, CELL, DEVICE, device, at)
    nodes = {name: ue, CELL: cell}
    cable.bring_up(nodes)
    shared = next(iter(network.links.values()))
    return cable.link("veth", nodes, shared.uplink, shared.downlink)


def _route(here: Namespace, there: str, via: str) -> None:
    # cubic is pinned as on the links themselves
    here.run(["ip", "route", "replace", there, "via", via, "congctl", "cubic"])
