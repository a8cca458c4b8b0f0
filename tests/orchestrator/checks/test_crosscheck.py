"""When two runs of different people agree, and when they do not."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.checks.crosscheck import CrossCheck, crosscheck
from orchestrator.checks.tolerances import Tolerance, read_tolerances
from orchestrator.results.reading import read
from orchestrator.results.rows import COLUMNS
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import UsageError
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.made_runs import MODEL, NODE, PICTURE, made_run
from tests.orchestrator.results.test_summary import PROOF, add_cell
from tests.orchestrator.written import change_run, write_run


def checked(tmp_path: Path, **b: Any) -> CrossCheck:
    """A run against one that is made otherwise."""
    return held(made_run(tmp_path / "a"), made_run(tmp_path / "b", **b))


def held(a: RunFolder, b: RunFolder) -> CrossCheck:
    """Two runs, by the usual tolerances."""
    return crosscheck(read(a.path), read(b.path), read_tolerances(None))


def differing(found: CrossCheck) -> str:
    """All that differs, in words."""
    return " | ".join(
        f"{c.what}: {c.words()}" for c in (*found.same, *found.rows) if c.differs or c.times
    )


def test_two_runs_of_the_same_agree(tmp_path: Path) -> None:
    found = checked(tmp_path, scale=1.04)
    assert found.agreed, differing(found)
    assert found.verdicts["timing"][1] == (
        f"REPRODUCED: B ({tmp_path / 'b'}) reproduces the times of A ({tmp_path / 'a'}) in 3 of 3 "
        "rows; B's end-to-end times are 1.040 times A's (1.040 to 1.040)"
    )


def test_bytes_can_be_reproduced_where_times_are_not(tmp_path: Path) -> None:
    found = checked(tmp_path, scale=1.3)
    assert [word for word, _ in found.verdicts.values()] == ["REPRODUCED", "DIFFERS"]
    other = held(RunFolder(tmp_path / "b"), RunFolder(tmp_path / "a"))
    assert "B's end-to-end times are 1.300 times A's" in found.verdicts["timing"][1]
    assert "B's end-to-end times are 0.769 times A's" in other.verdicts["timing"][1]


def test_times_can_be_reproduced_where_bytes_are_not(tmp_path: Path) -> None:
    found = checked(tmp_path, intermediate_bytes=1001)
    assert [word for word, _ in found.verdicts.values()] == ["DIFFERS", "REPRODUCED"]


def test_a_row_whose_link_failed_says_nothing_against_its_bytes(tmp_path: Path) -> None:
    failed = PROOF | {"tcp": None, "fault": "uplink 19.2 of 20 Mbit/s"}
    runs = [made_run(tmp_path / name) for name in "ab"]
    for folder, proofs in zip(runs, (PROOF, failed), strict=True):
        add_cell(folder, "2:2", [51.0] * 3, encoded_bytes=30_000, proofs=[proofs, proofs])
    found = held(*runs)
    assert (found.deterministic, found.timing) == (True, False), differing(found)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"sha256": "e" * 64}, "model sha256"),
        ({"md5": "e" * 32}, "model md5"),
        ({"inputs": [PICTURE | {"sha256": "e" * 64}]}, "input 0"),
        ({"inputs": []}, "1 and 0 of them"),
    ],
)
def test_another_model_or_input_differs(tmp_path: Path, model: Any, says: str) -> None:
    found = checked(tmp_path, run={"model": MODEL | {"inputs": [PICTURE]} | model})
    assert not found.agreed
    assert says in differing(found)


def test_a_size_differs_by_a_single_byte(tmp_path: Path) -> None:
    found = checked(tmp_path, intermediate_bytes=1001)
    assert "intermediate_bytes 1000 and 1001 (exact)" in differing(found)


def test_a_time_beyond_its_tolerance_differs_with_both_values(tmp_path: Path) -> None:
    found = checked(tmp_path, scale=1.3)
    assert "e2e_ms 101 and 131.3 (± 5 or 10 %)" in differing(found)


BLOCKS = 5


@pytest.mark.parametrize(
    ("slower", "kept"),
    [
        ((1.15, 1.14, 1.16, 1.15, 1.14), False),
        ((1.15, 1.45, 0.95, 1.3, 0.9), True),  # 15 % in the middle, and anything from run to run
        ((1.05, 1.04, 1.06, 1.05, 1.04), True),
    ],
)
def test_of_rows_with_blocks_in_both_runs_a_time_differs_where_the_blocks_say_so(
    tmp_path: Path, slower: tuple[float, ...], kept: bool
) -> None:
    runs = [in_blocks(tmp_path / "a", (1.0,) * BLOCKS), in_blocks(tmp_path / "b", slower)]
    found = held(*runs)
    assert found.timing is kept, differing(found)
    assert ("over 5 blocks" in differing(found)) is not kept


def in_blocks(path: Path, scales: tuple[float, ...]) -> RunFolder:
    """A run of one cell, whose frames in each block take so many times as long."""
    path.mkdir()
    folder = RunFolder(path)
    asked = {"model": "m.onnx", "bw": [8], "blocks": BLOCKS}
    told = {"model": MODEL, "conditions": {"ue": NODE, "edge": NODE}, "verdict": "VALID"}
    write_run(folder, asked=asked, **told)
    for block, scale in enumerate(scales):
        times_ms = [scale * ms for ms in (300.0, 301.0, 302.0)]
        add_cell(folder, "1:1", times_ms, block=block, attempt=f"block {block}", encoded_bytes=1000)
    return folder


def test_of_a_lossless_codec_the_bytes_sent_differ_by_a_single_one(tmp_path: Path) -> None:
    found = checked(tmp_path, encoded_bytes=30_001)
    assert "encoded_bytes 30000 and 30001 (exact)" in differing(found)


def test_of_other_machines_what_processors_take_is_not_compared(tmp_path: Path) -> None:
    faster = {"conditions": {"ue": NODE | {"cpu": "another"}, "edge": NODE}}
    found = checked(tmp_path, scale=1.3, run=faster)
    assert not found.same_machine
    assert "e2e_ms" not in differing(found)
    assert "network_ms" in differing(found)  # the link was asked to be the same
    assert any("the machines differ" in remark for remark in found.remarks)


def test_an_accuracy_beyond_its_tolerance_differs(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / name) for name in "ab"]
    whole = {"metric": "AP", "value": 1.0}
    for folder, value in zip(runs, (0.9, 0.88), strict=True):
        change_run(folder, whole_accuracy=whole)
        add_cell(folder, "2:2", [60.0] * 3, lossless=False, accuracy=whole | {"value": value})
    found = held(*runs)
    assert "accuracy 0.9 and 0.88 (± 0.005)" in differing(found)


def test_a_row_that_one_lacks_or_that_is_not_valid_differs(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / name) for name in "ab"]
    add_cell(runs[0], "2:2", [10.0] * 3)
    add_cell(runs[0], "3:1", [10.0] * 3)
    add_cell(runs[1], "3:1", [], error="the ue node died")
    found = held(*runs)
    assert f"{runs[1].path} does not have it" in differing(found)
    assert "not valid in B: the ue node died" in differing(found)


def test_the_command_exits_1_when_runs_differ_and_0_when_they_agree(tmp_path: Path) -> None:
    a, b, c = (
        str(made_run(tmp_path / name, scale=s).path) for name, s in (("a", 1), ("b", 1), ("c", 2))
    )
    assert orchestrate("crosscheck", a, b).code == 0
    done = orchestrate("crosscheck", a, c)
    assert done.code == 1
    assert f"timing: DIFFERS: B ({c}) reproduces the times of A ({a}) in 0 of 3 rows" in done.out
    told = json.loads(orchestrate("crosscheck", a, c, "--json").out)
    assert told["agreed"] is False
    assert told["deterministic"]["verdict"] == "REPRODUCED"
    assert told["timing"]["verdict"] == "DIFFERS"


def test_tolerances_of_a_file_go_before_the_usual_ones(tmp_path: Path) -> None:
    a, b = (str(made_run(tmp_path / name, scale=s).path) for name, s in (("a", 1), ("b", 1.3)))
    wide = tmp_path / "wide.yaml"
    names = ("e2e_ms", "network_ms", "speedup_vs_best_anchor")
    wide.write_text("metrics:\n" + "".join(f"  {name}: {{relative: 0.5}}\n" for name in names))
    assert orchestrate("crosscheck", a, b).code == 1
    assert orchestrate("crosscheck", a, b, "--tolerances", str(wide)).code == 0


def test_a_scenario_has_its_own_tolerances(tmp_path: Path) -> None:
    usual = read_tolerances(None)
    assert usual.of("10.2")["accuracy"] == Tolerance(absolute=0.001)
    assert usual.of("10.2")["e2e_ms"] == usual.of(None)["e2e_ms"]
    (tmp_path / "scenario.yaml").write_text('clause: "10.2"\n')
    assert read(made_run(tmp_path / "sweep").path).clause == "10.2"


def test_every_tolerance_is_of_a_column() -> None:
    usual = read_tolerances(None)
    assert set(usual.metrics) <= set(COLUMNS)


def test_a_scenario_without_tolerances_is_refused(tmp_path: Path) -> None:
    run = str(made_run(tmp_path / "a").path)
    done = orchestrate("crosscheck", run, run, "--scenario", "9.9")
    assert done.code == 2
    assert "choose 10.2, 10.3" in done.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("metrics: {e2e_ms: {relative: -1}}", "greater than or equal to 0"),
        ("metrics: {speed: {relative: 1}}", "does not have: speed"),
        ("metrics: [", "is not YAML"),
        ("- 1", "cannot be used"),
    ],
)
def test_tolerances_that_cannot_be_are_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "tolerances.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_tolerances(file)


@pytest.mark.parametrize("both", [True, False])
def test_of_a_load_that_was_not_sustained_no_times_are_held_against_it(
    tmp_path: Path, both: bool
) -> None:
    a, b = (
        read(made_run(tmp_path / name, scale=scale).path) for name, scale in (("a", 1), ("b", 3))
    )
    for reading in (a, b) if both else (b,):
        for point, row in reading.by_point.items():
            reading.by_point[point] = replace(row, sustained=False)
    found = crosscheck(a, b, read_tolerances(None))
    assert found.timing is both
    assert found.deterministic
    assert {row.times for row in found.rows} == {() if both else ("not sustained in B alone",)}
    assert not found.ratios


@pytest.mark.parametrize("elsewhere", [False, True])
def test_codecs_that_were_fitted_to_other_tables_are_told(tmp_path: Path, elsewhere: bool) -> None:
    cpu = {"cpu": "another"} if elsewhere else {}
    conditions = {"conditions": {"ue": NODE | cpu, "edge": NODE}}
    a, b = made_run(tmp_path / "a"), made_run(tmp_path / "b", run=conditions)
    for folder, sha256 in ((a, "1" * 64), (b, "2" * 64)):
        row = {"cut": 2, "stage": "klt:100", "tensor": "x", "sha256": sha256}
        told = {"frames": [], "ranges": {}, "tables": [row]}
        folder.replace("calibration.json", json.dumps(told))
    found = held(a, b)
    tables = "tables of klt:100 for x at cut 2 sha256"
    notes = [note for note in found.notes if f"{tables} differ: 111" in note]
    # those of other machines are rounded otherwise, which is no fault
    assert bool(notes) == elsewhere
    assert (f"{tables}: " in differing(found)) != elsewhere
