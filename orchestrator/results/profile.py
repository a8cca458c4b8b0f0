"""Profiles of both nodes (clause 10.2.7), and the times that they predict for every cut.

A cut's times are the sums over its layers, as in the table that clause 10.2.13 points to: no
network is in them. What a sweep will measure differs: a runtime joins other layers where a part
ends, and nodes wait for the network between frames. So some real parts are run, too, each after a
pause; parts between two of them are predicted by the layers that they have more.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, pairwise, product
from pathlib import Path

import numpy as np

from netem.wire import HEADER_BYTES, SEGMENT_BYTES, Segment
from orchestrator.ask.flow import FLOWS, UPLINK, Place, Way
from orchestrator.ask.topology import kind_of
from orchestrator.results.columns import csv_text
from orchestrator.results.json_record import json_text
from orchestrator.results.run_folder import PROFILE_FILE, PROFILES, RunFolder
from splitbed.checked import Frozen

PUBLISHED_COLUMNS = (
    "layers_on_client", "layers_on_server", "client_time_ms", "intermediate_model_size_KiB",
    "intermediate_data_size_kB", "server_time_ms", "end_to_end_processing_time_ms",
)  # fmt: skip
"""Of the table of clause 10.2.13; KiB is 1024 bytes, kB is 1000, as there."""


RUN_MS = 0.4
"""What the least part takes besides its layers, and Python from stage to stage: measured here."""
SHARE_DOUBT = 0.2
"""By how much of the whole's time the share of part 1 may differ from that of its
multiply-accumulates: of real parts at 54 cuts, of SSD300, ShapesNet, PoseNet on either runtime,
ESPCN and two quantised models, 50 were within that and the worst at 0.24 (2026-11-29, on two
processors that others used, too)."""


class Span(Frozen):
    """Layers between neighbouring cuts, as a rule one: `ms` is their share of the whole's time."""

    first: int
    last: int
    name: str
    op: str
    ms: float


class PartTime(Frozen):
    """What a part of these layers takes after a pause."""

    first: int
    last: int
    ms: float


class NodeProfile(Frozen):
    """What the whole model takes on one node; memory is the growth of the process.

    To a node that has but a head the whole model is what that needs: other layers take no time.

    `steady_ms` is one run after another, `paced_ms` a run after a pause, which the first versions
    did not take. A profile that was told has the file that told it as `source`, and not all of the
    rest.
    """

    init_ms: float | None = None
    warmup_ms: float | None = None
    steady_ms: float
    paced_ms: float = 0.0
    init_memory_bytes: int | None = None
    overall_memory_bytes: int | None = None
    layers: tuple[Span, ...]
    parts: tuple[PartTime, ...] = ()
    """Those that the node runs in the flow: of the UE in the flow uplink, those that begin the
    model. Earlier versions had none."""
    waited_share: float = 0.0
    """By how much of their time these parts' threads waited for a processor that others had."""
    source: str = ""

    def ms(self, first: int, last: int) -> float:
        """What the layers between two cuts take."""
        return sum(span.ms for span in self.layers if first <= span.first and span.last <= last)

    def part_ms(self, first: int, last: int) -> float:
        """What the part between two cuts takes in a frame; nothing without layers."""
        if first == last:
            return 0.0
        for part in self.parts:
            if (part.first, part.last) == (first, last):
                return part.ms
        return self.paced_part_ms(self.ms(first, last))

    def paced_part_ms(self, layers_ms: float) -> float:
        """What a part takes after a pause whose layers take so long, by the parts that were run."""
        known = {self.ms(part.first, part.last): part.ms for part in self.parts}
        known[0.0] = RUN_MS
        if max(known) < self.steady_ms * (1 - 1e-6):  # the whole was not among them
            known[self.steady_ms] = max(self.paced_ms, self.steady_ms) + RUN_MS
        at_ms = sorted(known)
        return float(np.interp(layers_ms, at_ms, [known[ms] for ms in at_ms]))


class CutSizes(Frozen):
    """A cut that can be made, and what there is to send."""

    k: int
    part1_bytes: int = 0
    """Not of an outline."""
    intermediate_bytes: int


