"""How long things may take before a node is said to hang."""

from dataclasses import dataclass

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.ask.flow import UPLINK, shape_of
from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.testbed.model import SweptModel

WARM_LINK_MS = 200.0
"""How long meaningless bytes may fill the link to open the congestion window."""

_WORK_MS = 30_000.0  # allowed for what is not the wire
_LATE = 4.0  # times the wire's own time; a lossy link is slower than its rate
_LATE_WITH_LOSS = 40.0
_BYTES_S = 1e6  # that a node at least stores, checks and decodes


@dataclass(frozen=True)
class TimeLimits:
    """Of one model; a frame has `frame_timeout_s` where that was asked, else what its wire allows.

    All limits grow with the pace of the UE, and with how many UEs share the link.
    """

    result_bytes: int
    frame_timeout_s: float | None
    outage_s: float = 0.0

    @classmethod
    def of(cls, config: SweepConfig, model: SweptModel, outage_s: float) -> "TimeLimits":
        """Those of what `config` asks for, over a link that may be out for so long."""
        result_bytes = sum(max(output.nbytes, 0) for output in model.graph.outputs)
        return cls(result_bytes, config.frame_timeout_s, outage_s)

    def frame_s(self, cell: Cell, others: int = 0) -> float:
        """For a frame, and for what warms the link, which is no more than a frame sends.

        So many `others` of its UE may be on the link before it.
        """
        wire = cell.wire_ms + sum(wire_ms(self.result_bytes, one.downlink) for one in cell.links)
        wire *= len(cell.configuration.each) * (1 + others)
        return self.frame_timeout_s or _allowed_s(cell, wire + self.outage_s * 1e3)

    def delivery_s(self, cell: Cell, nbytes: int) -> float:
        """For parts of so many bytes to cross the link."""
        wire = max(wire_ms(nbytes, one.downlink) for one in cell.links)
        return _allowed_s(cell, wire, nbytes)


def _allowed_s(cell: Cell, wire: float, nbytes: int = 0) -> float:
    lossy = any(one.uplink.loss_pct or one.downlink.loss_pct for one in cell.links)
    return allowed_s(wire, lossy=lossy, slower=cell.configuration.pace.most, nbytes=nbytes)


def allowed_s(wire: float, *, lossy: bool, slower: float = 1.0, nbytes: int = 0) -> float:
    """For what takes so many ms on the wire, and work on nodes that are so many times slower.

    Of a model's file they have so many bytes to store and check, or to decode.
    """
    late = _LATE_WITH_LOSS if lossy else _LATE
    return (_WORK_MS * slower + late * wire) / 1e3 + nbytes / _BYTES_S * slower


def arrival_s(link: LinkSpec, coded_bytes: int, nbytes: int = 0) -> float:
    """For a bitstream to come down a link, and for the model file of `nbytes` that it makes."""
    lossy = bool(link.downlink.loss_pct)
    return allowed_s(wire_ms(coded_bytes, link.downlink), lossy=lossy, nbytes=nbytes)


def window_bytes(*links: LinkSpec, hop: str = UPLINK) -> int:
    """What opens the congestion window of a hop over them, as far as a frame can need it."""
    return int(shape_of(links, hop).rate_mbit * 1e3 / 8 * WARM_LINK_MS)


def warming_bytes(cell: Cell) -> dict[str, int]:
    """By the hop, what opens its window; whole tensors would take too long."""
    asked, found = cell.configuration, {}
    for hop, cut in asked.carrying:
        crossing = cell.crossing_bytes if cut == asked.cut else cell.input_bytes
        if crossing:
            found[hop] = min(window_bytes(*cell.links, hop=hop), crossing)
    return found
