"""Several UEs under load over one shaped link: what it shares, and what becomes of its frames."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest

from netem.backends.cell import Cell as SharedCell
from netem.backends.cell import open_cell
from netem.spec import symmetric
from netem.wire import wire_ms
from orchestrator.ask.crowd import OwnUe
from orchestrator.ask.load import load_named
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.cell import CellMeasurement, cell_record
from orchestrator.measure.frames import Taken
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.offered import Fate, Offered, by_ue, response_ms
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.model import load_model
from orchestrator.testbed.nodes.node_process import local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from orchestrator.testbed.testbed import Testbed
from splitbed.errors import NodeError
from tests.node.loopback import FRAME_S, Splits, small_model

UES = tuple(f"ue-{number}" for number in range(1, 5))
RATE_MBIT = 4.0
LINK = symmetric(rate_mbit=RATE_MBIT, delay_ms=2)
MAP_BYTES = 8 * 16 * 16 * 4  # of the cut 2:4: 17 ms on the wire
CUT_S, LONG_CUT_S = 1.5, 10.0


@dataclass(frozen=True)
class Crowd:
    """Nodes of four UEs that reach one edge through one shaped link."""

    splits: Splits
    shared: SharedCell
    seen: list[FrameRecord] = field(default_factory=list)

    def offer(
        self, loads: Mapping[str, str], frames: int, each: Callable[[Taken], None] = lambda _: None
    ) -> Mapping[str, list[Fate]]:
        """What became of so many frames of the first UE, and of others due meanwhile, by UE.

        `each` is told as it is known. Raises NodeError, with all of it in `seen`.
        """
        own = [OwnUe(ue, load=load_named(load, 2, drop="none")) for ue, load in loads.items()]
        asked = self.splits.asked(2).over([LINK], Pace(), tuple(own), own[0].load)
        cell = Cell(asked, MAP_BYTES, frames=frames)
        parts, model = self.splits.parts, self.splits.model
        parts.load(asked)
        parts.deliver(LINK, timeout_s=FRAME_S)
        parts.assign(asked)
        self.seen.clear()

        def keep(taken: Taken) -> None:
            self.seen.append(taken.record)
            each(taken)

        bed = Testbed(model, self.shared.shared, self.splits.pair, Interruption())
        config = sweep_config({"model": model.name})
        limits = TimeLimits(32, FRAME_S)
        measuring = CellMeasurement(bed, parts, config, limits, Watcher())
        measuring._offer(cell, cell_record(Visit(cell), "an attempt", "", ()), keep)
        return self.fates

    @property
    def fates(self) -> Mapping[str, list[Fate]]:
        """By UE."""
        every = [fate for one in self.seen if (fate := one.fate)]
        return {ue: [one for one in every if one.ue == ue] for ue in {one.ue for one in every}}

    @property
    def told(self) -> Mapping[str, Offered]:
        """Likewise in numbers."""
        return by_ue([fate for fates in self.fates.values() for fate in fates], 2)

    def forward(self, packets: bool, ue: str = "") -> None:
        """Whether what comes to the cell goes on, of all or of a UE, as over a link.

        What is said of all holds for each from then on.
        """
        cell = self.shared.shared.ue
        of = f"conf/ue{UES.index(ue)}/forwarding" if ue else "ip_forward"
        cell.run(["tee", f"/proc/sys/net/ipv4/{of}"], given=f"{packets:d}")


@pytest.fixture
def crowd(nodes: Crowd) -> Crowd:
    """All of them alive, whatever the test before has killed."""
    if any(node.ended() for node in nodes.splits.pair.nodes.values()):
        nodes.splits.pair.restart()
        nodes.splits.parts.forget()
    return nodes


@pytest.fixture(scope="module")
def nodes(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    folder: Path = tmp_path_factory.mktemp("crowd")
    (stored := folder / "stored").mkdir()
    model = load_model(sweep_config({"model": str(small_model(folder / "small.onnx"))}), stored)
    subnets = {name: f"10.77.{place}.0/24" for place, name in enumerate(["edge", *UES])}
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        cell = stack.enter_context(open_cell(backend, folder / "link", "edge", subnets, {}))
        cell.shared.shape(LINK)
        nodes = local_nodes({(ue, "edge"): way for ue, way in cell.ways.items()}, space, 50051)
        pair = stack.enter_context(Pair(nodes, model, ues=UES))
        yield Crowd(Splits(pair, model, delivery=True), cell)


def test_one_that_offers_little_is_answered_beside_one_that_offers_too_much(crowd: Crowd) -> None:
    # ue-1 alone would fill the link 1.7 times; with two under way the other waits for these alone
    fates = crowd.offer({"ue-1": "fps:100", "ue-2": "fps:5"}, frames=120)
    heavy, light = fates["ue-1"], fates["ue-2"]
    assert (len(heavy), len(light)) == (120, 6)
    assert not crowd.told["ue-1"].sustained
    # it does not stand behind what waits at the other: then it would be half of that, as the
    # other's own are
    assert median(response_ms(light)) < max(response_ms(heavy)) / 4
    assert max(response_ms(heavy)) > 20 * wire_ms(MAP_BYTES, LINK.uplink)
    assert all(one.outcome == "ok" for one in (*heavy, *light))


def test_links_that_are_cut_under_load_lose_no_frame_and_one_that_stays_cut_holds_up_no_other(
    crowd: Crowd,
) -> None:
    def mend() -> None:
        time.sleep(CUT_S)
        crowd.forward(True)
        crowd.forward(False, "ue-3")
        time.sleep(LONG_CUT_S - CUT_S)
        crowd.forward(True, "ue-3")

    mending = threading.Thread(target=mend)

    def cut(_: Taken) -> None:
        if len(crowd.seen) == 16:
            crowd.forward(False)
            mending.start()

    fates = crowd.offer(dict.fromkeys(UES, "fps:8"), 8, cut)
    mending.join()
    assert {ue: len(own) for ue, own in fates.items()} == dict.fromkeys(UES, 8)
    assert {one.outcome for own in fates.values() for one in own} == {"ok"}
    late_ms = {ue: max(response_ms(own)) for ue, own in fates.items()}
    longest_ms = late_ms.pop("ue-3")
    assert longest_ms > LONG_CUT_S * 1e3 * 0.8
    assert CUT_S * 1e3 * 0.8 < max(late_ms.values()) < longest_ms / 2


def test_of_four_one_is_killed_and_all_frames_of_all_are_accounted_for(crowd: Crowd) -> None:
    def kill(taken: Taken) -> None:
        mine = [one for one in crowd.seen if one.ue == "ue-3"]
        if len(mine) == 3 and taken.record.ue == "ue-3":
            os.kill(crowd.splits.pair.nodes["ue-3"].says.pid, signal.SIGKILL)

    with pytest.raises(NodeError, match=r"the ue-3 node died \(signal 9\).*the other 3 went on"):
        crowd.offer(dict.fromkeys(UES, "fps:8"), 10, kill)
    told = crowd.told
    assert {ue: one.offered for ue, one in told.items()} == dict.fromkeys(UES, 10)
    assert {ue: one.done for ue, one in told.items() if ue != "ue-3"} == dict.fromkeys(
        [ue for ue in UES if ue != "ue-3"], 10
    )
    assert told["ue-3"].done + told["ue-3"].errors == 10
    assert told["ue-3"].errors > 0
