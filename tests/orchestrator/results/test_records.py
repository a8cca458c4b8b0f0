"""What is written down comes back as it was, and what is no record is refused."""

import json
import math
from pathlib import Path

import pytest

from netem.spec import symmetric
from orchestrator.results.clock import ClockModel, Offset
from orchestrator.results.facts import InputFacts, ModelFacts
from orchestrator.results.reading import read_folder
from orchestrator.results.records import (
    Accuracy,
    CellRecord,
    ClockRecord,
    CrossingTensor,
    FrameRecord,
    ProofRecord,
    RunRecord,
    TcpFacts,
)
from splitbed.timeline import Stage

FRAME = FrameRecord(attempt="a", stages=(Stage("part1", 0, 5), Stage("uplink", 5, 9)))
TCP = TcpFacts(congestion_control="cubic", retransmits=1, cwnd_segments=10)
PROOF = ProofRecord(uplink_mbit=8, downlink_mbit=8, rtt_min_ms=0.2, tcp=TCP)
READING = Offset(at_ns=1, low_ns=-5, high_ns=5, rtt_ns=10, exchanges=8)
CELL = CellRecord(
    key="1:1 raw over 8 Mbit/s",
    attempt="a",
    split="1:1",
    split_name="cut",
    tensors=(CrossingTensor(name="x", shape=(1, 3), bytes=12),),
    link=symmetric(rate_mbit=8),
    proofs=(PROOF, PROOF),
    accuracy=Accuracy(metric="AP", value=0.5, classes={"cat": None}),
    clock=ClockRecord.of(ClockModel((READING,), READING), ue_epoch_ns=7),
)
RUN = RunRecord(
    asked={"model": "m", "bw": [5.0], "input": None},
    model=ModelFacts(name="m", inputs=(InputFacts(name="a.png", frame="0"),)),
    grid=("a", "b"),
)


@pytest.mark.parametrize("record", [FRAME, CELL, RUN])
def test_a_record_comes_back_from_its_json(record: FrameRecord | CellRecord | RunRecord) -> None:
    assert type(record).from_json(record.json().encode()) == record


def test_a_frame_has_its_stages_as_short_lists() -> None:
    assert json.loads(FRAME.json())["stages"] == [["part1", 0, 5], ["uplink", 5, 9]]


def test_the_first_runs_said_less_and_a_later_version_may_say_more() -> None:
    text = {"attempt": "a", "stages": [["part1", 0, 5]], "temperature": 40}
    assert FrameRecord.from_json(json.dumps(text).encode()).max_abs_diff is None


def test_what_json_has_no_number_for_comes_back() -> None:
    found = CellRecord.from_json(CELL.json().replace("0.5", "Infinity").encode())
    assert found.accuracy is not None
    assert found.accuracy.value == math.inf


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"7",
        b"[" * 100_000,
        b'{"attempt":"a"}',
        b'{"attempt":"a","stages":[]}',
        b'{"attempt":"a","stages":[["preprocess",0,5]]}',
        b'{"attempt":"a","stages":[["part1",0]]}',
        b'{"attempt":"a","stages":[["part1",0,5]],"encoded_bytes":"many"}',
    ],
)
def test_what_is_no_frame_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        FrameRecord.from_json(text)


@pytest.mark.parametrize("changed", [{"split": "cut"}, {"link": {"uplink": 5}}, {"proofs": [1]}])
def test_what_is_no_cell_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        CellRecord.from_plain(CELL.plain() | changed)


def test_a_run_of_the_first_version_opens(tmp_path: Path) -> None:
    shape = {"rate_mbit": 8.0, "delay_ms": 0.0, "jitter_ms": 0.0, "loss_pct": 0.0}
    stages = [["part1", 0, 5_000_000], ["uplink", 5_000_000, 50_000_000]]
    run = {"asked": {"model": "m"}, "model": {"name": "m", "weights": "a file"}}
    frame = {"attempt": "a", "frame": 0, "stages": stages, "encoded_bytes": 40_000}
    cell = {
        "key": "1:1 over 8 Mbit/s", "attempt": "a", "split": "1:1", "split_name": "cut",
        "link": {"uplink": shape, "downlink": shape}, "link_backend": "linkbox", "error": None,
        "intermediate_tensors": 1, "intermediate_bytes": 40_000,
    }  # fmt: skip
    for name, told in (("run.json", run), ("samples.jsonl", frame), ("cells.jsonl", cell)):
        (tmp_path / name).write_text(json.dumps(told) + "\n")
    (row,) = read_folder(tmp_path).rows
    assert (row.codec, row.lossless, row.runtime, row.ue) == ("raw", True, "onnx", "")
    assert row.e2e_ms == 50
    assert row.valid
