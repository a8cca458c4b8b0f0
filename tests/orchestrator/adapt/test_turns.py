"""Turns of policies on real nodes, without a link."""

import json
from pathlib import Path

from orchestrator.adapt.arms import FrameOutcome
from orchestrator.adapt.bandwidth import bandwidth_trace
from orchestrator.adapt.policies import PolicySetting, new_policy
from orchestrator.adapt.turns import Turns
from orchestrator.ask.grid import plan_cells
from orchestrator.ask.sweep_config import sweep_config
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.run_folder import SAMPLES_FILE, RunFolder
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.testbed import Testbed as Bed
from tests.node.loopback import loopback_link, loopback_pair


class Ended:
    """Chooses the network anchor, and ends both nodes when it is told of its second frame."""

    def __init__(self, bed: Bed) -> None:
        self._bed, self._frames = bed, 0

    def choose(self, now_s: float) -> int:
        return 0

    def tell(self, outcome: FrameOutcome) -> None:
        self._frames += 1
        if self._frames == 2:
            self._bed.pair.kill()


def test_a_lost_frame_ends_its_policys_turn_and_the_next_has_all_splits_again(
    tmp_path: Path,
) -> None:
    trace = bandwidth_trace("steps:20,5@1s")
    with loopback_pair(tmp_path) as (pair, model):
        asked = {"model": model.name, "split": "2:4", "delivery": False}
        slow, fast = (sweep_config({**asked, "bw": bw}) for bw in ("5", "20"))
        bed = Bed(model, loopback_link(), pair, Interruption())
        links = {5.0: slow.links[0], 20.0: fast.links[0]}
        engine = Engine(slow, bed, RunFolder(tmp_path), Watcher())
        turns = Turns(engine, plan_cells(slow, model), trace, links)
        turns.prepare()
        turns.turn("unlucky", Ended(bed), seconds=60, frames=50)
        splits = {"2:4": 2, "device": 6}
        wise = new_policy("static:2:4", PolicySetting(turns.arms, splits, 20, 0))
        turns.turn("static:2:4", wise, seconds=60, frames=3)
    unlucky, static = turns.rows()
    assert (unlucky.frames, unlucky.lost) == (2, 1)
    assert (static.frames, static.lost) == (3, 0)
    lines = [json.loads(line) for line in (tmp_path / SAMPLES_FILE).read_text().splitlines()]
    assert "died" in lines[-4]["error"]
    assert [line["k"] for line in lines[-6:]] == [0, 0, 0, 2, 2, 2]
