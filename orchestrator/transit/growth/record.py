"""What is written of part 1 that grew: how splits were judged, and what came over each link."""

from collections.abc import Iterator

from netem.spec import LinkSpec
from orchestrator.ask.configuration import Configuration
from orchestrator.results.json_record import Record
from orchestrator.results.records import MachineRecord, ProofRecord
from orchestrator.transit.growth.growing import Grown, Growth
from splitbed.timeline import NS_PER_MS


class SplitRecord(Record, frozen=True, kw_only=True):
    """A line of splits.jsonl: what a split reaches whose part 1 came in the coder.

    It was judged where it was encoded, and how far it falls short is of the whole model there.
    """

    split: str
    metric: str
    accuracy: float | None
    drop: float | None
    frames: int | None


class FrameRecord(Record, frozen=True, kw_only=True):
    """A frame: its split, when it was done after the first request, and its time."""

    split: str
    done_ms: float
    e2e_ms: float
    max_abs_diff: float | None


class GrownRecord(Record, frozen=True, kw_only=True):
    """A split that became possible: of its part 1 ``coded_bytes``, and what came of it."""

    split: str
    split_name: str
    codec: str
    lossless: bool
    coded_bytes: int
    came_bytes: int
    link_ms: float
    receive_ms: float
    resumed: int
    sha256: str
    """Of the part that the UE rebuilt."""
    open_ms: float
    since_request_ms: float


class GrowthRecord(Record, frozen=True, kw_only=True):
    """A line of cells.jsonl: all that came over a link in one way, and all frames meanwhile.

    ``error`` is what ended it too soon, None where nothing did; ``machine`` is None then.
    """

    way: str
    link: LinkSpec
    grown: tuple[GrownRecord, ...]
    frames: tuple[FrameRecord, ...]
    proofs: tuple[ProofRecord, ...]
    machine: MachineRecord | None
    error: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What names it in its run: its way, and its link in words."""
        return self.way, self.link.words


def record_of(growth: Growth, way: str) -> GrowthRecord:
    """What is written of it; of what was not asked for, that it was not."""
    return GrowthRecord(
        way=way,
        link=growth.link,
        grown=tuple(_grown(one, one.asked) for one in growth.grown),
        frames=tuple(_frames(growth)) if growth.start_ns else (),
        proofs=tuple(growth.proofs),
        machine=growth.machine,
        error=None if growth.error is None else str(growth.error) or "it was interrupted",
    )


def _grown(one: Grown, asked: Configuration) -> GrownRecord:
    received = one.received
    return GrownRecord(
        split=asked.split,
        split_name=asked.split_name,
        codec=asked.codec,
        lossless=asked.lossless,
        coded_bytes=one.coded.bytes,
        came_bytes=received.came_bytes,
        link_ms=received.link_ms,
        receive_ms=received.receive_ms,
        resumed=received.resumed,
        sha256=received.decoded.sha256.hex(),
        open_ms=one.open_ms,
        since_request_ms=one.since_ms,
    )


def _frames(growth: Growth) -> Iterator[FrameRecord]:
    for one in growth.frames:
        yield FrameRecord(
            split=one.split,
            done_ms=(one.done_ns - growth.start_ns) / NS_PER_MS,
            e2e_ms=one.e2e_ms,
            max_abs_diff=one.max_abs_diff,
        )
