"""Scenarios as files: what is shown, and what is refused."""

from pathlib import Path

import pytest
import yaml

from orchestrator.ask.scenario_file import HEADINGS, load_scenario
from tests.orchestrator.commands import orchestrate


def test_the_template_of_clause_3_is_filled_in() -> None:
    done = orchestrate("scenario", "show", "10.2")
    assert done.code == 0
    assert done.out.startswith("# 10.2 Split inferencing for human pose estimation")
    for heading in HEADINGS.values():
        assert f"## {heading}\n" in done.out
    assert "3,313,907" in done.out


def test_the_scenario_is_the_sweep_of_the_clause() -> None:
    config = load_scenario("10.2").config()
    assert (config.model, config.split, config.bw) == ("posenet", "all", (5, 20, 100))
    assert config.delivery
    assert config.profile


def test_a_copy_can_be_changed_and_shown(tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    text = orchestrate("scenario", "show", "10.2", "--yaml").out
    copy.write_text(text.replace("bw: [5, 20, 100]", "bw: 50"))
    assert load_scenario(str(copy)).config().bw == (50,)
    assert orchestrate("scenario", "show", str(copy)).code == 0


def test_only_what_is_filled_in_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(yaml.safe_dump({"clause": "x", "name": "short", "sweep": {"model": "ssd300"}}))
    assert orchestrate("scenario", "show", str(file)).out == "# x short\n"


def test_a_scenario_that_splits_a_model_takes_no_coder(tmp_path: Path) -> None:
    done = orchestrate("scenario", "run", "10.2", "--coder", "int8", "--out", str(tmp_path / "run"))
    assert done.code == 2
    assert "10.2 splits one" in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clause: [", "is not YAML"),
        ("just words", "is not a mapping"),
        ("{clause: x, name: y}", "sweep"),
        ("{clause: x, name: y, sweep: {model: ssd300}, colour: red}", "colour"),
        ("{clause: x, name: y, sweep: {model: ssd300, speed: 5}}", "no option 'speed'"),
        ("{clause: x, name: y, sweep: {model: ssd300, bw: fast}}", "fast"),
        ("{clause: x, name: y, sweep: {model: nobody}}", "nobody"),
        ("{clause: x, name: y, sweep: {model: posenet, split: '40:1'}}", "last label is 31:0"),
        ("{clause: x, name: y, sweep: {model: posenet}, verify: {split: '9:9'}}", "adds up to 18"),
        ("{clause: x, name: y, sweep: {model: posenet}, annotations: no.json}", "no.json"),
    ],
)
def test_a_scenario_that_cannot_be_run_is_refused_and_leaves_nothing(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    done = orchestrate("scenario", "run", str(file), "--out", str(tmp_path / "out"))
    assert done.code == 2
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "9.9"], "choose 10.1, 10.2"),
        (["run", "10.2", "--images", "none.png"], "none.png"),
        (["run", "10.2", "--bw", "0"], "--bw 0: "),
        (["run", "none", "--resume"], "no scenario was begun there"),
        (["run", "none", "--resume", "--bw", "5"], "give no others"),
    ],
)
def test_a_command_that_cannot_be_is_refused(words: list[str], says: str) -> None:
    done = orchestrate("scenario", *words)
    assert done.code == 2
    assert says in done.err
