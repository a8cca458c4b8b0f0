"""A pair that is simulated: one server behind a queue, whose runs go into a real journal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.crowd import OwnUe
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.capacity.asked import Capacity, capacity
from orchestrator.capacity.run import CapacityOutcome, Searching
from orchestrator.measure.cell import cell_record
from orchestrator.measure.watcher import Watcher
from orchestrator.plan.load.queueing import Floats, departures
from orchestrator.results.journal import Journal
from orchestrator.results.records import CellRecord, FrameRecord, RunRecord
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import NodeError
from splitbed.timeline import NS_PER_MS

SERVICE_MS, E2E_MS = 10.0, 12.0
LINK = symmetric(rate_mbit=20)


class Simulated:
    """Has the part of an engine that a search asks; each frame takes a server SERVICE_MS.

    Visits `fail` whose number is in it, and it `stops` at one. Of UEs that go on one after another
    each frame takes the others' time, too. Where `spoiled`, of each load the first frame fails, and
    outputs are not the whole model's. Of visits `unexplained` stages are a tenth short of the time.
    """

    def __init__(
        self,
        fail: Iterable[int] = (),
        stops: int | None = None,
        *,
        spoiled: bool = False,
        unexplained: Iterable[int] = (),
    ) -> None:
        self.watcher = Watcher()
        self.visits = 0
        self._fail, self._stops, self._spoiled = {*fail}, stops, spoiled
        self._unexplained = {*unexplained}

    def measure(self, visits: Iterable[Visit], journal: Journal) -> Iterator[CellRecord]:
        for visit in visits:
            self.visits += 1
            if self.visits == self._stops:
                raise NodeError("the edge node died")
            attempt = f"{visit.key} {self.visits}"
            record = cell_record(visit, attempt, "simulated", ())
            fields = record.plain()
            if self.visits in self._fail:
                record = CellRecord.from_plain(fields | {"error": "a node died", "error_kind": "x"})
            else:
                frames = [*self._frames(visit.cell, attempt)]
                for frame in frames:
                    journal.add_frame(frame)
                ended = sum(frame.ended for frame in frames)
                record = CellRecord.from_plain(fields | {"frames": ended})
            journal.add_cell(record)
            yield record

    def _frames(self, cell: Cell, attempt: str) -> Iterator[FrameRecord]:
        load = cell.configuration.load
        ues = [own.name for own in cell.configuration.ues] or [""]
        e2e_ms = E2E_MS if load.offered else E2E_MS * len(ues)
        due_ns: Floats = np.array(load.due_ns(cell.frames, self.visits), np.float64)
        if not load.offered:
            due_ns = np.arange(cell.frames, dtype=np.float64) * 1e9
        # of several UEs one after another, the whole of which one server has
        due_ns = np.sort(np.concatenate([due_ns + 1e3 * ue for ue in range(len(ues))]))
        done_ns = departures(due_ns, np.full(len(due_ns), SERVICE_MS * NS_PER_MS))
        for number, (due, done) in enumerate(zip(due_ns, done_ns, strict=True)):
            start = int(done - SERVICE_MS * NS_PER_MS)
            end = start + int(e2e_ms * NS_PER_MS)
            stages: list[list[object]] = [["part1", start, end]]
            if self.visits in self._unexplained:
                stages = [["part1", start, start + int(0.9 * (end - start))], ["part2", end, end]]
            told = {"attempt": attempt, "frame": number, "e2e_ms": e2e_ms, "stages": stages}
            told["ue"] = ues[number % len(ues)]
            if load.offered:
                told |= {
                    "outcome": "ok",
                    "due_ns": int(due),
                    "start_ns": int(due),
                    "done_ns": int(done),
                }
            if load.offered and self._spoiled:
                gone = {"outcome": "error", "stages": [], "reason": "a frame failed"}
                told |= {"max_abs_diff": 0.5} if number else gone
            yield FrameRecord.from_plain(told)


def asked(
    folder: Path, slo: str, load: str = "fps", seconds: float = 6, **more: object
) -> Capacity:
    """Whose runs take ``seconds``: what is offered evenly needs few frames."""
    options = {"model": "shapesnet", "load": load, "out": folder, **more}
    return capacity(options, {"slo": [slo], "seconds": seconds})


def searched(wanted: Capacity, folder: Path, engine: Simulated | None = None) -> CapacityOutcome:
    """One configuration, on a simulated pair."""
    bare = Configuration(1, 2, "cut", link=LINK)
    counts: Sequence[int] = range(wanted.fewest, wanted.most + 1)
    if wanted.over == "fps":
        counts = wanted.config.ues or (0,)
    crowds = [tuple(OwnUe(f"ue-{one}") for one in range(1, count + 1)) for count in counts]
    cells = [Cell(replace(bare, ues=ues), 1000) for ues in crowds]
    folder.mkdir(exist_ok=True)
    place = RunFolder(folder)
    run = place.read_run() if place.exists else RunRecord.from_plain({"model": {"name": "m"}})
    with Journal(place, run) as journal:
        made = engine or Simulated()
        return Searching(wanted, cells, made, journal).measure()  # type: ignore[arg-type]
