"""A pair that is simulated: one server behind a queue, whose runs go into a real journal."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.crowd import OwnUe
from orchestrator.ask.grid import Cell, Visit
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

    Visits `fail` whose number is in it, and it `stops` at one.
    """

    def __init__(self, fail: Iterable[int] = (), stops: int | None = None) -> None:
        self.watcher = Watcher()
        self.visits = 0
        self._fail, self._stops = {*fail}, stops

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
                record = CellRecord.from_plain(fields | {"frames": len(frames)})
            journal.add_cell(record)
            yield record

    def _frames(self, cell: Cell, attempt: str) -> Iterator[FrameRecord]:
        load = cell.configuration.load
        ues = max(1, len(cell.configuration.ues))
        due_ns: Floats = np.array(load.due_ns(cell.frames, self.visits), np.float64)
        if not load.offered:
            due_ns = np.arange(cell.frames, dtype=np.float64) * 1e9
        # of several UEs one after another, the whole of which one server has
        due_ns = np.sort(np.concatenate([due_ns + 1e3 * ue for ue in range(ues)]))
        done_ns = departures(due_ns, np.full(len(due_ns), SERVICE_MS * NS_PER_MS))
        for number, (due, done) in enumerate(zip(due_ns, done_ns, strict=True)):
            start = int(done - SERVICE_MS * NS_PER_MS)
            stages = [["part1", start, start + int(E2E_MS * NS_PER_MS)]]
            told = {"attempt": attempt, "frame": number, "e2e_ms": E2E_MS, "stages": stages}
            if load.offered:
                told |= {
                    "outcome": "ok",
                    "due_ns": int(due),
                    "start_ns": int(due),
                    "done_ns": int(done),
                }
            yield FrameRecord.from_plain(told)


def asked(folder: Path, slo: str, load: str = "fps", **more: object) -> Capacity:
    options = {"model": "shapesnet", "load": load, "out": folder, **more}
    return capacity(options, {"slo": [slo], "seconds": 20})


def searched(wanted: Capacity, folder: Path, engine: Simulated | None = None) -> CapacityOutcome:
    """One configuration, on a simulated pair."""
    bare, counts = Configuration(1, 2, "cut", link=LINK), range(wanted.fewest, wanted.most + 1)
    crowds = [tuple(OwnUe(f"ue-{one}") for one in range(1, count + 1)) for count in counts]
    every = crowds if wanted.over == "ues" else [()]
    cells = [Cell(replace(bare, ues=ues), 1000) for ues in every]
    folder.mkdir(exist_ok=True)
    place = RunFolder(folder)
    run = place.read_run() if place.exists else RunRecord.from_plain({"model": {"name": "m"}})
    with Journal(place, run) as journal:
        made = engine or Simulated()
        return Searching(wanted, cells, made, journal).measure()  # type: ignore[arg-type]
