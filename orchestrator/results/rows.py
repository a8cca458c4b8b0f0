"""A row of summary.csv: each column declared once, with its unit, meaning, and why it is empty.

The first block is :mod:`orchestrator.results.columns.main`, the second one
:mod:`orchestrator.results.columns.further`, which :mod:`orchestrator.results.columns.trust` ends,
the third, of loads, :mod:`orchestrator.results.columns.offered`, the fourth, of what nodes took,
:mod:`orchestrator.results.columns.resources`. A new column is a field there, in
its place, and filled in :mod:`orchestrator.results.columns.asked` where the orchestrator asked for
it, or in :mod:`orchestrator.results.columns.measured`.
"""

from typing import Literal, NamedTuple

from orchestrator.ask.flow import FLOWS, anchor_of
from orchestrator.ask.itinerary import crossings_of, sends_input
from orchestrator.ask.split_point import (
    NETWORK_ANCHOR,
    Anchor,
    as_codec,
    cut_name,
    in_precision,
    layers_of,
)
from orchestrator.results.columns import columns_of
from orchestrator.results.columns.flow import flow_columns, part_column
from orchestrator.results.columns.resources import ResourceColumns
from orchestrator.results.statistics.intervals import Interval

Covers = Literal["frames of this run", "blocks of this run", "runs"]


class Conditions(NamedTuple):
    """Under which a row was measured, in words; of what is as usual nothing.

    And on which machine, where a run has several.
    """

    link: str = ""
    ue: str = ""
    load: str = ""
    measured_on: str = ""

    @property
    def words(self) -> str:
        """All of them, as ``20 Mbit/s, UE 4x slower, fps:10``."""
        ue = f"UE {self.ue}" if self.ue else ""
        return ", ".join(filter(None, (self.link, ue, self.load)))


