"""Nodes on loopback to which a load is offered as a sweep offers it, in one cell."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from netem.spec import symmetric
from orchestrator.ask.crowd import UE, OwnUe
from orchestrator.ask.load import Load, load_named
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.conditions import conditions
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.records import RunRecord
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.model import load_model
from orchestrator.testbed.nodes.node_process import local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from orchestrator.testbed.testbed import Testbed
from splitbed.errors import RunError
from tests.node.loopback import Splits, free_port, loopback_link, proved_as_asked, small_model

SMALL = "small"
"""The model of the tests, cut after 3 of its layers, where 8 KB cross."""
_CUT = 3


@dataclass(frozen=True)
class Nodes:
    """So many UEs and an edge, with a model on them."""

    pair: Pair
    bed: Testbed
    run: RunFolder

    @property
    def processes(self) -> dict[str, psutil.Process]:
        """By their names."""
        return {name: psutil.Process(one.says.pid) for name, one in self.pair.nodes.items()}

    def offer(
        self,
        load: Load,
        frames: int,
        watcher: Watcher,
        codec: str = "raw",
        cut: int = _CUT,
        options: Mapping[str, object] | None = None,
    ) -> Row:
        """Offer each UE so many frames; they are in the run, their row is given. Raises RunError.

        `options` of a sweep say how nodes work.
        """
        model, names = self.bed.model, self.pair.ues
        asked = Splits(self.pair, model).asked(cut, codec)
        crowd = tuple(map(OwnUe, names))
        asked = asked.over([symmetric(rate_mbit=1000)], Pace(), crowd, load)
        cell = Cell(asked, model.graph.cuts[cut].nbytes, frames=frames)
        usual = {"model": model.name, "delivery": False, "profile": False, "codec": codec}
        config = sweep_config({**usual, **(options or {})})
        record = RunRecord(
            asked=config.model_dump(mode="json"),
            model=self.bed.model.facts,
            conditions=conditions(self.pair, self.bed.link.backend),
            grid=(cell.configuration.key,),
        )
        engine = Engine(config, self.bed, self.run, watcher)
        with Journal(self.run, record) as journal:
            (ended,) = engine.measure([Visit(cell)], journal)
            if ended.error:
                raise RunError(ended.error)
            both = zip(journal.cells, journal.rows, strict=True)
            return next(row for one, row in both if one.key == ended.key)


def drops_none(word: str, in_flight: int = 8) -> Load:
    """A load of which each frame waits until it is its turn."""
    return load_named(word, drop="none", in_flight=in_flight)


@contextmanager
def nodes(folder: Path, ues: int, model: str = SMALL) -> Iterator[Nodes]:
    """Brought up with `folder` for what they leave; their link counts as proved."""
    (stored := folder / "stored").mkdir(parents=True)
    names: Sequence[str] = [f"ue-{one}" for one in range(1, ues + 1)] if ues > 1 else [UE]
    name = str(small_model(folder / "small.onnx")) if model == SMALL else model
    loaded = load_model(sweep_config({"model": name}), stored)
    with ExitStack() as stack:
        stack.enter_context(proved_as_asked())
        space = stack.enter_context(scratch())
        ways = {(name, "edge"): loopback_link() for name in names}
        several = names if ues > 1 else ()
        started = local_nodes(ways, space, free_port())
        pair = stack.enter_context(Pair(started, loaded, ues=several))
        (run := RunFolder(folder / "run")).path.mkdir()
        yield Nodes(pair, Testbed(loaded, loopback_link(), pair, Interruption()), run)
