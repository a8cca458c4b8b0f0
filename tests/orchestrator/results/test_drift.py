"""Whether a drift is told: when there is one, and when there is none."""

from pathlib import Path

import numpy as np
import pytest

from orchestrator.results.journal import Journal
from orchestrator.results.records import Drift
from orchestrator.results.run_folder import PROFILE_FILE, RunFolder
from orchestrator.results.statistics.drift import MAX_P, drift, drift_advice
from tests.orchestrator.measure.test_profile import profile
from tests.orchestrator.results.test_summary import PROOF, SPEC
from tests.orchestrator.written import add_cell_line, add_frame, made_row, write_run

TCP = {"congestion_control": "cubic", "retransmits": 0, "cwnd_segments": 10}
CELLS, EVERY_S, LAYERS = 6, 20, 9


def measured(
    path: Path,
    splits: int,
    slope_per_min: float = 0,
    of_split: float = 0,
    seed: int = 0,
    room: int = 1,
) -> Drift:
    """The drift of a run whose parts take longer by a share a minute, beside noise of 2 %.

    Each split takes longer than the one before by the share `of_split`, without a cause in time.
    So many splits as there is `room` for are measured in random order among themselves.
    """
    path.mkdir(exist_ok=True)
    folder = RunFolder(path)
    write_run(folder, model={"name": "m", "weights": "seeded (seed 0)"})
    rng = np.random.default_rng(seed)
    noise = rng.normal(1, 0.02, splits * CELLS)
    cells = np.arange(splits * CELLS)
    order = [rng.permutation(group) for group in np.split(cells, cells[:: room * CELLS][1:])]
    for turn, (place, factor) in enumerate(zip(np.concatenate(order).tolist(), noise, strict=True)):
        start_ns = turn * EVERY_S * 10**9
        slower = slope_per_min * turn * EVERY_S / 60 + of_split * (place // CELLS)
        took_ns = round(20e6 * factor * (1 + slower))
        names = ("part1", "encode", "uplink", "decode", "part2", "result", "downlink")
        lasts_ns = (took_ns // 2, 0, 40_000_000, 0, took_ns // 2, 0, 0)
        ends = start_ns + np.cumsum((0, *lasts_ns))
        stages = [[n, int(a), int(b)] for n, a, b in zip(names, ends, ends[1:], strict=False)]
        k = place // CELLS
        key, split = f"{k}, {place % CELLS}", f"{k}:{LAYERS - k}"
        add_frame(
            folder,
            {"attempt": key, "frame": 0, "stages": stages, "encoded_bytes": 1000}
            | {"result_bytes": 0, "max_abs_diff": 0.0},
        )
        add_cell_line(
            folder,
            {"key": key, "attempt": key, "split": split, "split_name": key}
            | {"intermediate_tensors": 1, "intermediate_bytes": 1000, "error": None}
            | {
                "link": SPEC.model_dump(),
                "link_backend": "linkbox",
                "proofs": [PROOF | {"tcp": TCP}],
            },
        )
    journal = Journal(folder, folder.read_run())
    together = [visit.cell.layers[0] // room for visit in journal.visits]
    return drift(journal.visit_rows, [visit.began_ns for visit in journal.visits], together)


def profiled(folder: Path) -> None:
    """Predicts 20 ms for every cut, as they are without a drift."""
    layers = (20 / 1.5 / LAYERS,) * LAYERS
    (folder / PROFILE_FILE).write_text(profile(layers, layers).model_dump_json())


def test_a_run_whose_nodes_slow_down_is_told_so(tmp_path: Path) -> None:
    found = measured(tmp_path / "run", splits=4, slope_per_min=0.05)
    assert found.p is not None
    assert found.p < MAX_P
    assert found.pct_per_10_min == pytest.approx(40, abs=15)  # of 50, less as times grow
    assert "drifted while the run measured" in drift_advice(found)[0]


def test_noise_is_no_drift(tmp_path: Path) -> None:
    found = [measured(tmp_path / str(seed), splits=4, seed=seed) for seed in range(5)]
    assert [drift_advice(one) for one in found] == [()] * 5
    assert all(one.p is not None and one.p > MAX_P for one in found)


def test_splits_that_the_profile_tells_wrongly_are_no_drift(tmp_path: Path) -> None:
    profiled(tmp_path)
    found = measured(tmp_path, splits=4, of_split=0.05)
    assert found.rho is not None
    assert found.rho > 0.8
    # four splits fall into the order of their errors once in twelve times, up or down
    assert found.p is not None
    assert found.p > MAX_P
    assert drift_advice(found) == ()


def test_a_profile_shows_a_drift_across_splits(tmp_path: Path) -> None:
    profiled(tmp_path)
    found = measured(tmp_path, splits=7, slope_per_min=0.01)
    assert found.p is not None
    assert found.p < MAX_P
    assert found.pct_per_10_min == pytest.approx(10, abs=2)


def test_a_drift_is_told_from_splits_that_the_profile_tells_wrongly(tmp_path: Path) -> None:
    profiled(tmp_path)
    drifted = measured(tmp_path, splits=5, slope_per_min=0.03, of_split=0.03, room=5)
    assert drifted.p is not None
    assert drifted.p < MAX_P


def test_without_a_profile_a_slow_drift_shows_in_splits_that_come_back(tmp_path: Path) -> None:
    found = measured(tmp_path, splits=5, slope_per_min=0.01, of_split=0.05, room=5)
    assert found.p is not None
    assert found.p < MAX_P
    assert found.pct_per_10_min == pytest.approx(10, abs=5)


@pytest.mark.parametrize("room", [1, 2, 5])
def test_as_few_orders_go_with_the_time_by_chance_as_p_says(tmp_path: Path, room: int) -> None:
    profiled(tmp_path)
    p = [measured(tmp_path / str(i), 5, of_split=0.05, seed=i, room=room).p for i in range(20)]
    assert sum(one is not None and one < 0.1 for one in p) <= 6  # 2 of 20; of more, 1 in 400


def test_few_cells_tell_nothing(tmp_path: Path) -> None:
    found = measured(tmp_path / "run", splits=1, slope_per_min=1.0)
    assert found.p is None
    assert found.words == "too few cells to tell (6)"
    assert drift_advice(found) == ()


def share_told(slower: float, room: int, profile: bool) -> float:
    """Of 100 runs of 17 splits over 3 links whose nodes got slower by so much: those told so.

    Cells vary by 2 %, and the profile tells each split wrongly by 5 % or so.
    """
    rng, told = np.random.default_rng(1), 0
    for _ in range(100):
        firsts = range(0, 51, 3 * room)
        order = np.concatenate([rng.permutation(np.arange(51)[i : i + 3 * room]) for i in firsts])
        wrong = rng.normal(1, 0.05, 17)
        rows = [
            made_row(
                valid=True,
                split=f"{place // 3}:9",
                part1_ms=100 * wrong[place // 3] * rng.normal(1, 0.02) * (1 + slower * turn / 50),
                part2_ms=0.0,
                **{f"part{part}_predicted_ms": 50.0 if profile else None for part in (1, 2)},
            )
            for turn, place in enumerate(order.tolist())
        ]
        began_ns = [turn * EVERY_S * 10**9 for turn in range(len(rows))]
        found = drift(rows, began_ns, [place // (3 * room) for place in order.tolist()])
        told += bool(drift_advice(found))
    return told / 100


WAYS = pytest.mark.parametrize(("room", "profile"), [(17, True), (17, False), (6, True)])


@WAYS
def test_of_runs_whose_nodes_get_slower_by_a_tenth_nearly_all_are_told(
    room: int, profile: bool
) -> None:
    assert share_told(0.1, room, profile) >= (0.95 if room == 17 else 0.4)


@WAYS
def test_of_runs_whose_nodes_do_not_at_most_5_per_cent_are(room: int, profile: bool) -> None:
    assert share_told(0.0, room, profile) <= 0.05
