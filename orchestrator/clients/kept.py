"""A pair that is kept up with one split on it, for whoever has frames: a client, a load generator.

link, nodes up ──> load ──> shape ──> prove ──> deliver, assign ──> frames … ──> prove again, judge

Clients are let in for the frames alone.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import msgspec

from netem.spec import LinkSpec
from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.cell import CellMeasurement, SetUp, proved
from orchestrator.measure.conditions import conditions
from orchestrator.measure.dials.finding import check_found, dialled_cells, keep_dials
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.facts import Conditions, ModelFacts
from orchestrator.results.json_record import Record
from orchestrator.results.records import ProofRecord
from orchestrator.results.run_folder import check_free, create
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.site import prepared
from orchestrator.testbed.testbed import Testbed, testbed
from splitbed.errors import NodeError, UsageError
from splitbed.graphs.splits import resolve

_LOOK_S = 0.05


class KeptRecord(Record, frozen=True, kw_only=True):
    """What a cross-checker must know of a pair that was kept up, and of its link."""

    asked: dict[str, object]
    split: str
    split_name: str
    codec: str
    link: LinkSpec
    model: ModelFacts
    conditions: Conditions
    proofs: tuple[ProofRecord, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """In what the link was not as asked."""
        return tuple(f"the link of {self.link.words}: {p.fault}" for p in self.proofs if p.fault)


@dataclass(frozen=True)
class Kept:
    """The pair with its one cell, set up."""

    engine: Engine
    cell: Cell
    record: KeptRecord
    """As it was before the first frame."""

    def let_in(self) -> None:
        """Have the UE take what clients ask for. Raises NodeError."""
        self.engine.parts.assign(self.cell.configuration, clients=True)

    def let_out(self) -> None:
        """Have it take no more, and wait for what is under way.

        Raises NodeError where that takes longer than frames may.
        """
        parts, asked = self.engine.parts, self.cell.configuration
        pair, allowed_s = self.engine.bed.pair, self.engine.limits.frame_s(self.cell)
        parts.assign(asked, keep=[parts.assignment(asked)])
        end_s = time.monotonic() + allowed_s
        while under_way := pair.nodes[pair.user].frames():
            if time.monotonic() > end_s:
                raise NodeError(
                    f"{under_way} requests of clients were under way {allowed_s:.0f} s after the "
                    "last was taken: with them the link cannot be proved"
                )
            time.sleep(_LOOK_S)

    def proved_again(self) -> KeptRecord:
        """The record, with what the link was after the frames. Raises NodeError."""
        after = proved(self.engine.bed, self.engine.watcher, self.cell.links)
        return msgspec.structs.replace(self.record, proofs=(*self.record.proofs, *after))


@contextmanager
def kept_up(
    config: SweepConfig, watcher: Watcher, what: str, *, clients: bool = False
) -> Iterator[Kept]:
    """The pair of the one configuration that is asked for, `what` names the run's folder.

    With `clients` the UE can answer these, once they are let in, with the model's outputs. Raises
    SplitbedError.
    """
    if config.out:
        check_free(config.out)
    with prepared(config) as ready:
        model = ready.local.model
        cells, dials = dialled_cells(config, model, watcher.note)
        check_found(dials)
        cell = the_cell(config, model, cells)
        if clients:  # they want what the model gives, not what its task makes of that
            model = replace(model, task="tensors")
        site = replace(ready.site, clients=config.in_flight if clients else 0)
        with testbed(site, model, config.flow_links) as bed:
            folder = create(config.out, f"{what}-{model.name}")
            keep_dials(folder, dials)
            with folder.locked():
                engine = Engine(config, bed, folder, watcher)
                watcher.note(f"{cell.configuration.words} over {cell.link.words}: {folder.path}")
                engine.calibrate([cell])
                bench = CellMeasurement(bed, engine.parts, config, engine.limits, watcher)
                record = _record(config, bed, cell, bench.set_up(cell))
                for warning in record.conditions.warnings:
                    watcher.note(f"warning: {warning}")
                with engine.parts.pacing.each(cell.configuration):
                    yield Kept(engine, cell, record)


def _record(config: SweepConfig, bed: Testbed, cell: Cell, ready: SetUp) -> KeptRecord:
    asked = cell.configuration
    return KeptRecord(
        asked=config.model_dump(mode="json"),
        split=asked.split,
        split_name=asked.split_name,
        codec=asked.codecs,
        link=cell.link,
        model=bed.model.facts,
        conditions=conditions(bed.pair, bed.link.backend),
        proofs=ready.proofs,
    )


def the_cell(config: SweepConfig, model: SweptModel, cells: Sequence[Cell]) -> Cell:
    """The one cell that is asked for; UsageError where several are, or none."""
    splits = resolve(model.graph, config.split, model.named_splits)
    if len(splits) != 1:
        raise UsageError(
            f"--split {config.split} means {len(splits)} splits, and one is kept up: give its "
            f"label, as --split {splits[0].label}"
        )
    of_split = [one for one in cells if one.configuration.k == splits[0].k]
    if len(of_split) != 1:
        told = ", ".join(f"{one.configuration.codecs} over {one.link.words}" for one in of_split)
        raise UsageError(
            f"one configuration is kept up, and {len(of_split)} are asked for ({told}): give one "
            "--bw, one --codec, one pace of the UE"
        )
    return of_split[0]