class Row(ResourceColumns, frozen=True, kw_only=True):
    """What a cell came to. Times are medians of its frames unless the name says otherwise."""

    of_flow: tuple[tuple[str, float | None], ...] = ()
    """What its flow has besides, by the columns of :mod:`orchestrator.results.columns.flow`."""

    samples_ms: tuple[float, ...] = ()
    """End-to-end times of the frames, in order: no column, what comparisons of rows rest on."""
    block_frames: tuple[tuple[int, int], ...] = ()
    """How many of them are of which block, in order."""

    @property
    def layers(self) -> tuple[int, ...]:
        """How many layers are in each part."""
        return layers_of(self.split)

    @property
    def layers_on_user_side(self) -> int:
        """How many run on the node where the result is wanted; the rest is in the network."""
        flow = FLOWS[self.flow]
        return sum(self.layers[part - 1] for node, part in flow.way if part and node == flow.user)

    @property
    def anchor(self) -> Anchor | None:
        """Which anchor it is; None for a split that is held against these."""
        return anchor_of(self.flow, self.split, self.split_name)

    @property
    def is_anchor(self) -> bool:
        """Whether it is one."""
        return self.anchor is not None

    @property
    def is_network_anchor(self) -> bool:
        """Whether all layers are in the network."""
        return self.anchor == NETWORK_ANCHOR

    @property
    def sends_input(self) -> bool:
        """Whether the input itself crosses a link."""
        return sends_input(self.flow, self.split)

    @property
    def ue_part(self) -> int:
        """The number of the part that the UE runs."""
        return 1 if FLOWS[self.flow].node_of(1) == "ue" else 2

    @property
    def ue_part_ms(self) -> float | None:
        """What that took."""
        return self.part1_ms if self.ue_part == 1 else self.part2_ms

    @property
    def ue_part_bytes(self) -> int | None:
        """What it measures as a model file."""
        return self.part1_bytes if self.ue_part == 1 else self.part2_bytes

    def of_parts(self, what: str) -> list[float | None]:
        """A column of each part, in order: of ``ms``, ``predicted_ms`` or ``bytes``."""
        found = (self.value(part_column(part + 1, what)) for part in range(len(self.layers)))
        return [value if isinstance(value, int | float) else None for value in found]

    @property
    def data_hops(self) -> tuple[str, ...]:
        """The hops that carry inputs, intermediate data or outputs, not results."""
        layers, coded = sum(self.layers), FLOWS[self.flow].codes_outputs
        hops = crossings_of(self.flow, self.split)
        return tuple(hop for hop, cut in hops if coded or cut < layers)

    def hop_ms(self, hop: str) -> float | None:
        """What a hop took; None where that is not known."""
        ms = self.value(f"{hop}_ms")
        return ms if isinstance(ms, float) else None

    def asked_of(self, hop: str) -> tuple[float, float]:
        """The rate in Mbit/s and the one-way delay in ms that a hop was asked to have."""
        own = self.value(f"{hop}_mbit"), self.value(f"{hop}_delay_ms")
        match own:
            case (float(rate_mbit), float(delay_ms)):
                return rate_mbit, delay_ms
        if hop.startswith("uplink"):
            return self.bw_mbit, self.delay_ms
        return self.downlink_mbit, self.downlink_delay_ms

    @property
    def conditions(self) -> Conditions:
        """What must be equal for rows to be compared: link, pace of the UE, load, machine."""
        return Conditions(self.link, self.ue, self.load, self.measured_on)

    @property
    def with_codec(self) -> str:
        """Its name with the codec behind it, where that is not the usual one."""
        return self.split_name + self.coded

    @property
    def coded(self) -> str:
        """What is behind a name: codec and precision, where they are not the usual ones."""
        return as_codec(self.codec) + in_precision(self.precision)

    @property
    def as_sent(self) -> str:
        """Codec and precision: ``int8+zstd in ue int8``."""
        return self.codec + in_precision(self.precision)

    @property
    def configured(self) -> tuple[str, str, str]:
        """What of it is the same under all conditions: split, codec and precision."""
        return self.split, self.codec, self.precision

    @property
    def label(self) -> str:
        """The split as users know it, k:n-k with it, and the codec where something is encoded."""
        name = self.split_name if self.is_anchor else cut_name(self.split_name, self.split)
        return name + self.coded

    @property
    def e2e_interval(self) -> Interval | None:
        """That of the median end-to-end time; None for a cell without a frame."""
        if self.e2e_low_ms is None or self.e2e_high_ms is None:
            return None
        covered = self.e2e_coverage_pct
        return Interval(
            self.e2e_low_ms, self.e2e_high_ms, None if covered is None else covered / 100
        )

    @property
    def interval_words(self) -> str:
        """What the interval is, as 96.9 %, 1 frame, range of 3 blocks, 95.0 % over runs."""
        if (interval := self.e2e_interval) is None:
            return ""
        if self.frames == 1:
            return "1 frame"
        if self.e2e_covers == "blocks of this run":
            return f"{interval.words(self.blocks)} blocks"
        over = " over runs" if self.e2e_covers == "runs" else ""
        return interval.words(self.frames) + over

    def value(self, column: str) -> object:
        """What it has in a column; None in one of another flow."""
        return getattr(self, column) if column in COLUMNS else dict(self.of_flow).get(column)

    def plain(self) -> dict[str, object]:
        """By the names of the columns, as JSON has it."""
        return {name: getattr(self, name) for name in COLUMNS} | dict(self.of_flow)


COLUMNS = columns_of(Row)
"""By their names, in the order of summary.csv."""
EVERY_COLUMN = {**COLUMNS, **{k: v for flow in FLOWS for k, v in flow_columns(flow).items()}}
"""Those of all rows, and those that some flow has besides."""


def known_interval(row: Row) -> Interval:
    """That of a row with a frame."""
    interval = row.e2e_interval
    assert interval is not None
    return interval


def known(value: float | None) -> float:
    """A number that is there, as a caller has made sure."""
    assert value is not None
    return value
