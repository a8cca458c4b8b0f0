"""Nodes on loopback to which a load is offered as a sweep offers it, in one cell."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from netem.spec import symmetric
from orchestrator.ask.crowd import UE, OwnUe
from orchestrator.ask.load import load_named
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.conditions import conditions
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.records import CellRecord, RunRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.model import load_model
from orchestrator.testbed.nodes.node_process import local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from orchestrator.testbed.testbed import Testbed
from splitbed.errors import RunError
from tests.node.loopback import Splits, free_port, loopback_link, proved_as_asked, small_model

_CUT = 3
_BYTES = 8192  # of what crosses there


@dataclass(frozen=True)
class Nodes:
    """So many UEs and an edge, with the small model on them."""

    pair: Pair
    bed: Testbed
    run: RunFolder

    @property
    def processes(self) -> dict[str, psutil.Process]:
        """By their names."""
        return {name: psutil.Process(one.says.pid) for name, one in self.pair.nodes.items()}

    def offer(self, load: str, seconds: float, watcher: Watcher, codec: str = "raw") -> CellRecord:
        """Offer each UE a load for so long; its frames are in the run. Raises RunError."""
        names = self.pair.ues
        asked = Splits(self.pair, self.bed.model).asked(_CUT, codec)
        drops_none = load_named(load, drop="none", in_flight=8)
        crowd = tuple(map(OwnUe, names))
        link = symmetric(rate_mbit=1000)
        frames = round(drops_none.rate_fps * seconds)
        cell = Cell(asked.over([link], Pace(), crowd, drops_none), _BYTES, frames=frames)
        config = sweep_config(
            {"model": self.bed.model.name, "delivery": False, "profile": False, "codec": codec}
        )
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
        return ended


@contextmanager
def nodes(folder: Path, ues: int) -> Iterator[Nodes]:
    """Brought up with `folder` for what they leave; their link counts as proved."""
    (stored := folder / "stored").mkdir(parents=True)
    names: Sequence[str] = [f"ue-{one}" for one in range(1, ues + 1)] if ues > 1 else [UE]
    model = load_model(sweep_config({"model": str(small_model(folder / "small.onnx"))}), stored)
    with ExitStack() as stack:
        stack.enter_context(proved_as_asked())
        space = stack.enter_context(scratch())
        ways = {(name, "edge"): loopback_link() for name in names}
        several = names if ues > 1 else ()
        started = local_nodes(ways, space, free_port())
        pair = stack.enter_context(Pair(started, model, ues=several))
        (run := RunFolder(folder / "run")).path.mkdir()
        yield Nodes(pair, Testbed(model, loopback_link(), pair, Interruption()), run)
