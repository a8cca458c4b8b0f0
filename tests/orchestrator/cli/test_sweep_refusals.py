"""What a sweep refuses before anything is measured."""

from pathlib import Path

import pytest

from tests.orchestrator.commands import orchestrate


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--codec", "int9"), "int9"),
        (("--codec", "zstd+int8"), "int8"),
        (("--input-codec", "avc-inter", "--input", "shapes", "--runs", "200"), "twice"),
        (("--input-codec", "avc-inter"), "give --runs N"),
        (("--runs", "9", "--max-runs", "9"), "not both"),
        (("--threshold", "e2e_p95<1s"), "takes 59 frames"),
        (("--ue-slowdown", "0.5"), "greater than or equal to 1"),
        (("--ue-profile", "nokia-3310", "--profile"), "nokia-3310"),
        (("--input", "nowhere.mp4"), "nowhere.mp4"),
        (("--input", "shape"), "did you mean shapes?"),
        (("--flow", "chain"), "2 cuts with + between them, such as stem+stage1"),
        (("--flow", "multi-head", "--heads", "heet,sides"), "did you mean heat?"),
        (("--flow", "multi-head", "--heads", "heat"), "the outputs of ue-1, ue-2"),
        (("--heads", "heat,sides"), "the flow uplink has one"),
        (("--topology", "nowhere.yaml"), "topology nowhere.yaml: No such file"),
        (("--calibration", "nowhere.png", "--codec", "int8"), "nowhere.png"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_measured(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    out = tmp_path / "run"
    asked = ("--model", "shapesnet", "--out", str(out), "--no-profile", "--split", "stage2")
    done = orchestrate("sweep", *asked, *words)
    assert done.code == 2
    assert says in done.err
    assert not out.exists()


def test_a_topology_that_lacks_what_the_flow_needs_is_refused_by_name(tmp_path: Path) -> None:
    (file := tmp_path / "far.yaml").write_text(
        "name: far\nnodes: [ue, cloud]\nlinks: {access: {ends: [ue, cloud]}}\n"
    )
    out = tmp_path / "run"
    done = orchestrate("sweep", "--model", "shapesnet", "--out", str(out), "--topology", str(file))
    assert done.code == 2
    assert "needs a node edge and a link from ue to edge, which the topology far" in done.err
    assert not out.exists()
