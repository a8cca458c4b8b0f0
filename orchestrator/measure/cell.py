"""One cell: a split over a link, proved, warmed up and measured until it is stable.

shape link ──> warm it ──> prove it ──> deliver part 1 ──> slow the UE ──> frames … ──> prove again
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from google.protobuf.json_format import MessageToDict

from netem.wire import wire_ms
from orchestrator.ask.config import MIN_FRAMES, SweepConfig
from orchestrator.ask.grid import Cell
from orchestrator.results.clock import ClockModel, on_ue_clock
from orchestrator.results.run_folder import Record
from orchestrator.testbed.parts import Parts
from orchestrator.testbed.testbed import Testbed
from splitbed.tensors import Tensors
from splitbed.timeline import Stage, Timeline
from splitbed.v1 import nodes_pb2
from splitbed.wire import tensors_of

STABLE_SHARE = 0.05
"""Stop when the last three frames' end-to-end times lie within this share of their median."""

WARM_LINK_MS = 200.0
"""How long meaningless bytes may fill the link to open the congestion window."""

_WORK_MS = 30_000.0  # allowed for what is not the wire, before a node is said to hang
_LATE = 4.0  # times the wire's own time; a lossy link is slower than its rate
LATE_WITH_LOSS = 40.0


def is_stable(e2e_ms: Sequence[float]) -> bool:
    """Whether the last frames agree well enough to stop."""
    last = e2e_ms[-MIN_FRAMES:]
    if len(last) < MIN_FRAMES:
        return False
    return max(last) - min(last) <= STABLE_SHARE * statistics.median(last)


class CellMeasurement:
    """Measures one cell on a pair whose parts are loaded, and tells each frame to `on_frame`."""

    def __init__(self, bed: Testbed, parts: Parts, config: SweepConfig, cell: Cell) -> None:
        self.on_proof: Callable[[Record], None] = lambda _: None
        """Is told each proof of the link."""
        self._pair = bed.pair
        self._parts = parts
        self._link = bed.link
        self._config = config
        self._cell = cell
        self._asked = cell.configuration
        up, down = cell.link.uplink, cell.link.downlink
        wire = cell.wire_ms
        result_bytes = sum(max(output.nbytes, 0) for output in bed.model.graph.outputs)
        self._late = LATE_WITH_LOSS if up.loss_pct or down.loss_pct else _LATE
        frame_ms = wire + wire_ms(result_bytes, down)
        self._timeout_s = config.frame_timeout_s or self._allowed_s(frame_ms)
        # the first bytes of a connection travel slower; whole tensors would take too long
        window_bytes = cell.link.uplink.rate_mbit * 1e3 / 8 * WARM_LINK_MS
        self._warm_bytes = int(min(window_bytes, cell.crossing_bytes)) if wire else 0

    def _allowed_s(self, wire_ms: float) -> float:
        return (_WORK_MS * self._asked.pace.most + self._late * wire_ms) / 1e3

    def run(self, inputs: int, on_frame: Callable[[int, Record, Tensors], None]) -> Record:
        """Facts of the measured cell; raises NodeError and LinkError.

        `on_frame` is told the input of each frame, its sample and its result.
        """
        cell, asked, clocks = self._cell, self._asked, self._pair.clocks
        if clocks:
            clocks.begin()
        loaded = self._parts.load(asked.k)
        self._link.shape(cell.link)
        read_back = self._link.read_back()
        if self._warm_bytes:
            self._pair.warm_link(self._warm_bytes, self._timeout_s)
        before = self._prove()
        sent_ms = wire_ms(loaded.part1_bytes, cell.link.downlink)
        delivery_ms = self._parts.deliver(cell.link, self._allowed_s(sent_ms))
        if asked.crosses:
            self._parts.use_codec(asked)
        # frames of a lossy codec say what it costs in accuracy: each input has to be among them
        least = 0 if asked.lossless else min(inputs, self._config.runs)
        e2e_ms: list[float] = []
        clock = self._pair.clock()
        with self._parts.paced(asked.pace) as slowed:
            while len(e2e_ms) < self._config.runs and (
                len(e2e_ms) < least or not is_stable(e2e_ms)
            ):
                place = len(e2e_ms) % inputs
                record = self._pair.run_frame(len(e2e_ms), place, self._timeout_s)
                sample = sample_of(record, clock)
                on_frame(place, sample, tensors_of(record.result))
                e2e_ms.append(sample["e2e_ms"])
                if clocks:
                    clocks.read_if_due()
        if clocks:
            clocks.read()
        after = self._prove()
        facts: Record = {"link_read_back": read_back.model_dump(), "proofs": [before, after]}
        if delivery_ms is not None:
            facts["part1_delivery_ms"] = delivery_ms
        # those that were tried
        paced = {name: value for name, value in asdict(slowed).items() if value is not None}
        return asdict(self._parts.loaded) | facts | paced

    def _prove(self) -> Record:
        started = time.monotonic()
        facts = MessageToDict(
            self._pair.prove_link(self._cell.link),
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        proof = {"tcp": None, **facts, "wall_ms": (time.monotonic() - started) * 1e3}
        self.on_proof(proof)
        return proof


def sample_of(record: nodes_pb2.FrameRecord, clock: ClockModel | None) -> Record:
    """The line of samples.jsonl of one frame; `clock` is the edge's, None where it is the UE's."""
    stages = [(stage.name, stage.start_ns, stage.end_ns) for stage in record.stages]
    seen = [Stage(*stage) for stage in stages]
    on_ue = seen if clock is None else on_ue_clock(seen, clock)
    return {
        "frame": record.frame,
        "e2e_ms": Timeline(on_ue).e2e_ms,
        "stages": stages,
        "intermediate_tensors": record.intermediate_tensors,
        "intermediate_bytes": record.intermediate_bytes,
        "encoded_bytes": record.encoded_bytes,
        "result_bytes": record.result_bytes,
        "results": dict(record.results),
        # JSON has no infinity
        "max_abs_diff": min(record.max_abs_diff, sys.float_info.max)
        if record.HasField("max_abs_diff")
        else None,
    }
