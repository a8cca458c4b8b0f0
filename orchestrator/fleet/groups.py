"""The groups of a sweep: what is measured on one machine, since it is compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.ask.links import links_words
from orchestrator.ask.sweep.by_link import by_link
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.sweep.order import anchors_again
from orchestrator.fleet.order import Blob, Order, key_of, this_build
from orchestrator.fleet.parcels import TRAVELLING, Packed


@dataclass(frozen=True)
class Group:
    """All cells of a link, the anchors with them, and the order to measure them."""

    cells: tuple[Cell, ...]
    visits: tuple[Visit, ...]
    order: Order


def groups_of(
    config: SweepConfig,
    cells: Sequence[Cell],
    run: str,
    files: Packed,
    seeds: Mapping[str, Blob],
    *,
    remeasure: bool,
) -> list[Group]:
    """A group for each link, in the order of the grid; `run` names the run that they are of."""
    each = by_link(config)
    of = {one.flow_links[0]: one.model_dump(mode="json", exclude_none=True) for one in each}
    travels = {name: files.asked[name] for name in TRAVELLING if name in files.asked}
    found = []
    for links in dict.fromkeys(cell.links for cell in cells):
        own = [cell for cell in cells if cell.links == links]
        blocks = [Visit(cell, block) for block in range(config.blocks) for cell in own]
        asked = {**of[links], **travels, "out": None}
        order = Order(
            key=key_of(run, asked),
            words=links_words(links),
            build=this_build(),
            asked=asked,
            parcels=tuple(files.parcels.values()),
            seeds=seeds,
            remeasure=remeasure,
        )
        found.append(Group(tuple(own), (*blocks, *anchors_again(own, config.blocks)), order))
    return found
