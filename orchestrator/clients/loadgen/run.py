"""The command loadgen: MLPerf LoadGen asks, and a pair is its system under test.

loadgen.json    what was asked, conditions, proofs, percentiles of both, verdict
samples.jsonl   a line per frame       queries.jsonl   a line per sample that LoadGen asked for
loadgen/        LoadGen's own summary and logs
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from msgspec import field
from msgspec.structs import replace

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.clients.kept import Kept, KeptRecord, kept_up
from orchestrator.clients.loadgen.agreement import (
    Percentile,
    disagreements,
    latencies_ms,
    percentiles,
)
from orchestrator.clients.loadgen.asked import LoadgenAsked
from orchestrator.clients.loadgen.log import read_result
from orchestrator.clients.loadgen.process import drive
from orchestrator.clients.loadgen.system import SystemUnderTest
from orchestrator.measure.conditions import now
from orchestrator.measure.frames import frame_record, stages_of
from orchestrator.measure.watcher import Watcher
from orchestrator.results.json_record import Record
from orchestrator.results.judgement.validity import MAX_ABS_DIFF
from orchestrator.results.judgement.verdict import Verdict
from orchestrator.results.line_file import LineFile
from orchestrator.results.records import FrameRecord
from orchestrator.results.run_folder import SAMPLES_FILE
from splitbed.errors import MachineError, SplitbedError
from splitbed.timeline import Timeline
from splitbed.v1 import nodes_pb2

LOADGEN_FILE, QUERIES_FILE, LOGS = "loadgen.json", "queries.jsonl", "loadgen"


class LoadgenRecord(Record, frozen=True, kw_only=True):
    """A run of LoadGen on a pair; ``says`` are its results in its own words.

    ``e2e_ms`` is the median of what frames took on the nodes, as rows of sweeps have it. Of a run
    that did not come to its end there are ``reasons``, and what it had measured until then.
    """

    pair: KeptRecord
    loadgen: dict[str, object]
    samples: int
    e2e_ms: float | None
    percentiles: tuple[Percentile, ...] = ()
    says: dict[str, object] = field(default_factory=dict)
    loadgen_verdict: str = ""
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    ended: str = ""


@dataclass(frozen=True)
class LoadgenOutcome:
    """What is left of it."""

    folder: Path
    record: LoadgenRecord
    verdict: Verdict


def run(config: SweepConfig, asked: LoadgenAsked, watcher: Watcher) -> LoadgenOutcome:
    """Have LoadGen ask a pair. Raises SplitbedError for what stops it before its first query."""
    asked.check()
    if find_spec("mlperf_loadgen") is None:
        raise MachineError("LoadGen is not installed; repair: pip install 'splitbed[loadgen]'")
    with kept_up(config, watcher, "loadgen") as kept:
        bed, folder = kept.engine.bed, kept.engine.folder
        system = SystemUnderTest(partial(_frame, kept), config.in_flight)
        watcher.note(f"LoadGen asks, {asked.scenario}: {asked.duration_s:g} s and more")
        (logs := folder.path / LOGS).mkdir()
        try:
            drive(asked, system, len(bed.model.inputs), logs, bed.interruption.check)
        finally:  # whatever ended it, what was measured is kept
            frames = [_frame_record(kept, *one) for one in system.records]
            _write(folder.path / SAMPLES_FILE, frames)
            _write(folder.path / QUERIES_FILE, system.asked)
        outcome = _judged(kept, asked, system, frames, logs)
        folder.replace(LOADGEN_FILE, outcome.record.json(indent=1) + "\n")
        return outcome


def _frame(kept: Kept, place: int) -> nodes_pb2.FrameRecord:
    """One frame of the input at `place`; what came of it is not kept."""
    timeout_s = kept.engine.limits.frame_s(kept.cell)
    assignment = kept.engine.parts.assignment(kept.cell.configuration)
    said = kept.engine.bed.pair.ways.run_next(place, timeout_s, assignment)
    said.ClearField("result")
    return said


def _frame_record(kept: Kept, place: int, said: nodes_pb2.FrameRecord) -> FrameRecord:
    seen = stages_of(said)
    stages = kept.engine.bed.pair.node_clocks().on_one(seen)
    key = kept.cell.configuration.key
    return frame_record(said, key, place, seen, Timeline(stages).e2e_ms)


def _write(file: Path, records: Sequence[Record]) -> None:
    with LineFile(file) as lines:
        for one in records:
            lines.add(one.line())


def _judged(
    kept: Kept,
    asked: LoadgenAsked,
    system: SystemUnderTest,
    frames: Sequence[FrameRecord],
    logs: Path,
) -> LoadgenOutcome:
    """What it amounts to: VALID where link, results and percentiles are as they must be."""
    took_ms = [one.e2e_ms for one in frames if one.e2e_ms is not None]
    record = LoadgenRecord(
        pair=kept.record,
        loadgen=asdict(asked),
        samples=len(system.asked),
        e2e_ms=median(took_ms) if took_ms else None,
    )
    advice: tuple[str, ...] = ()
    try:
        if system.failed is not None:
            raise system.failed
        said, by_query = read_result(logs), asked.scenario == "MultiStream"
        found = percentiles(latencies_ms(system.asked, by_query=by_query), said.latencies_ms)
        advice = tuple(one.unjudged for one in found if one.unjudged)
        record = replace(
            record,
            percentiles=tuple(found),
            says=dict(said.facts),
            loadgen_verdict=said.words,
        )
        pair = kept.proved_again()
        reasons = (*pair.faults, *_differing(kept, frames), *disagreements(found))
        record = replace(record, pair=pair, reasons=reasons)
    except SplitbedError as error:
        kept.engine.bed.interruption.check()
        record = replace(record, reasons=(str(error),))
    verdict = Verdict(not record.reasons, record.reasons, advice)
    record = replace(record, verdict=verdict.word, ended=now())
    return LoadgenOutcome(kept.engine.folder.path, record, verdict)


def _differing(kept: Kept, frames: Sequence[FrameRecord]) -> list[str]:
    most = max((one.max_abs_diff or 0.0 for one in frames), default=0.0)
    if not kept.cell.configuration.lossless or most <= MAX_ABS_DIFF:
        return []
    return [f"outputs differ from the whole model's by up to {most:.2g}, over {MAX_ABS_DIFF:g}"]