class Profile(Frozen):
    """The nodes' profiles of one model, and what a TCP segment carries between them.

    `ue` is the node where results are wanted, `edge` the one that holds the model, `others` those
    that run parts besides. A segment is that of the least MTU of their interfaces; where they do
    not tell, of one of 1500. Of an `outline` the whole model alone was run: the shares of its
    layers are told, within SHARE_DOUBT.
    """

    ue: NodeProfile
    edge: NodeProfile
    others: Mapping[str, NodeProfile] = {}
    cuts: tuple[CutSizes, ...]
    segment_bytes: int = SEGMENT_BYTES
    header_bytes: int = HEADER_BYTES
    outline: bool = False

    @property
    def segment(self) -> Segment:
        """A TCP segment between the nodes."""
        return Segment(self.segment_bytes, self.header_bytes)

    @property
    def n(self) -> int:
        """Number of layers."""
        return self.cuts[-1].k

    @property
    def waited_share(self) -> float:
        """That of the node that others disturbed most."""
        nodes = (self.ue, self.edge, *self.others.values())
        return max(node.waited_share for node in nodes)

    def node(self, name: str) -> NodeProfile:
        """That of the node that a flow calls so."""
        return self.others.get(name) or (self.ue if kind_of(name) == "ue" else self.edge)

    def placed_ms(self, *cuts: int, flow: str = UPLINK) -> dict[Place, float]:
        """What each part will take in a sweep, on every node that the flow has it on."""
        ends, ways = (0, *cuts, self.n), FLOWS[flow].ways
        return {
            (node, part): self.node(node).part_ms(ends[part - 1], ends[part])
            for node, part in chain(*ways)
            if part
        }

    def predicted_ms(self, *cuts: int, flow: str = UPLINK) -> tuple[float, ...]:
        """What each part will take in a sweep, all heads together."""
        placed_ms, numbers = self.placed_ms(*cuts, flow=flow), range(1, len(cuts) + 2)
        return tuple(sum(ms for (_, own), ms in placed_ms.items() if own == n) for n in numbers)

    def share_errors(
        self, cuts: Sequence[int], slowdown: float, flow: str = UPLINK
    ) -> tuple[float, float]:
        """All parts together over what is predicted of them, from and to: by their shares.

        The UE is so many times slower than its own pace. Where nodes are as fast as each other,
        what one part takes more the others take less.
        """
        inner = sum(first < last for first, last in pairwise((0, *cuts, self.n)))
        if not self.outline or inner < 2:
            return 1.0, 1.0
        asked = FLOWS[flow]

        def all_ms(off: Sequence[float], way: Way) -> float:
            total_ms = 0.0
            for name, part in way:
                node = self.node(name)
                shares = (
                    min(max(node.ms(0, k) / node.steady_ms + by, 0.0), 1.0)
                    for k, by in zip(cuts, off, strict=True)
                )
                ends = (0.0, *accumulate(shares, max), 1.0)  # no part is less than nothing
                if part:
                    slower = slowdown if name in asked.users else 1.0
                    share = ends[part] - ends[part - 1]
                    total_ms += slower * node.paced_part_ms(share * node.steady_ms)
            return total_ms

        none, doubts = (0.0,) * len(cuts), (-SHARE_DOUBT, 0.0, SHARE_DOUBT)
        ratios = [
            all_ms(off, way) / all_ms(none, way)
            for off, way in product(product(doubts, repeat=len(cuts)), asked.ways)
        ]
        return min(ratios), max(ratios)

    def table(self) -> list[dict[str, float]]:
        """A row per cut with :data:`PUBLISHED_COLUMNS`."""
        rows = []
        for cut in self.cuts:
            client_ms, server_ms = self.ue.ms(0, cut.k), self.edge.ms(cut.k, self.n)
            values = (
                cut.k,
                self.n - cut.k,
                round(client_ms, 4),
                round(cut.part1_bytes / 1024, 2),
                cut.intermediate_bytes / 1000,
                round(server_ms, 4),
                round(client_ms + server_ms, 4),
            )
            rows.append(dict(zip(PUBLISHED_COLUMNS, values, strict=True)))
        return rows

    def csv(self) -> str:
        """The table as CSV."""
        return csv_text(PUBLISHED_COLUMNS, self.table())


Profiles = Mapping[str, Profile]
"""By the machine that they are of: of a run on one, which no row names, by no name."""


def read_profiles(folder: RunFolder) -> Profiles:
    """By the machine, where the run was measured on several; else the one, of no name."""
    files = sorted((folder.path / PROFILES).glob("*.json"))
    if not files:
        return {"": found} if (found := read_profile(folder)) else {}
    each = {file.stem: _read(file) for file in files}
    return {name: profile for name, profile in each.items() if profile}


def read_profile(folder: RunFolder) -> Profile | None:
    """The profile that a sweep left in its run folder; None where there is none to be read."""
    return _read(folder.path / PROFILE_FILE)


def _read(file: Path) -> Profile | None:
    try:
        return Profile.model_validate_json(json_text(file))
    except (OSError, ValueError):
        return None
