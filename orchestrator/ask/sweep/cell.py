"""Cells: what is measured, and how often; what is asked of a model for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import FLOWS, delivery_hop, shape_of
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.sweep.options import MIN_FRAMES
from splitbed.graphs.graph import Graph
from splitbed.media.recipes import PictureRecipe


class CutModel(Protocol):
    """What a grid asks of a model: its graph, its splits' names, what it is fed."""

    @property
    def graph(self) -> Graph:
        """Its layers and cuts."""

    @property
    def named_splits(self) -> Mapping[str, str] | None:
        """Labels of cuts, where it has any."""

    @property
    def inputs(self) -> Sequence[object]:
        """What is measured, frame by frame."""

    def picture_at(self, k: int) -> PictureRecipe | None:
        """How what crosses a cut is a picture; None where it is none."""

    @property
    def channels_last(self) -> bool:
        """Whether maps have their channels last."""

    @property
    def file_bytes(self) -> int:
        """What its file measures."""


@dataclass(frozen=True)
class Cell:
    """A configuration that is measured over its link, and about what it sends.

    `crossing_bytes` of intermediate data, not encoded; of the UE's part, before them,
    `delivery_bytes`; of what crosses before, as an input may, `input_bytes`. It has so many
    `frames` at least.
    """

    configuration: Configuration
    crossing_bytes: int
    delivery_bytes: int = 0
    input_bytes: int = 0
    frames: int = MIN_FRAMES

    @property
    def link(self) -> LinkSpec:
        """The link that it is measured over, the first of its flow."""
        assert self.configuration.link is not None
        return self.configuration.link

    @property
    def links(self) -> tuple[LinkSpec, ...]:
        """All of its flow, in their order; what follows the last is as that."""
        return self.configuration.links

    @property
    def ways(self) -> tuple[LinkSpec, ...]:
        """What is proved: these, or of several UEs the way of each to the edge."""
        each = self.configuration.each
        ways = tuple(one.link for one in each if one.link)
        return ways if self.configuration.ues else self.links

    @property
    def wire_ms(self) -> float:
        """What input and intermediate data take on the wire, not encoded."""
        asked = self.configuration
        return sum(
            wire_ms(
                self.crossing_bytes if cut == asked.cut else self.input_bytes,
                shape_of(self.links, hop),
            )
            for hop, cut in asked.crossings
            if cut < asked.n
        )

    @property
    def delivery_ms(self) -> float:
        """What the delivery of the UE's part takes on the wire, about."""
        if not self.delivery_bytes:
            return 0.0
        return wire_ms(
            self.delivery_bytes, shape_of(self.links, delivery_hop(self.configuration.flow))
        )


@dataclass(frozen=True)
class Visit:
    """A cell that is measured in a block: each block measures the whole grid once more."""

    cell: Cell
    block: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """What names it in a run."""
        return self.cell.configuration.key, self.block


def cell_of(configuration: Configuration, model: CutModel, config: SweepConfig) -> Cell:
    """The configuration as a cell of this model, with the frames and the delivery of `config`."""
    cuts, cut = model.graph.cuts, configuration.cut
    return Cell(
        configuration,
        0 if cut is None else cuts[cut].nbytes,
        _part_bytes(model, configuration) if config.delivery else 0,
        cuts[configuration.coding[0][0]].nbytes if len(configuration.coding) > 1 else 0,
        configuration.load.frames(config.runs) if configuration.load.offered else config.least_runs,
    )


def _part_bytes(model: CutModel, asked: Configuration) -> int:
    """About what the user's node's part measures: its share of the parameters, of the bytes."""
    cuts, user = model.graph.cuts, FLOWS[asked.flow].user
    own = [one for one in asked.itinerary if one.node == user]
    parameters = sum(cuts[one.last].ue_params - cuts[one.first].ue_params for one in own)
    return int(parameters / max(cuts[-1].ue_params, 1) * model.file_bytes)
