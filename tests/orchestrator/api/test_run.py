"""What a program has of a run that was measured."""

import subprocess
import sys
from pathlib import Path

import pytest

import splitbed
from netem.spec import symmetric
from orchestrator.checks.pack import pack
from orchestrator.results.rows import COLUMNS
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import UsageError
from tests.orchestrator.made_runs import made_run
from tests.orchestrator.results.test_summary import add_cell
from tests.orchestrator.written import change_run

BOLD = '<b onclick="x()">[red]'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made_run(tmp_path / "run").path


def test_importing_the_door_opens_nothing_behind_it() -> None:
    told = "import sys, splitbed; print({name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert "'splitbed'" in done.stdout
    for heavy in ("orchestrator", "netem", "numpy", "pydantic", "grpc"):
        assert f"'{heavy}'" not in done.stdout


def test_every_name_of_the_door_is_there_and_no_other() -> None:
    for name in splitbed.__all__:
        assert name in dir(splitbed)
        assert getattr(splitbed, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'sweeep'"):
        splitbed.sweeep  # type: ignore[attr-defined]  # noqa: B018


def test_a_run_has_its_rows_and_every_frame(folder: Path) -> None:
    run = splitbed.open_run(folder)
    assert [row.split for row in run.rows] == ["0:2", "1:1", "2:0"]
    assert [frame.e2e_ms for frame in run.frames][:3] == [100, 101, 102]
    assert run.frames[0].stages_ms["uplink"] == pytest.approx(90)
    assert run.verdict.valid


def test_a_run_that_has_not_ended_is_not_valid(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    change_run(made, verdict=None, grid=["0:2", "1:1", "2:0", "3:0"])
    verdict = splitbed.open_run(tmp_path).verdict
    assert not verdict.valid
    assert "1 of 4 cells were not measured" in verdict.reasons


def test_the_best_row_is_the_fastest_of_those_that_are_asked_for(folder: Path) -> None:
    run = splitbed.open_run(folder)
    assert run.best().row.split == "1:1"
    assert run.best(bw=8).row.split == "1:1"
    assert run.best(split="0:2").row.split_name == "cut 0:2"
    assert run.best(split="cut 2:0").row.split == "2:0"


def test_the_best_is_told_with_what_cannot_be_told_from_it(folder: Path) -> None:
    best = splitbed.open_run(folder).best()
    assert best.sure
    assert [rival.row.split for rival in best.rivals] == ["2:0", "0:2"]
    assert best.rivals[0].difference and 1.5 < best.rivals[0].difference.low < 81 / 51
    add_cell(RunFolder(folder), "1:2", [50.0, 51, 53.0])
    best = splitbed.open_run(folder).best()
    (rival,) = best.untold
    assert (best.sure, rival.row.split) == (False, "1:2")
    assert rival.difference and rival.difference.low <= 1 <= rival.difference.high


def test_over_several_links_there_is_no_one_best(folder: Path) -> None:
    wide = symmetric(rate_mbit=50).model_dump()
    for split, ms in (("0:2", 30.0), ("1:1", 40.0), ("2:0", 80.0)):
        key = f"{split} over another link"
        frames_ms = [ms, ms + 1, ms + 2]
        add_cell(RunFolder(folder), split, frames_ms, key=key, attempt=key, link=wide)
    run = splitbed.open_run(folder)
    with pytest.raises(UsageError, match=r"\(8 Mbit/s; 50 Mbit/s\), each with a best of its own"):
        run.best()
    assert [run.best(bw=bw).row for bw in (8, 50)] == [one.best for one in run.choices]


@pytest.mark.parametrize(
    ("where", "says"), [({"bw": 9}, "by bw=9"), ({"bandwidth": 8}, "no column bandwidth")]
)
def test_what_no_row_is_is_refused(folder: Path, where: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        splitbed.open_run(folder).best(**where)  # type: ignore[arg-type]


def test_a_run_says_how_sure_each_choice_is(folder: Path) -> None:
    run = splitbed.open_run(folder)
    (choice,) = run.choices
    assert (choice.sure, choice.best) == (True, run.best().row)
    assert [row.split for row in choice.tied] == ["1:1"]


def test_a_codec_that_costs_too_much_is_not_the_best(tmp_path: Path) -> None:
    accuracy = {"metric": "AP", "value": 0.5, "more": {}, "classes": {}}
    accuracy |= {"frames": 100, "drop": 0.4, "drop_low": 0.3, "drop_high": 0.45}
    whole = {"whole_accuracy": accuracy | {"value": 0.9}}
    made_run(tmp_path, run=whole, codec="int8", lossless=False, accuracy=accuracy)
    run = splitbed.open_run(tmp_path)
    assert run.best(max_drop=0.5).row.accuracy_drop == pytest.approx(0.4)
    with pytest.raises(UsageError, match=r"max_drop=0\.1"):
        run.best(max_drop=0.1)
    with pytest.raises(UsageError, match="is left"):
        run.best()  # what the run was asked, 0.01
    change_run(RunFolder(tmp_path), asked={"model": "m.onnx", "max_drop": 0.5})
    assert splitbed.open_run(tmp_path).best().row.accuracy_drop == pytest.approx(0.4)


def test_an_archive_opens_as_its_folder_does(folder: Path, tmp_path: Path) -> None:
    told = pack(folder, tmp_path / "run.zip", with_model=False, with_input=False)
    assert splitbed.open_run(told).rows == splitbed.open_run(folder).rows


def test_what_is_no_run_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no run"):
        splitbed.open_run(tmp_path)


def test_pandas_has_every_column_and_every_frame(folder: Path) -> None:
    run = splitbed.open_run(folder)
    table = run.to_pandas()
    assert list(table.columns) == list(COLUMNS)
    assert table["e2e_ms"].tolist() == [101, 51, 81]
    frames = run.to_pandas(frames=True)
    assert frames.groupby("split")["uplink_ms"].median().to_dict() == {
        "0:2": pytest.approx(91),
        "1:1": pytest.approx(41),
        "2:0": pytest.approx(71),
    }
    assert {"ue_sent_bytes", "edge_received_bytes"} <= {*frames.columns}


def test_a_notebook_shows_the_table_and_no_name_is_markup_in_it(tmp_path: Path) -> None:
    made_run(tmp_path, split_name=BOLD, run={"reasons": [BOLD]})
    shown = splitbed.open_run(tmp_path)._repr_html_()
    assert "81 ms" in shown
    assert "<b" not in shown
    assert shown.count("&lt;b onclick=&quot;x()&quot;&gt;[red]") == 4


def test_the_picture_has_a_bar_for_every_row(folder: Path) -> None:
    figure = splitbed.open_run(folder).plot()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "cut 0:2", "cut 1:1", "cut 2:0",
    ]  # fmt: skip
    assert [text.get_text() for text in axes.texts] == [" 101 ms", " 51 ms", " 81 ms"]
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_options_are_refused_as_the_command_line_refuses_them() -> None:
    with pytest.raises(UsageError, match="did you mean split"):
        splitbed.sweep("shapesnet", splitt="all")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="no model is named"):
        splitbed.sweep(bw=5)
    with pytest.raises(UsageError, match="give no others, as --calibration"):
        splitbed.sweep(resume="runs/x", calibration="shapes:9")
    with pytest.raises(UsageError, match="give --resume RUN"):
        splitbed.sweep("shapesnet", remeasure="invalid")
    with pytest.raises(UsageError, match="give --remeasure invalid"):
        splitbed.sweep(resume="runs/x", remeasure="slow")  # type: ignore[arg-type]


def test_a_model_is_run_here_and_its_results_are_arrays() -> None:
    found = splitbed.infer("shapesnet", input="shapes", frames=2)
    assert [*found.results] == ["000000.png", "000001.png"]
    assert found.results["000000.png"]["boxes"].shape[1] == 4
    assert found.accuracy is not None
    assert found.accuracy.value is not None
