"""Turns of policies on real nodes, without a link."""

import csv
import json
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from orchestrator.adapt.arms import Arm, FrameOutcome
from orchestrator.adapt.named import bandwidth_trace
from orchestrator.adapt.policies import PolicySetting, new_policy, policy_names
from orchestrator.adapt.run import TABLE_FILE, TRACE_FILE, TraceOptions, TraceRun, names_of
from orchestrator.adapt.turns import Turns
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.run_folder import SAMPLES_FILE, RunFolder
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.testbed import Testbed as Bed
from tests.node.loopback import loopback_link, loopback_pair


class Ended:
    """Chooses the network anchor, and ends both nodes when it is told of its second frame."""

    def __init__(self, bed: Bed, arm: Arm) -> None:
        self._bed, self._arm, self._frames = bed, arm, 0

    def choose(self, now_s: float) -> Arm:
        return self._arm

    def tell(self, outcome: FrameOutcome) -> None:
        self._frames += 1
        if self._frames == 2:
            self._bed.pair.kill()


class Turning:
    """Chooses one arm after another."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        self._arms = cycle(arms)

    def choose(self, now_s: float) -> Arm:
        return next(self._arms)

    def tell(self, outcome: FrameOutcome) -> None:
        """It does as it does."""


class Heard(Watcher):
    """Keeps the lines that a user sees."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, words: str) -> None:
        self.lines.append(words)


class Unproved(Turns):
    """Over a link that shapes nothing."""

    def prove(self) -> None:
        """There is nothing to prove."""


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
        turns.turn("unlucky", Ended(bed, turns.arms[0]), seconds=60, frames=50)
        names = names_of(turns.cells)
        wise = new_policy("static:2:4", PolicySetting(turns.arms, turns.arms, names, 20, 0))
        turns.turn("static:2:4", wise, seconds=60, frames=3)
    unlucky, static = turns.rows()
    assert (unlucky.frames, unlucky.lost) == (2, 1)
    assert (static.frames, static.lost) == (3, 0)
    lines = [json.loads(line) for line in (tmp_path / SAMPLES_FILE).read_text().splitlines()]
    assert "died" in lines[-4]["error"]
    assert [line["k"] for line in lines[-6:]] == [0, 0, 0, 2, 2, 2]


def test_what_the_live_lines_say_is_what_table_and_folder_say(tmp_path: Path) -> None:
    heard, names = Heard(), ("static:2:4", "argmin")
    with loopback_pair(tmp_path) as (pair, model):
        config = sweep_config(
            {"model": model.name, "split": "2:4", "delivery": False, "bw": "20", "seed": 1}
        )
        bed = Bed(model, loopback_link(), pair, Interruption())
        engine = Engine(config, bed, RunFolder(tmp_path), heard)
        trace, links = bandwidth_trace("steps:20@1s"), {20.0: config.links[0]}
        turns = Unproved(engine, plan_cells(config, model), trace, links)
        outcome = TraceRun(config, TraceOptions(trace.name, frames=8), turns).measure(names)
    assert heard.lines[-2:] == [row.words for row in outcome.rows]
    assert f"8 frames, 0 lost, mean {outcome.rows[1].mean_ms:.2f} ms" in heard.lines[-1]
    told = json.loads((tmp_path / TRACE_FILE).read_text())
    with (tmp_path / TABLE_FILE).open() as file:
        means = [float(line["mean_ms"]) for line in csv.DictReader(file)]
    assert means == [row.mean_ms for row in outcome.rows]
    assert [row["mean_ms"] for row in told["rows"]] == means
    assert outcome.rows[0].p95_ms is None  # of 8 frames
    # nothing shapes this link, and nobody proved it
    assert (told["verdict"], tuple(told["reasons"])) == ("INVALID", outcome.verdict.reasons)
    assert "the link was not proved before the turns and after them" in outcome.verdict.reasons


def test_a_split_is_held_with_several_codecs_and_a_policy_may_turn_the_number_of_one(
    tmp_path: Path,
) -> None:
    codecs = ("raw", "klt:60", "klt:500")
    asked = {"split": "2:4", "delivery": False, "bw": "20", "codec": ",".join(codecs)}
    with loopback_pair(tmp_path) as (pair, model):
        config = sweep_config({"model": model.name, **asked})
        bed = Bed(model, loopback_link(), pair, Interruption())
        engine = Engine(config, bed, RunFolder(tmp_path), Watcher())
        trace, links = bandwidth_trace("steps:20@1s"), {20.0: config.links[0]}
        turns = Unproved(engine, plan_cells(config, model), trace, links)
        names = policy_names("static:2:4,static:device", names_of(turns.cells))
        TraceRun(config, TraceOptions(trace.name, frames=3), turns).measure(names)
        steps = [arm for arm in turns.arms if arm.configuration.codec.startswith("klt")]
        turns.turn("turning", Turning(steps), seconds=60, frames=4)
    assert names == (*(f"static:2:4/{codec}" for codec in codecs), "static:device")
    raw, fine, coarse, device = (turns.ran[name].frames[-1] for name in names)
    assert (raw.split, raw.codec, fine.codec, device.codec) == ("2:4", "raw", "klt:60", "none")
    assert raw.encoded_bytes == raw.intermediate_bytes > fine.encoded_bytes
    assert fine.encoded_bytes > 2 * coarse.encoded_bytes > 0
    words = ["network anchor raw", "2:4 raw", "2:4 klt:60", "2:4 klt:500", "device anchor"]
    assert [arm.words for arm in turns.arms] == words
    # one frame tells too little of what steps cost: measured where asked for, never chosen
    assert [arm.words for arm in turns.fit] == [words[0], words[1], words[4]]
    assert [one.codec for one in turns.ran["turning"].frames] == ["klt:60", "klt:500"] * 2
    assert "is undecided" in turns.losses.words(turns.cells[2].configuration)
