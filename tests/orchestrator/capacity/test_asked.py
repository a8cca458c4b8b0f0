"""What a search is asked: the words of its command, and the same again from its folder."""

from pathlib import Path

import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.capacity.asked import Capacity, capacity, capacity_or_resumed
from orchestrator.capacity.search import Scale
from orchestrator.results.kinds import CAPACITY
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.model import SweptModel, load_model
from splitbed.errors import UsageError
from tests.node.loopback import small_model

SLO = {"slo": ["e2e_p99<100ms"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SweptModel:
    folder = tmp_path_factory.mktemp("model")
    (stored := folder / "stored").mkdir()
    return load_model(sweep_config({"model": str(small_model(folder / "small.onnx"))}), stored)


def asked(**options: object) -> Capacity:
    return capacity({"model": "shapesnet", **options}, SLO)


def test_a_rate_is_searched_unless_numbers_of_ues_are() -> None:
    assert (asked().over, asked().kind, asked().config.in_flight) == ("fps", "fps", 8)
    assert asked(ues="1,4").over == "fps" and asked(ues="1,4").config.ues == (1, 4)
    crowd = asked(load="poisson:10", ues="2:5")
    assert (crowd.over, crowd.fps_each, crowd.config.ues) == ("ues", 10, (2, 3, 4, 5))
    assert crowd.counts == Scale(2, 2, 5, whole=True)
    assert asked(flow="remote-source").config.flow == "remote-source"


@pytest.mark.parametrize(
    ("options", "searched"),
    [
        ({"split": "single"}, ["0:6", "1:5", "2:4", "4:2", "5:1", "6:0"]),
        ({"split": "2:4"}, ["2:4"]),
        ({"split": "2:4,0:6"}, ["0:6", "2:4"]),
        ({"split": "2:4", "flow": "remote-source"}, ["2:4"]),
        ({"split": "2:4", "private_layers": 3}, ["3:3", "2:4"]),
    ],
    ids=str,
)
def test_of_the_anchors_those_are_searched_that_are_asked_for(
    options: dict[str, object], searched: list[str], model: SweptModel
) -> None:
    wanted = capacity({"model": model.name, "bw": "5", **options}, SLO)
    found = wanted.searched(plan_cells(wanted.config, model), model)
    assert [cell.configuration.split for cell in found] == searched


def test_a_codec_of_an_input_that_crosses_nowhere_is_refused(model: SweptModel) -> None:
    def searched(split: str) -> int:
        options = {"model": model.name, "bw": "5", "input_codec": "zstd,raw", "split": split}
        wanted = capacity(options, SLO)
        return len(wanted.searched(plan_cells(wanted.config, model), model))

    with pytest.raises(UsageError, match=r"--input-codec zstd,raw .* as 0:6 is, or leave it"):
        searched("2:4")
    assert searched("2:4,0:6") == 3


def test_the_first_rate_is_half_of_what_one_after_another_comes_to() -> None:
    scale = asked().rates(alone_ms=40)
    assert (scale.first, scale.most) == (12.5, 1000)
    assert 0 < scale.least < scale.first


def test_a_run_has_the_frames_that_its_limits_take_and_lasts() -> None:
    # of 299 frames that must come 1 % more are offered, since so many may be lost
    assert asked().frames(1) == 303
    assert asked().frames(100) == 1000


@pytest.mark.parametrize(
    "options",
    [
        {"load": "closed"},
        {"load": "burst:8/1"},
        {"load": "fps:30"},
        {"ues": "1:32"},
        {"load": "fps:10", "ues": "5:1"},
        {"load": "fps:10", "ues": "0:4"},
        {"load": "fps:x", "ues": "1:4"},
        {"ues": "many"},
    ],
    ids=str,
)
def test_what_cannot_be_searched_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"--(load|ues)|ues"):
        asked(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delivery": True}, "a search has no option 'delivery'"),
        ({"profile": True}, "a search has no option 'profile'"),
        ({"runs": 3}, "a search has no option 'runs'"),
        ({"budget": "1m"}, "a search has no option 'budget'"),
        ({"foo": 1}, "a search has no option 'foo'"),
        ({"load": "fps:5", "ues": "1:99"}, "^--ues 1:99: 64 are the most: give 1:64$"),
    ],
    ids=str,
)
def test_what_a_search_is_not_asked_is_refused_by_what_was_given(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        asked(**options)


@pytest.mark.parametrize(
    "own",
    [{}, {"slo": []}, SLO | {"seconds": 0}, SLO | {"within": 1}, SLO | {"drop_rate": "none"}],
    ids=str,
)
def test_what_must_hold_is_said_and_can_be(own: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="--"):
        capacity({"model": "shapesnet"}, own)


@pytest.mark.parametrize(
    "options",
    [{"bw": "5,20", "codec": "int8"}, {"load": "poisson:10", "ues": "1:4"}, {"ues": "1,4"}],
    ids=str,
)
def test_a_folder_says_what_was_asked(options: dict[str, object], tmp_path: Path) -> None:
    wanted = capacity(
        {"model": "shapesnet", **options}, SLO | {"seconds": 3.0, "drop_rate": "<=5%"}
    )
    folder = RunFolder(tmp_path)
    folder.write_run(RunRecord(asked=wanted.config.model_dump(mode="json")))
    folder.replace(CAPACITY.asked_file, wanted.record().json())
    again = capacity_or_resumed(None, tmp_path, {}, {})
    assert again.config.model_dump() == wanted.config.model_dump()
    assert again.record() == wanted.record()
    with pytest.raises(UsageError, match="give no others"):
        capacity_or_resumed(None, tmp_path, {}, SLO)


def test_a_folder_of_another_kind_is_no_search(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_run(RunRecord(asked={"model": "shapesnet"}))
    with pytest.raises(UsageError, match="is no run of orchestrate capacity"):
        capacity_or_resumed(None, tmp_path, {}, {})


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"slo": ["e2e_p99<1s,e2e_p99.999<2s"]}, "--slo e2e_p99.999<2s: it takes 302"),
        (SLO | {"drop_rate": "<0.001%"}, "--drop-rate <0.001%: it takes 200,000"),
    ],
)
def test_what_takes_more_frames_than_a_run_has_is_refused(
    own: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError) as refused:
        capacity({"model": "shapesnet"}, own)
    assert told in str(refused.value)
