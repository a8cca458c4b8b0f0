"""Several UE processes and one edge: each its own connection, its own part, its own frames."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise

import psutil
import pytest

from netem.spec import symmetric
from orchestrator.ask.crowd import OwnUe
from orchestrator.ask.load import load_named
from orchestrator.ask.pace import Pace
from orchestrator.ask.precision import Precision
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.calibration import convert
from orchestrator.measure.cell import CellMeasurement, cell_record
from orchestrator.measure.frames import Taken
from orchestrator.measure.loads.crowd import CrowdFrames
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.offered import by_ue
from orchestrator.results.statistics.sharing import shared
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.model import load_model
from orchestrator.testbed.nodes.node_process import local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from orchestrator.testbed.testbed import Testbed
from splitbed.errors import NodeError
from tests.node.loopback import FRAME_S, LAYERS, Splits, free_port, loopback_link, small_model

UES = ("ue-1", "ue-2", "ue-3")
LINK = symmetric(rate_mbit=100)


@dataclass(frozen=True)
class Crowd:
    """Nodes of several UEs on loopback."""

    splits: Splits

    @property
    def pair(self) -> Pair:
        return self.splits.pair

    def cell(self, layers: int, *ues: OwnUe) -> Cell:
        asked = self.splits.asked(layers).over([LINK], Pace(), ues or tuple(map(OwnUe, UES)))
        return Cell(asked, 1000)

    def load(self, cell: Cell) -> None:
        parts = self.splits.parts
        parts.load(cell.configuration)
        parts.deliver(LINK, timeout_s=FRAME_S)
        parts.assign(cell.configuration)

    @property
    def bed(self) -> Testbed:
        return Testbed(self.splits.model, loopback_link(), self.pair, Interruption())

    def frames(self, cell: Cell, runs: int) -> Iterator[Taken]:
        crowd = CrowdFrames(self.bed, self.splits.parts, TimeLimits(32, FRAME_S))
        return crowd.take(cell, runs, runs, "an attempt")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    folder = tmp_path_factory.mktemp("crowd")
    (stored := folder / "stored").mkdir()
    model = load_model(sweep_config({"model": str(small_model(folder / "small.onnx"))}), stored)
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        links = {(ue, "edge"): loopback_link() for ue in UES}
        nodes = local_nodes(links, space, free_port())
        pair = stack.enter_context(Pair(nodes, model, ues=UES))
        yield Crowd(Splits(pair, model, delivery=True))


@pytest.fixture
def crowd(nodes: Crowd) -> Crowd:
    """The nodes, all alive, of which none holds anything."""
    nodes.splits.alive().parts.forget()
    return nodes


def test_each_ue_has_its_part_and_its_frames_until_all_have_enough(crowd: Crowd) -> None:
    crowd.load(cell := crowd.cell(2))
    taken = [*crowd.frames(cell, 4)]
    of_each = Counter(one.record.ue for one in taken)
    assert {*of_each} == {*UES}
    assert min(of_each.values()) >= 4
    assert all((one.record.max_abs_diff or 0) <= 1e-6 for one in taken)
    assert {stage.name for one in taken for stage in one.stages} >= {"part1", "uplink", "part2"}


def test_each_ue_has_a_connection_of_its_own(crowd: Crowd) -> None:
    crowd.load(cell := crowd.cell(2))
    [*crowd.frames(cell, 3)]
    edge = psutil.Process(crowd.pair.edge.pid)
    told = {one.raddr for one in edge.net_connections("tcp") if one.status == "ESTABLISHED"}
    own = {
        name: {one.laddr for one in psutil.Process(node.says.pid).net_connections("tcp")}
        for name, node in crowd.pair.nodes.items()
        if name in UES
    }
    assert {name: len(found & told) for name, found in own.items()} == dict.fromkeys(UES, 1)


def test_ues_are_cut_and_coded_each_as_it_is_to_be(crowd: Crowd) -> None:
    first, second, third = UES
    cell = crowd.cell(
        2, OwnUe(first), OwnUe(second, "3:3", 3, "fp16"), OwnUe(third, f"{LAYERS}:0", LAYERS)
    )
    crowd.load(cell)
    sent = {one.record.ue: one.record.encoded_bytes for one in crowd.frames(cell, 3)}
    one_map = 8 * 16 * 16 * 4
    assert sent == {first: one_map, second: 2 * one_map // 2, third: 0}


def test_ues_cut_at_several_places_have_each_its_parts_in_the_precision_asked_for(
    crowd: Crowd,
) -> None:
    cell = crowd.cell(2, OwnUe(UES[0]), OwnUe(UES[1], "3:3", 3), OwnUe(UES[2], "1:5", 1))
    asked = replace(cell.configuration, precision=Precision(edge="fp16"))
    convert(sweep_config({"model": "small"}), crowd.splits.model, asked.each)
    crowd.load(cell := replace(cell, configuration=asked))
    taken = [*crowd.frames(cell, 3)]
    assert {one.record.ue for one in taken} == {*UES}
    assert all(0 < (one.record.max_abs_diff or 0) < 0.01 for one in taken)


def test_fewer_ues_run_on_the_same_nodes_while_the_others_are_silent(crowd: Crowd) -> None:
    crowd.load(cell := crowd.cell(1, OwnUe(UES[0])))
    assert {one.record.ue for one in crowd.frames(cell, 3)} == {UES[0]}


def sharing(crowd: Crowd, **options: object) -> Crowd:
    """The same nodes, whose edge shares its work so."""
    pair, model = crowd.pair, crowd.splits.model
    return Crowd(Splits(pair, model, delivery=True, ues=len(UES), **options))


def test_frames_of_all_ues_are_run_together_and_the_row_says_on_how_many(crowd: Crowd) -> None:
    own = sharing(crowd, batch=f"max={len(UES)},wait=1s")
    own.load(cell := own.cell(2))
    assert own.splits.parts.batch_off is not None
    assert own.splits.parts.batch_off <= 1e-5
    taken = [*own.frames(cell, 4)]
    assert all((one.record.max_abs_diff or 0) <= 1e-5 for one in taken)
    assert max(one.together for one in shared([one.record for one in taken])) == len(UES)


def test_without_a_batch_a_worker_runs_one_frame_after_another(crowd: Crowd) -> None:
    own = sharing(crowd)
    own.load(cell := own.cell(2))
    assert own.splits.parts.batch_off is None
    taken = [*own.frames(cell, 4)]
    assert {one.together for one in shared([one.record for one in taken])} == {1}
    ran = sorted(
        (stage.start_ns, stage.end_ns)
        for one in taken
        for stage in one.record.stages
        if stage.name == "part2"
    )
    assert all(before[1] <= after[0] for before, after in pairwise(ran))


def test_every_frame_offered_is_accounted_for_when_a_ue_is_killed(crowd: Crowd) -> None:
    cell = replace(crowd.cell(2), frames=40)
    load = load_named("fps:20", drop="none")
    cell = replace(cell, configuration=replace(cell.configuration, load=load))
    crowd.load(cell)
    seen: list[FrameRecord] = []

    def keep(taken: Taken) -> None:
        seen.append(taken.record)
        if sum(one.ue == "ue-2" for one in seen) == 5 and taken.record.ue == "ue-2":
            os.kill(crowd.pair.nodes["ue-2"].says.pid, signal.SIGKILL)

    config = sweep_config({"model": crowd.splits.model.name})
    limits = TimeLimits(32, FRAME_S)
    measuring = CellMeasurement(crowd.bed, crowd.splits.parts, config, limits, Watcher())
    with pytest.raises(NodeError, match=r"the ue-2 node died \(signal 9\).*the other 2 went on"):
        measuring._offer(cell, cell_record(Visit(cell), "an attempt", "", ()), keep)
    every = [fate for one in seen if (fate := one.fate)]
    fates = by_ue(every)
    assert {ue: found.offered for ue, found in fates.items()} == dict.fromkeys(UES, 40)
    assert fates["ue-1"].done == fates["ue-3"].done == 40
    assert 4 <= fates["ue-2"].done < 40
    assert fates["ue-2"].done + fates["ue-2"].errors == 40
    # all by one clock: each UE's first is due within a period of the others'
    first_ns = [min(one.due_ns for one in every if one.ue == ue) for ue in UES]
    assert max(first_ns) - min(first_ns) < 50e6


def test_the_others_go_on_when_one_is_killed(crowd: Crowd) -> None:
    crowd.load(cell := crowd.cell(2))
    seen = Counter[str]()
    with pytest.raises(NodeError, match=r"the ue-2 node died \(signal 9\).*the other 2 went on"):
        for one in crowd.frames(cell, 30):
            seen[one.record.ue] += 1
            if seen["ue-2"] == 5 and one.record.ue == "ue-2":
                os.kill(crowd.pair.nodes["ue-2"].says.pid, signal.SIGKILL)
    assert seen["ue-2"] < 30
    assert min(seen["ue-1"], seen["ue-3"]) >= 30
