"""A process that serves /metrics as a node or an orchestrator at a sweep would: ROLE ADDRESS.

It drives the real telemetry objects with made-up frames, ten a second, until it is ended.
"""

import itertools
import sys
import time
from pathlib import Path
from random import Random

from msgspec.structs import replace

from orchestrator.results.records import FrameRecord, ProofRecord, TcpFacts
from splitbed import telemetry
from splitbed.timeline import END_TO_END, STAGES, Timeline

MARKUP = "<i>stage2</i>"
"""A split whose name a page must not take for its own words."""

FRAMES = 3
_chance = Random(0)


def _timeline(names: tuple[str, ...]) -> Timeline:
    timeline, start_ns = Timeline(), time.monotonic_ns()
    for name in names:
        end_ns = start_ns + int(_chance.uniform(5e6, 300e6))
        timeline.add(name, start_ns, end_ns)
        start_ns = end_ns
    return timeline


def node(stages: tuple[str, ...]) -> None:
    """Frames of a node that knows these stages."""
    telemetry.SESSIONS.set(1)
    telemetry.MODELS.set(1)
    telemetry.tell_link("ue to edge", (20.0, 20.0), (19.8, 19.9), (0.02, 0.4), 0)
    while True:
        with telemetry.FRAMES_IN_FLIGHT.track_inprogress():
            time.sleep(0.1)
        telemetry.tell_stages(_timeline(stages))
        telemetry.tell_bytes("uplink", "raw", 1_000_000)
        telemetry.tell_bytes("downlink", "raw", 2_000)


def orchestrator() -> None:
    """A sweep of two splits and the anchors at two rates; one of its cells fails."""
    from netem.probe.proof import nominal_rtt_ms
    from netem.spec import symmetric
    from orchestrator.ask.configuration import Configuration
    from orchestrator.ask.sweep.cell import Cell, Visit
    from orchestrator.measure.cell import cell_record
    from orchestrator.measure.exports.telemetry import SweepTelemetry

    cuts = [("network anchor", 0), (MARKUP, 2), ("stage3", 3), ("device anchor", 5)]
    cells = [
        Cell(Configuration(k, 5, label, codec, symmetric(rate_mbit=mbit)), 0)
        for (label, k), mbit in itertools.product(cuts, (5, 20))
        for codec in [["raw"], ["none"]][k == 5]
    ]
    told = SweepTelemetry()
    told.begin(cells, Path(), "native")
    for number, cell in enumerate(itertools.cycle(cells)):
        told.cell(cell)
        mbit = cell.link.uplink.rate_mbit
        tcp = TcpFacts(congestion_control="cubic", retransmits=number, cwnd_segments=10)
        proof = ProofRecord(
            uplink_mbit=mbit * 0.99,
            downlink_mbit=mbit * 1.01,
            rtt_min_ms=nominal_rtt_ms(cell.link) + 0.4,
            tcp=tcp,
        )
        told.proved(cell.link, proof)
        for _ in range(FRAMES):
            time.sleep(0.1)
            timeline = _timeline(STAGES)
            told.frame(_frame(timeline), timeline.stages)
        record = cell_record(Visit(cell), str(number), "native", ())
        failed = replace(record, error="the edge node died", error_kind="NodeError")
        told.done(failed if number == 1 else record)


def _frame(timeline: Timeline) -> FrameRecord:
    stages = tuple(timeline.stages)
    return FrameRecord(attempt="1", stages=stages, encoded_bytes=500_000, result_bytes=2_000)


def main(role: str, address: str) -> None:
    """Serve, and drive what is served."""
    with telemetry.serving(address):
        match role:
            case "ue":
                node(STAGES[:3])
            case "edge":
                node(END_TO_END[3:])
            case _:
                orchestrator()


if __name__ == "__main__":
    main(*sys.argv[1:])
