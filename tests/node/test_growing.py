"""Part 1 grows on a UE of its own process while frames go on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from netem.spec import LinkSpec, Shape
from orchestrator.results.kinds import GROWTH, TransitRecord
from orchestrator.results.records import ProofRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed import testbed as beds
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.local import local_model
from orchestrator.testbed.model import Known
from orchestrator.transit.begun import begin
from orchestrator.transit.growth import growing as growings
from orchestrator.transit.growth.growing import Growing, Growth
from orchestrator.transit.growth.journal import GrowthJournal
from orchestrator.transit.growth.record import SplitRecord, record_of
from orchestrator.transit.growth.row import GROWING, WHOLE, rows_of
from orchestrator.transit.growth.run import growing_splits, growth_config, known_of
from splitbed.errors import NodeError, UsageError
from splitbed.v1 import nodes_pb2
from tests.node.loopback import LAYERS, loopback_link, loopback_pair, proved_as_asked, small_model

LINK = LinkSpec(uplink=Shape(rate_mbit=50), downlink=Shape(rate_mbit=50))
PROOF = ProofRecord(uplink_mbit=50, downlink_mbit=50, rtt_min_ms=1)
SPLITS = ["0:6", "2:4", "3:3", "6:0"]


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Growing]:
    folder = tmp_path_factory.mktemp("pair")
    with proved_as_asked(), loopback_pair(folder) as (pair, model):
        config = growth_config(
            {
                "model": str(folder / "small.onnx"),
                "split": ["3:3", "2:4"],
                "ue_threads": 1,
                "edge_threads": 1,
            }
        )
        bed = beds.Testbed(model, loopback_link(), pair, Interruption())
        yield Growing(bed, config, growing_splits(config, model), Known())


@pytest.fixture(scope="module")
def growth(growing: Growing) -> Growth:
    return growing.over([LINK])


def test_frames_go_on_by_each_split_as_soon_as_it_is_possible(growth: Growth) -> None:
    by = [frame.split for frame in growth.frames]
    assert growth.error is None
    assert list(dict.fromkeys(by)) == SPLITS
    assert by == sorted(by, key=SPLITS.index)
    assert by.count("6:0") >= 3
    assert all((frame.max_abs_diff or 0) < 1e-5 for frame in growth.frames)


def test_each_part_comes_without_what_the_ue_has(growth: Growth, growing: Growing) -> None:
    first, second, whole = growth.grown
    assert first.received.came_bytes == first.coded.bytes
    assert second.received.came_bytes < second.coded.bytes
    # relu, add, relu, mean have no weights
    assert whole.received.came_bytes < whole.coded.bytes - 1000
    (at_once,) = growing.over([LINK], at_once=True).grown
    assert at_once.received.came_bytes == at_once.coded.bytes == whole.coded.bytes
    assert at_once.received.decoded.sha256 == whole.received.decoded.sha256


def test_each_row_says_when_its_split_was_possible(growth: Growth) -> None:
    rows = list(rows_of(record_of(growth, GROWING), "small", "dummy", {}))
    assert [row.split for row in rows] == SPLITS[1:]
    times = [row.since_request_ms or 0 for row in rows]
    assert times == sorted(times)
    assert sum(row.frames for row in rows) < len(growth.frames)
    assert not any("differs" in row.fault for row in rows)


def test_what_was_possible_stays_when_a_part_does_not_come(
    growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = growing._loader.deliver

    def delivers(placed: tuple[str, object], *others: object, **more: object) -> object:
        if placed[1].last == LAYERS:  # type: ignore[attr-defined]
            raise NodeError("it died")
        return deliver(placed, *others, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(growing._loader, "deliver", delivers)
    growth = growing.over([LINK])
    assert [one.asked.split for one in growth.grown] == SPLITS[1:3]
    assert str(growth.error) == "it died"
    assert growth.frames[-1].split == "3:3"


@pytest.mark.parametrize("error", [NodeError("it died"), KeyboardInterrupt()])
def test_all_that_was_measured_stays_when_the_link_is_not_proved_again(
    growing: Growing, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    said = iter([(PROOF,)])

    def proved(*_: object) -> tuple[ProofRecord, ...]:
        for one in said:
            return one
        raise error

    monkeypatch.setattr(growings, "proved", proved)
    growth = growing.over([LINK], at_once=True)
    assert growth.error is error
    assert [one.asked.split for one in growth.grown] == ["6:0"]
    assert growth.machine is not None


def test_whether_anything_disturbed_what_was_cut_short_is_not_known(growth: Growth) -> None:
    short = record_of(replace(growth, machine=None, error=NodeError("it died")), GROWING)
    rows = list(rows_of(short, "small", "dummy", {}))
    assert {row.disturbed for row in rows} == {
        "not known: what came next failed, or was interrupted"
    }
    assert {(row.valid, row.fault) for row in rows} == {
        (False, "the link was not proved after it: it died")
    }


def test_what_was_measured_is_kept_and_need_not_be_again(growth: Growth, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    begin(folder, GROWTH, TransitRecord(asked={"config": {"part_coder": "dummy"}}), coded=False)
    journal = GrowthJournal(folder)
    journal.add_split(SplitRecord(split="2:4", metric="R2", accuracy=0.5, drop=0.5, frames=3))
    journal.add(failed := record_of(replace(growth, error=NodeError("it died")), WHOLE))
    journal.add(record_of(growth, GROWING))
    again = GrowthJournal(folder)
    assert again.rows == journal.rows
    assert [row.accuracy for row in again.rows[3:]] == [0.5, None, None]
    assert again.ended == {(GROWING, LINK.words)}
    journal.add(msgspec.structs.replace(failed, error=None))
    assert len(GrowthJournal(folder).ended) == 2
    assert (tmp_path / "growth.csv").read_text().count("\n") == 1 + len(journal.rows)


def test_a_part_has_the_time_that_all_of_it_takes_to_decode(
    growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    loader, (first, second, *_) = growing._loader, growing._splits
    monkeypatch.setattr(loader, "deliver", lambda _, limit_s, **__: given.append(limit_s))
    monkeypatch.setattr(loader, "open", lambda *_: None)
    small = nodes_pb2.CodedPart(bytes=1000)
    ready = {second.k: nodes_pb2.Loaded(part_bytes=600_000_000, coded=[small])}
    growing._come(first, second, ready, LINK, rest=False)
    assert given[0] > 600


def test_codecs_are_told_what_they_need_of_what_crosses(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("calibrated")
    config = growth_config({"model": str(small_model(folder / "small.onnx")), "codec": "int8"})
    with local_model(config) as local:
        splits = growing_splits(config, local.model)
        found = known_of(config, local.model, splits, RunFolder(folder))
    assert [(one.split, one.codec) for one in splits] == [
        ("0:6", "raw"), ("1:5", "int8"), ("6:0", "none")
    ]  # fmt: skip
    assert found.ranges.keys() == {"a"}
    assert (folder / "calibration.json").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"codec": "raw,zstd"}, "frames go on with one of them"),
        ({"input_codec": "avc-inter:30"}, "may have gone by another split"),
        ({"part_coder": "update:8:16"}, "no model coder is called 'update'"),
        ({"flow": "downlink"}, "in the flow uplink alone"),
    ],
)
def test_what_cannot_grow_is_refused_by_name(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        growth_config({"model": "shapesnet", **options})
