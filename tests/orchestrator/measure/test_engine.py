"""The engine on real nodes, without a link: who chooses frames, and what is written of them."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.measure.engine import Engine
from orchestrator.measure.frames import Taken
from orchestrator.measure.sweep import measure_cells, read_config
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.records import FrameRecord, RunRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.testbed import Testbed as Bed
from splitbed.errors import LateError, NodeError, UsageError
from splitbed.graphs.parts import extract
from splitbed.timeline import Stage
from splitbed.v1 import nodes_pb2
from splitbed.wire import max_abs_diff
from tests.node.loopback import loopback_link, loopback_pair, proved_as_asked

ROOM = Path(__file__).parents[3] / "orchestrator"


class Heard(Watcher):
    """Keeps the frames that it was told."""

    def __init__(self) -> None:
        self.frames: list[FrameRecord] = []

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        self.frames.append(frame)


class InTurn:
    """Each cell once."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._left = iter(cells)
        self.told: list[Taken] = []

    def next(self) -> Cell | None:
        return next(self._left, None)

    def tell(self, taken: Taken) -> None:
        self.told.append(taken)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    with proved_as_asked(), loopback_pair(folder) as (pair, model):
        config = sweep_config({"model": model.name, "split": "2:4,5:1", "delivery": False})
        bed = Bed(model, loopback_link(), pair, Interruption())
        yield Engine(config, bed, RunFolder(folder), Heard())


def cells_of(engine: Engine) -> list[Cell]:
    config = sweep_config({"model": "small", "split": "2:4,5:1", "bw": "20", "delivery": False})
    return plan_cells(config, engine.bed.model)


def test_each_frame_is_of_the_cell_that_was_chosen_and_in_the_journal_before_it_is_told(
    engine: Engine,
) -> None:
    cells = cells_of(engine)
    engine.hold(cells)
    choosing = InTurn([cells[2], cells[0], cells[3], cells[1]])
    written: list[Taken] = []
    for taken in engine.frames(choosing, "turn", written.append):
        assert written[-1] is choosing.told[-1] is taken
    chosen = [taken.cell.configuration.split for taken in written]
    assert chosen == ["5:1", "0:6", "6:0", "2:4"]
    assert [taken.record.intermediate_bytes for taken in written] == [
        taken.cell.crossing_bytes for taken in written
    ]
    assert {taken.record.attempt for taken in written} == {"turn"}
    watcher = engine.watcher
    assert isinstance(watcher, Heard)
    assert watcher.frames == [taken.record for taken in written]


def test_a_codecs_number_may_change_from_frame_to_frame_and_both_ends_take_that_of_the_frame(
    engine: Engine,
) -> None:
    steps, model = ("jpeg:5", "jpeg:95"), engine.bed.model
    asked = {"model": "small", "split": "2:4", "bw": "20", "delivery": False}
    every = plan_cells(sweep_config(asked | {"codec": ",".join(steps)}), model)
    cells = [cell for cell in every if cell.configuration.k == 2]
    engine.calibrate(cells)
    engine.hold(cells)
    turns = [cells[place] for place in (0, 1, 0, 0, 1)]
    taken = [*engine.frames(InTurn(turns), "turn", lambda _: None)]
    part1, part2 = (model.session(part, 1) for part in extract(model.stored, 2))
    with part1, part2:
        crossing = part1.run(model.inputs[0].tensors)
        for one in taken:
            codec = one.cell.configuration.codec
            encoder, decoder = (model.coder(2, codec, engine.parts.known) for _ in range(2))
            encoded = encoder.encode(crossing)
            assert one.record.encoded_bytes == sum(array.nbytes for array in encoded.values())
            here = model.info.result_of(part2.run(decoder.decode(encoded)))
            assert max_abs_diff(here, one.result) < 1e-5
    sizes = [one.record.encoded_bytes for one in taken]
    assert sizes[0] == sizes[2] == sizes[3] < sizes[1] == sizes[4]


def test_frames_are_taken_one_by_one_as_they_are_asked_for(engine: Engine) -> None:
    cells = cells_of(engine)
    engine.hold(cells)
    choosing = InTurn(cells)
    assert len([*islice(engine.frames(choosing, "turn", lambda _: None), 2)]) == 2
    assert len(choosing.told) == 2


