"""The door for programs, over a real link: what a script or a notebook gets."""

import os
import signal
from pathlib import Path

import psutil
import pytest

import splitbed
from tests.fork_server import no_fork_server
from tests.node.loopback import LAYERS, small_model
from tests.shared_machine import blames_the_machine

__all__ = ["no_fork_server"]

pytestmark = pytest.mark.usefixtures("backend")

RUNS = 3


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (temporary := tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return small_model(tmp_path / "small.onnx")


def nothing_is_left(tmp_path: Path) -> bool:
    nodes = [p for p in psutil.Process().children(recursive=True) if p.status() != "zombie"]
    return not nodes and not any((tmp_path / "tmp").glob("splitbed-*"))


def test_what_a_follower_raises_or_leaves_ends_the_sweep_which_can_be_gone_on_with(
    model: Path, tmp_path: Path
) -> None:
    def fail(step: splitbed.Step) -> None:
        if step.kind == "frame":
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        splitbed.sweep(
            model,
            split="2:4",
            bw=[20],
            runs=RUNS,
            profile=False,
            out=tmp_path / "run",
            progress=fail,
        )
    assert nothing_is_left(tmp_path)
    assert not splitbed.open_run(tmp_path / "run").verdict.valid

    for step in splitbed.follow(resume=tmp_path / "run"):
        if step.kind == "done":
            break
    assert step.folder == tmp_path / "run"
    assert len(splitbed.open_run(step.folder).rows) >= 1
    assert nothing_is_left(tmp_path)

    steps: list[splitbed.Step] = []
    run = splitbed.sweep(resume=step.folder, progress=steps.append)
    assert all(map(blames_the_machine, run.verdict.reasons)), run.verdict.reasons
    assert {row.split for row in run.rows} == {f"0:{LAYERS}", "2:4", f"{LAYERS}:0"}
    frames = run.to_pandas(frames=True)
    crossed = frames[frames["split"] == "2:4"]
    for node in ("ue", "edge"):
        assert (crossed[f"{node}_voluntary_switches"] > 0).all()
        assert (crossed[f"{node}_rss_bytes"] > 10e6).all()
    done = [one.done for one in steps if one.kind == "done"]
    # three cells, the anchors once more, and what was disturbed
    assert done == [*range(1, len(done) + 1)]
    assert len(done) >= 5
    assert sum(one.kind == "frame" for one in steps) >= 4 * RUNS <= len(run.frames)
    assert nothing_is_left(tmp_path)


def test_ctrl_c_ends_a_sweep_and_all_is_cleaned_up(model: Path, tmp_path: Path) -> None:
    def interrupt(step: splitbed.Step) -> None:
        if step.kind == "cell":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as raised:
        splitbed.sweep(model, bw=20, profile=False, out=tmp_path / "run", progress=interrupt)
    assert f"resume={str(tmp_path / 'run')!r}" in raised.value.__notes__[0]
    assert nothing_is_left(tmp_path)


def test_nodes_are_profiled_and_a_plan_made_of_that(model: Path, tmp_path: Path) -> None:
    taken = splitbed.profile(model, out=tmp_path / "profile.csv")
    assert len(taken.ue.layers) == LAYERS
    assert (tmp_path / "profile.csv").exists()
    (tmp_path / "profile.json").write_text(taken.model_dump_json())
    planned = splitbed.plan(
        model, bw=[1, 10], delay=0, profile=tmp_path / "profile.json", out=tmp_path / "plan"
    )
    assert [line["bw_mbit"] for line in planned.lines] == [1, 10]
    assert nothing_is_left(tmp_path)
