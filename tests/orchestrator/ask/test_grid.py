"""The cells of a sweep: what each flow sends of a split, with which codecs, and its anchors."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.testbed.model import SweptModel, load_model
from splitbed.errors import UsageError
from tests.node.loopback import small_model

Cells = Callable[..., list[Cell]]
CODECS = {"codec": "raw,int8", "input_codec": "raw,uint8", "bw": "5,20"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("model") / "small.onnx")


@pytest.fixture(scope="module")
def model(file: Path, tmp_path_factory: pytest.TempPathFactory) -> SweptModel:
    return load_model(sweep_config({"model": str(file)}), tmp_path_factory.mktemp("stored"))


@pytest.fixture
def cells(file: Path, model: SweptModel) -> Iterator[Cells]:
    def made(**asked: object) -> list[Cell]:
        return plan_cells(sweep_config({"model": str(file), "split": "2:4"} | asked), model)

    yield made


def words(cells: list[Cell]) -> list[str]:
    return [f"{one.configuration.split} {one.configuration.codecs}" for one in cells]


@pytest.mark.parametrize(
    ("flow", "grid"),
    [
        ("uplink", ["0:6 raw", "0:6 uint8", "2:4 raw", "2:4 int8", "6:0 none"]),
        (
            "downlink",
            [
                "6:0 raw",
                "6:0 uint8",
                "2:4 raw",
                "2:4 uint8 then raw",
                "2:4 int8",
                "2:4 uint8 then int8",
                "0:6 none",
            ],
        ),
        ("remote-source", ["6:0 raw", "2:4 raw", "2:4 int8", "0:6 raw", "0:6 uint8"]),
    ],
)
def test_what_crosses_is_coded_as_was_asked(cells: Cells, flow: str, grid: list[str]) -> None:
    found = cells(flow=flow, **CODECS | {"bw": "5"})
    assert words(found) == grid
    assert len({one.configuration.key for one in found}) == len(found)
    anchors = [one.configuration.anchor for one in found if one.configuration.anchor]
    assert (anchors[0], anchors[-1]) == ("network anchor", "device anchor")


def test_a_cell_tells_what_it_sends_raw(cells: Cells, model: SweptModel) -> None:
    cuts = model.graph.cuts
    (split,) = [one for one in cells(flow="downlink") if one.configuration.k == 2][:1]
    assert (split.input_bytes, split.crossing_bytes) == (cuts[0].nbytes, cuts[2].nbytes)
    assert split.delivery_bytes > 0
    up, down = split.link.uplink, split.link.downlink
    assert split.wire_ms > up.delay_ms + down.delay_ms
    whole = [one for one in cells(flow="remote-source") if one.configuration.k == 6]
    assert {(one.crossing_bytes, one.delivery_bytes, one.wire_ms) for one in whole} == {(0, 0, 0)}


def test_the_key_of_the_usual_flow_is_what_it_was(cells: Cells) -> None:
    keys = [one.configuration.key for one in cells(bw="5")]
    assert keys == ["0:6 raw over 5 Mbit/s", "2:4 raw over 5 Mbit/s", "6:0 none over 5 Mbit/s"]


def test_the_private_anchor_is_the_earliest_cut_that_leaves_so_many_layers(cells: Cells) -> None:
    found = cells(bw="5", private_layers=1)
    assert [(one.configuration.split, one.configuration.split_name) for one in found][:3] == [
        ("0:6", "network anchor"),
        ("1:5", "private anchor"),
        ("2:4", "2:4"),
    ]
    (other,) = [one for one in cells(bw="5", private_layers=2) if one.configuration.k == 2]
    assert other.configuration.anchor == "private anchor"
    with pytest.raises(UsageError, match="--private-layers 6: no cut leaves so many"):
        cells(private_layers=6)
    with pytest.raises(UsageError, match="give it with --flow uplink"):
        cells(private_layers=1, flow="downlink")
    with pytest.raises(UsageError, match="in the flow call the first are on network"):
        cells(private_layers=1, flow="call")


def test_a_chain_has_a_cell_for_each_two_cuts_and_an_anchor_on_each_node(cells: Cells) -> None:
    found = cells(flow="chain", split="1:5+4:2,2:4+4:2", bw="5", codec="raw,fp16")
    assert words(found) == [
        "0:0:6 raw",
        "0:6:0 raw",
        "1:3:2 raw",
        "1:3:2 fp16",
        "2:2:2 raw",
        "2:2:2 fp16",
        "6:0:0 none",
    ]
    names = [one.configuration.split_name for one in found]
    assert names[:3] == ["network anchor (cloud)", "network anchor (edge)", "1:5+4:2"]
    (cut, *_) = [one for one in found if one.configuration.cuts == (1, 4)]
    assert cut.configuration.coding == ((1, "raw"), (4, "raw"))
    with pytest.raises(UsageError, match="cuts a model 2 times"):
        cells(flow="chain")
    with pytest.raises(UsageError, match="give them in order"):
        cells(flow="chain", split="4:2+1:5")


def test_a_part_that_is_delivered_in_a_lossy_coder_is_lossy_and_one_that_stays_is_not(
    cells: Cells,
) -> None:
    found = {one.configuration.split: one.configuration for one in cells(bw="5", part_coder="int8")}
    assert {split for split, one in found.items() if one.lossless} == {"0:6"}
    assert {one.part_coder for one in found.values() if not one.lossless} == {"int8"}
    exact = cells(bw="5", part_coder="shuffle+zstd")
    assert all(one.configuration.lossless for one in exact)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"part_coder": "int9"}, "no model coder is called 'int9'"),
        ({"part_coder": "int8", "delivery": False}, "codes parts that are delivered"),
        ({"part_coder": "int8", "flow": "multi-head"}, "delivers heads"),
    ],
)
def test_a_part_coder_that_cannot_be_is_refused(
    cells: Cells, options: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        cells(bw="5", **options)
