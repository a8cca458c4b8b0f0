"""The search for a codec's number: how noisy accuracy is taken, and what a run makes of it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from orchestrator.ask.sweep.cell import Visit
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.measure.dials.finding import dialled_cells
from orchestrator.measure.dials.search import first_within
from orchestrator.measure.engine import Engine
from orchestrator.measure.sweep import measure_cells
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import DIALS_FILE, RunFolder
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.testbed import Testbed as Bed
from splitbed.errors import RunError, UsageError
from tests.node.loopback import loopback_link, loopback_pair, proved_as_asked

LADDER = (10, 30, 50, 75, 90)


def search(order: Sequence[int], beyond: Callable[[int], float]) -> tuple[int | None, list[int]]:
    tried: list[int] = []

    def looked_at(step: int) -> float:
        tried.append(step)
        return beyond(step)

    return first_within(order, LADDER, looked_at), tried


@pytest.mark.parametrize("first", [1, 2, 10, 11, 42, 74, 75, 76, 99, 100])
def test_the_first_within_is_found_to_a_fiftieth_in_few_tries(first: int) -> None:
    found, tried = search(range(1, 101), lambda step: first - step - 0.5)
    assert found is not None
    assert first <= found <= first + 2
    assert len(tried) == len({*tried}) <= 6 + 6


def test_what_is_noise_decides_nothing_alone() -> None:
    lucky = {30: -5.0}  # where all about it is beyond the target
    assert (search(range(1, 101), lambda step: lucky.get(step, 60 - step))[0] or 0) > 50
    unlucky = {75: 5.0}  # where all about it is within
    assert (search(range(1, 101), lambda step: unlucky.get(step, 20 - step))[0] or 100) < 30


def test_nothing_is_found_where_all_is_beyond() -> None:
    assert search(range(1, 101), lambda step: 101 - step)[0] is None


def test_an_order_may_go_down() -> None:
    assert search(range(100, 0, -1), lambda step: step - 33)[0] == 33


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with proved_as_asked(), loopback_pair(tmp_path_factory.mktemp("dials")) as (pair, model):
        yield Bed(model, loopback_link(), pair, Interruption())


def asked(bed: Bed, **options: object) -> SweepConfig:
    usual = {"model": bed.model.name, "split": "2:4", "bw": 20, "delivery": False, "runs": 3}
    return sweep_config(usual | {"profile": False, "codec": "jpeg,int8"} | options)


def test_a_run_has_the_finest_number_within_the_rate_and_goes_on_with_it(
    bed: Bed, tmp_path: Path
) -> None:
    config = asked(bed, target_kbit=6)
    cells, dials = dialled_cells(config, bed.model, lambda _: None)
    (one,) = dials.dials
    sizes = {tried.codec: tried.kbit for tried in one.tried}
    finer = min(int(codec[5:]) for codec in sizes if int(codec[5:]) > int(one.found.codec[5:]))
    assert one.found.kbit <= 6 < sizes[f"jpeg:{finer}"]
    assert one.found.drop is not None  # of a rate alone nobody would know what it costs
    codecs = [cell.configuration.codec for cell in cells if cell.configuration.k == 2]
    assert codecs == [one.found.codec, "int8"]

    folder = RunFolder(tmp_path)
    folder.replace(DIALS_FILE, dials.json())
    split = [cell for cell in cells if cell.configuration.k == 2]
    outcome = measure_cells(config, split, bed, folder, Watcher())
    rows = {row.codec: row for row in outcome.rows}
    assert rows[one.found.codec].target == "6 kbit"
    assert rows[one.found.codec].target_kbit == one.found.kbit
    assert rows[one.found.codec].target_drop == one.found.drop
    assert rows[one.found.codec].frame_kbit == pytest.approx(one.found.kbit, rel=0.5)
    assert rows["int8"].target is None
    again, kept = dialled_cells(config, bed.model, pytest.fail, tmp_path)
    assert (again, kept) == (cells, dials)


def test_a_klt_has_the_finest_number_within_a_rate_and_the_coarsest_within_a_loss(bed: Bed) -> None:
    (of_rate,), (of_loss,) = (
        dialled_cells(asked(bed, codec="klt", **target), bed.model, lambda _: None)[1].dials
        for target in ({"target_kbit": 4}, {"target_drop": 0.02})
    )

    def number(codec: str) -> int:
        return int(codec.removeprefix("klt:"))

    assert of_rate.found.kbit <= 4
    finer = [one for one in of_rate.tried if number(one.codec) < number(of_rate.found.codec)]
    assert finer
    assert all(one.kbit > 4 for one in finer)
    assert 0 < (of_loss.found.drop or 0) <= 0.02
    coarsest = max(of_loss.tried, key=lambda one: number(one.codec))
    assert number(coarsest.codec) > number(of_loss.found.codec)
    assert (coarsest.drop or 0) > 0.02
    assert of_loss.found.kbit < of_rate.found.kbit


def test_a_cell_whose_target_no_number_reaches_fails_and_names_the_nearest(
    bed: Bed, tmp_path: Path
) -> None:
    config = asked(bed, target_kbit=0.1)
    cells, dials = dialled_cells(config, bed.model, lambda _: None)
    (tmp_path / DIALS_FILE).write_text(dials.json())
    engine = Engine(config, bed, RunFolder(tmp_path), Watcher())
    missed = [cell for cell in cells if cell.configuration.codec.startswith("jpeg")]
    with Journal(engine.folder, RunRecord(model=bed.model.facts)) as journal:
        (record,) = engine.measure([Visit(cell) for cell in missed], journal)
    assert record.error is not None
    assert "no number of jpeg reaches --target-kbit 0.1" in record.error
    assert "the nearest, jpeg:1, takes" in record.error


def test_numbers_of_a_run_that_cannot_be_read_are_not_searched_anew(
    bed: Bed, tmp_path: Path
) -> None:
    (tmp_path / DIALS_FILE).write_text("{")
    with pytest.raises(RunError, match=r"dials\.json.*cannot be read.*start a new run"):
        dialled_cells(asked(bed, target_kbit=6), bed.model, pytest.fail, tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target_drop": 0.1, "target_kbit": 2, "codec": "jpeg"}, "give one of them"),
        ({"target_drop": 0.1, "codec": "jpeg:50,int8"}, "leaves none open: give .*jpeg, "),
        ({"target_kbit": 0}, "--target-kbit 0"),
    ],
)
def test_a_target_of_no_use_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        sweep_config({"model": "shapesnet"} | options)