def test_of_a_frame_that_took_too_long_the_option_is_told_that_allows_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = cells_of(engine)
    engine.hold(cells)

    def late(*_: object) -> None:
        raise LateError("it took too long")

    monkeypatch.setattr(engine.bed.pair.ways, "run_frame", late)
    with pytest.raises(NodeError, match="too long; --frame-timeout-s allows more"):
        [*engine.frames(InTurn(cells), "turn", lambda _: None)]


def test_the_next_visit_may_depend_on_what_the_journal_says_of_the_one_before(
    engine: Engine,
) -> None:
    cells = cells_of(engine)
    seen: list[set[tuple[str, int]]] = []

    def choosing(journal: Journal) -> Iterator[Visit]:
        for cell in (cells[1], cells[0]):
            yield Visit(cell)
            seen.append(journal.ended)
        yield Visit(cells[1], block=1)

    with Journal(engine.folder, RunRecord(model=engine.bed.model.facts)) as journal:
        records = [*engine.measure(choosing(journal), journal)]
    first, second = (cell.configuration.key for cell in (cells[1], cells[0]))
    assert seen == [{(first, 0)}, {(first, 0), (second, 0)}]
    assert [(one.key, one.block) for one in records] == [(first, 0), (second, 0), (first, 1)]
    assert [one.error for one in records] == [None] * 3


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (
            r"\.run_(frame|alone|next)\(",  # of a cell, of a start, while part 1 grows, for LoadGen
            {
                "clients/loadgen/run.py",
                "measure/arriving.py",
                "measure/frames.py",
                "transit/growth/growing.py",
            },
        ),
        (r"\.proofs\.prove\(", {"measure/cell.py"}),
        (r"\bmodel_copy\(", set()),  # which checks nothing
    ],
)
def test_what_drives_nodes_is_in_one_place(call: str, where: set[str]) -> None:
    files = {
        str(file.relative_to(ROOM))
        for file in ROOM.rglob("*.py")
        if re.search(call, file.read_text())
    }
    assert files == where


def test_a_run_of_an_earlier_version_is_gone_on_with_and_one_asked_otherwise_is_not(
    engine: Engine, tmp_path: Path
) -> None:
    asked = {"model": "small", "runs": 5, "profile": False}
    folder = RunFolder(tmp_path)
    measure_cells(sweep_config(asked), [], engine.bed, folder, Watcher())
    run = folder.read_run()
    earlier = {k: v for k, v in run.asked.items() if k not in ("min_runs", "max_runs")}
    folder.write_run(replace(run, asked=earlier))
    measure_cells(read_config(tmp_path), [], engine.bed, folder, Watcher())
    assert folder.read_run().resumed
    with pytest.raises(UsageError, match="these have changed since: options"):
        measure_cells(sweep_config(asked | {"runs": 6}), [], engine.bed, folder, Watcher())


def test_rates_are_known_of_a_link_that_was_given_no_other_shape_and_was_as_asked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, nodes_pb2.LinkProof | None]] = []
    said: list[nodes_pb2.LinkProof] = []

    def proved(*given: Any) -> nodes_pb2.LinkProof:
        _, _, spec, _, known = given
        asked.append((spec.uplink.rate_mbit, known))
        fault = "slower than asked" if len(said) == 5 else ""
        said.append(nodes_pb2.LinkProof(uplink_mbit=len(said), fault=fault))
        return said[-1]

    monkeypatch.setattr("orchestrator.testbed.nodes.proofs.prove", proved)
    engine.bed.pair.proofs.forget()
    config = sweep_config({"model": "small", "split": "2:4", "bw": "20,50", "delivery": False})
    split = [cell for cell in plan_cells(config, engine.bed.model) if cell.configuration.k == 2]
    slow, fast = sorted(split, key=lambda cell: cell.links[0].uplink.rate_mbit)
    with Journal(engine.folder, RunRecord(model=engine.bed.model.facts)) as journal:
        visits = [Visit(cell, place) for place, cell in enumerate((slow, fast, fast, fast))]
        assert [one.error for one in engine.measure(visits, journal)] == [None] * 4
        engine.bed.shape(slow.links)  # for a cell that failed before its link was proved
        assert [one.error for one in engine.measure([Visit(fast, 4)], journal)] == [None]
    # before and after each; the third visit ends with a fault
    known = [None, None, None, None, said[3], *[None] * 5]
    assert asked == [*zip((20, 20, *[50] * 8), known, strict=True)]
