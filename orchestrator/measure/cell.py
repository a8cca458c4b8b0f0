"""One cell: a configuration on its links, proved, warmed up, measured until frames are enough.

shape links ──> warm ──> prove ──> deliver part 1 ──> slow the UE ──> frames … ──> prove again
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf.json_format import MessageToDict
from msgspec.structs import replace

from netem.spec import LinkSpec
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.load.trace_file import MOST_FRAMES
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.frames import Frames, Taken, UntilEnough
from orchestrator.measure.loads.crowd import CrowdFrames, merged
from orchestrator.measure.loads.offering import Offering
from orchestrator.measure.machine import MachineMeter
from orchestrator.measure.time_limits import TimeLimits, warming_bytes
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import CellRecord, CrossingTensor, ProofRecord, UeRecord
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.testbed import Testbed, in_order
from splitbed.tensors import TensorInfo

_TOGETHER_NS = 200_000_000
"""Until then each UE has been told when it begins."""


def cell_record(
    visit: Visit, attempt: str, backend: str, crossing: Sequence[TensorInfo]
) -> CellRecord:
    """What is known of a cell before it is measured."""
    cell = visit.cell
    asked = cell.configuration
    return CellRecord(
        key=asked.key,
        block=visit.block,
        attempt=attempt,
        split=asked.split,
        split_name=asked.split_name,
        codec=asked.codecs,
        precision=asked.precision.words,
        flow=asked.flow,
        lossless=asked.lossless,
        ue=asked.pace.words,
        ues=tuple(map(UeRecord.of, asked.each)) if asked.ues else (),
        load=asked.load.words,
        in_flight=asked.load.in_flight,
        intermediate_tensors=len(crossing),
        intermediate_bytes=cell.crossing_bytes,
        tensors=tuple(
            CrossingTensor(name=one.name, shape=one.shape, bytes=one.nbytes) for one in crossing
        ),
        link=cell.link,
        links=cell.links if len(FLOWS[asked.flow].links) > 1 else (),
        shared=asked.shared,
        link_backend=backend,
        frames=0,
    )


@dataclass(frozen=True)
class SetUp:
    """A cell whose frames can begin: its links as the kernel has them, and as they were proved."""

    read_back: tuple[LinkSpec, ...]
    proofs: tuple[ProofRecord, ...]
    delivery_ms: float | None
    meter: MachineMeter


@dataclass(frozen=True)
class CellMeasurement:
    """Measures cells on a testbed, one at a time."""

    bed: Testbed
    parts: Parts
    config: SweepConfig
    limits: TimeLimits
    watcher: Watcher

    def run(self, cell: Cell, record: CellRecord, keep: Callable[[Taken], None]) -> CellRecord:
        """The record, with what was measured; `keep` is told each frame.

        Raises NodeError, LinkError and UsageError.
        """
        asked, clocks = cell.configuration, self.bed.pair.clocks
        if clocks:
            clocks.begin()
        ready = self.set_up(cell)
        with self.parts.pacing.each(asked) as slowed:
            self.bed.pair.meters.begin()
            self._frames(cell, record, keep)
            resources = self.bed.pair.meters.end()
        if clocks:
            clocks.read()
        after = proved(self.bed, self.watcher, cell.ways)
        return replace(
            record,
            part1_bytes=self.parts.loaded.part1_bytes,
            part2_bytes=self.parts.loaded.part2_bytes,
            further_bytes=self.parts.loaded.further_bytes,
            load_ms=self.parts.loaded.load_ms,
            computed=self.parts.loaded.computed,
            part1_delivery_ms=ready.delivery_ms,
            delivered_coded_bytes=self.parts.loaded.coded_bytes,
            batch_off=self.parts.batch_off,
            ue_cpus=slowed.ue_cpus,
            ue_slowdown=slowed.ue_slowdown,
            ue_slowdown_asked=slowed.asked,
            link_read_back=ready.read_back[0],
            links_read_back=ready.read_back if len(ready.read_back) > 1 else (),
            proofs=(*ready.proofs, *after),
            machine=ready.meter.read(),
            resources=resources,
        )

    def set_up(self, cell: Cell) -> SetUp:
        """Load its parts, shape and prove its links, deliver and assign; raises as :meth:`run`."""
        self.parts.load(cell.configuration)
        read_back = self.bed.shape(cell.links)
        # the first bytes of a connection travel slower
        if warming := warming_bytes(cell):
            ues = [own.name for own in cell.configuration.ues]
            self.bed.pair.warm_link(warming, self.limits.frame_s(cell), ues)
        meter = MachineMeter(self.bed.pair)
        proofs = proved(self.bed, self.watcher, cell.ways, begins=True)
        timeout_s = self.limits.delivery_s(cell, self.parts.delivered_bytes)
        delivery_ms = self.parts.deliver(*cell.links, timeout_s=timeout_s)
        self.parts.assign(cell.configuration)
        self.parts.warm()
        return SetUp(read_back, proofs, delivery_ms, meter)

    def _frames(self, cell: Cell, record: CellRecord, keep: Callable[[Taken], None]) -> None:
        attempt = record.attempt
        if cell.configuration.load.offered:
            self._offer(cell, record, keep)
            return
        # after whole rounds of the inputs, which every cell takes in the same order: so times and
        # sizes of all cells rest on the same inputs, whatever their codec and however many frames
        inputs = len(self.bed.model.inputs)
        rounds = math.ceil(self.config.least_runs / inputs)
        if cell.configuration.ues:
            crowd = CrowdFrames(self.bed, self.parts, self.limits)
            for taken in crowd.take(cell, rounds * inputs, self.config.most_runs, attempt):
                keep(taken)
                self.watcher.frame(taken.record, taken.stages)
                self.bed.interruption.check()
            return
        choosing = UntilEnough(cell, rounds * inputs, self.config.most_runs)
        frames = Frames(self.bed, self.parts, self.limits, self.watcher)
        for _ in frames.take(choosing, attempt, keep):
            pass

    def _offer(self, cell: Cell, record: CellRecord, keep: Callable[[Taken], None]) -> None:
        asked, attempt = cell.configuration, record.attempt
        # a block draws anew: what is confirmed is no one draw
        offering = Offering(self.bed, self.parts, self.limits, self.config.seed + record.block)
        # all UEs by one clock, which nodes on this machine share with it
        start_ns = time.monotonic_ns() + _TOGETHER_NS if asked.ues else 0
        streams = {
            one.ue: offering.offered(of_ue(cell, one), one, attempt, start_ns) for one in asked.each
        }
        for taken in merged(streams, set()) if len(streams) > 1 else streams.popitem()[1]:
            keep(taken)
            if taken.record.ended:
                self.watcher.frame(taken.record, taken.stages)
        # an interruption ends the nodes, and so this: only then has every frame been told of


def of_ue(cell: Cell, one: Configuration) -> Cell:
    """The cell with as many frames as a UE's own load has due in the same time."""
    load, frames = cell.configuration.load, cell.frames
    if one.load == load:
        return cell
    if all(0 < fps < math.inf for fps in (load.rate_fps, one.load.rate_fps)):
        frames = max(1, round(frames * one.load.rate_fps / load.rate_fps))
    return dataclasses.replace(cell, frames=one.load.frames(min(frames, MOST_FRAMES)))


def proved(
    bed: Testbed, watcher: Watcher, links: Sequence[LinkSpec], *, begins: bool = False
) -> tuple[ProofRecord, ...]:
    """Measure each link of the flow, which are shaped so; watchers see it. Raises NodeError.

    Of several UEs that share one, `links` are their ways to the edge, whose rates are measured from
    the first UE alone, unless they differ. Where a cell `begins`, rates may be known: see
    :meth:`Proofs.prove`.
    """
    found, shared = [], None
    several = bed.pair.links[: len(links)] if bed.pair.ues else bed.pair.links
    for number, (ends, link) in enumerate(in_order(several, links)):
        started = time.monotonic()
        as_first = bed.pair.ues and rates_of(link) == rates_of(links[0])
        proof = bed.pair.proofs.prove(
            number, link, begins=begins, shared=shared if as_first else None
        )
        shared = shared or proof
        said = MessageToDict(
            proof,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        told = {"wall_ms": (time.monotonic() - started) * 1e3, "ends": ends}
        found.append(ProofRecord.from_plain({**said, **told}))
        watcher.proved(link, found[-1])
    return tuple(found)


def rates_of(link: LinkSpec) -> tuple[float, float]:
    """Up and down, in Mbit/s."""
    return link.uplink.rate_mbit, link.downlink.rate_mbit
