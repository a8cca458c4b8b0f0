"""A model in increments: all of it at once, against a coarse one that is refined (clause 10.6)."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace as changed

import splitbed
from netem.spec import LinkSpec, symmetric
from orchestrator.results.kinds import TransitRecord
from orchestrator.results.records import MachineRecord, ProofRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.transit.clause_10_6 import leave, tables
from orchestrator.transit.delivery import Delivery
from orchestrator.transit.increments import sensitivity
from orchestrator.transit.increments.asked import Incremental, incremental
from orchestrator.transit.increments.row import AT_ONCE, COARSE, UPDATE, IncrementRow
from orchestrator.transit.increments.run import (
    INCREMENTS,
    Sending,
    resumed_incremental,
    run_incremental,
)
from orchestrator.transit.journal import Journal
from orchestrator.transit.outcome import Outcome
from splitbed.errors import UsageError
from splitbed.model_coders.increments import encoded
from splitbed.model_data import model_of

PUBLISHED = Path(__file__).parents[4] / "shared/reference/tables/clause_10.6.14_bit_incremental.csv"


def asked(bits: str, out: Path, **options: object) -> Incremental:
    given = {"model": "small-resnet18", "accuracy_frames": 40, "offline": True, "out": out}
    return incremental({**given, "progressive": bits, **options})


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome[IncrementRow]:
    out = tmp_path_factory.mktemp("increments") / "run"
    return splitbed.increments(
        "small-resnet18", progressive=[4, 8, 16], accuracy_frames=40, offline=True, out=out
    )


def test_the_last_update_makes_the_model_that_comes_at_once(outcome: Outcome[IncrementRow]) -> None:
    at_once, coarse, middle, last = outcome.rows
    assert [row.version for row in outcome.rows] == [AT_ONCE, COARSE, UPDATE, UPDATE]
    assert [row.precision_bit for row in outcome.rows] == [16, 4, 8, 16]
    assert last.rec_sha256 == at_once.rec_sha256
    assert last.rec_perf == at_once.rec_perf
    assert len({row.rec_sha256 for row in (coarse, middle, last)}) == 3


def test_few_bits_cost_accuracy_and_more_bring_it_back(outcome: Outcome[IncrementRow]) -> None:
    at_once, coarse, middle, _ = (row.rec_perf for row in outcome.rows)
    assert at_once is not None
    assert coarse is not None
    assert middle is not None
    assert coarse < 0.5 < at_once - 0.4
    assert middle > at_once - 0.06


def test_steps_together_are_about_as_large_as_all_at_once(outcome: Outcome[IncrementRow]) -> None:
    at_once, *steps = (row.rec_size or 0 for row in outcome.rows)
    assert sum(steps) == pytest.approx(at_once, rel=0.1)
    assert steps[0] < at_once / 4


def test_the_folder_has_every_bitstream_and_model_and_the_rows(
    outcome: Outcome[IncrementRow],
) -> None:
    folder = outcome.folder
    assert folder is not None
    for row in outcome.rows:
        stem = row.coder_name.replace(":", "_")
        assert (folder / f"{stem}.bit").stat().st_size == row.rec_size
        assert (folder / f"{stem}.onnx").stat().st_size == row.model_bytes
    with (folder / "increments.csv").open(newline="") as file:
        assert [row["coder_name"] for row in csv.DictReader(file)] == [
            "int16:4+zstd", "int4:4+zstd", "update:4:8", "update:4:8:16"
        ]  # fmt: skip
    assert json.loads((folder / "increments.json").read_text())["asked"]["bits"] == [4, 8, 16]
    assert "## Table 10.6.14" in (folder / "tables.md").read_text()


def test_the_table_has_the_clauses_columns(outcome: Outcome[IncrementRow]) -> None:
    (table,) = tables(outcome.rows)
    assert list(table.lines[0]) == [
        "", "Dataset", "Model", "Precision", "Model Accuracy (%)", "Start-up Latency (s)",
        "Bitstream Size (MB)",
    ]  # fmt: skip
    assert [line[""] for line in table.lines] == [
        "High-Precision Model", "Low-Precision Model", "Model Update*", "Model Update*"
    ]  # fmt: skip


def row(version: str, bits: int, mbit: float, **told: object) -> IncrementRow:
    usual: dict[str, object] = {
        "anc_size": 4_000_000, "metric_name": "accuracy", "coder_name": "c",
        "scenario_name": "10.6", "data_set_name": "voc", "model_name": "resnet18",
        "unique_tag": "", "eval_compression": True, "eval_anchor": True,
    }  # fmt: skip
    return IncrementRow(version=version, precision_bit=bits, bw_mbit=mbit, **usual | told)  # type: ignore[arg-type]


def test_over_links_the_first_answer_and_the_full_accuracy_are_told_both_ways(
    tmp_path: Path,
) -> None:
    rows = [
        row(AT_ONCE, 16, 20, since_request_ms=8000.0, ue_perf=0.46, rec_size=20_000_000),
        row(COARSE, 8, 20, since_request_ms=4000.0, ue_perf=0.45, rec_size=9_000_000),
        row(UPDATE, 16, 20, since_request_ms=8500.0, ue_perf=0.46, rec_size=11_000_000,
            inferences_meanwhile=120),
    ]  # fmt: skip
    leave(rows, folder := RunFolder(tmp_path))
    assert {file.name for file in folder.path.iterdir()} == {
        "table-10.6.14.csv", "table-10.6-links.csv", "table-10.6-published.csv", "tables.md",
        "accuracy-over-time.png",
    }  # fmt: skip
    _, links, published = tables(rows)
    at_once, in_steps = links.lines
    assert (at_once["Sent"], in_steps["Sent"]) == ("16 bits", "8 then 16 bits")
    assert (at_once["First inference"], at_once["Full accuracy"]) == (8, 8)
    assert (in_steps["First inference"], in_steps["Full accuracy"]) == (4, 8.5)
    assert in_steps["Inferences before it"] == 120
    assert published.lines[1]["ours / high"] == 0.45
    assert published.lines[1]["published (MB)"] == 9.11


def test_the_published_sizes_are_the_clauses() -> None:
    if not PUBLISHED.is_file():
        pytest.skip(f"the clause's table is not at {PUBLISHED}")
    from orchestrator.scenarios.transit import clause_10_6

    with PUBLISHED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for one in rows:
        held = clause_10_6.PUBLISHED[one["model"].lower()]
        size = {"high_precision": held.high, "low_precision": held.low}.get(
            one["version"], held.update
        )
        assert size == float(one["bitstream_MB"])


@pytest.mark.parametrize("ratio", [0.4625, 0.4450, 0.4740])
def test_the_ratio_of_low_to_high_is_near_the_published_ones(ratio: float) -> None:
    """Those of VGG16, ResNet18 and MobileNet_v2; ours of weights spread as trained ones are."""
    weight = np.random.default_rng(0).laplace(size=(512, 4608)).astype(np.float32)
    model = model_of({"weight": weight})
    low, high = (sum(map(len, encoded(model, coder))) for coder in ("int8:8+zstd", "int16:8+zstd"))
    assert low / high == pytest.approx(ratio, rel=0.15)


@pytest.mark.parametrize(
    ("bits", "says"),
    [("8,4", "ascend"), ("8", "two or more"), ("8,x", "whole numbers"), ("5,8", "of 4, 6, 8, 16")],
)
def test_bits_that_cannot_be_are_refused(bits: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        asked(bits, tmp_path / "run")


def test_all_steps_are_given_or_the_ends_alone(tmp_path: Path) -> None:
    assert incremental({"model": "small-resnet18", "high_bits": 6, "low_bits": 4}).bits == (4, 6)
    assert incremental({"model": "small-resnet18"}).bits == (8, 16)
    with pytest.raises(UsageError, match="--progressive says all steps"):
        asked("4,8", tmp_path / "run", low_bits=4)


def test_layer_by_layer_it_ends_at_the_same_model(tmp_path: Path) -> None:
    outcome = splitbed.increments(
        "small-resnet18", low_bits=4, high_bits=16, by_layer=3, accuracy_frames=40, offline=True,
        out=tmp_path / "run",
    )  # fmt: skip
    at_once, coarse, *updates = outcome.rows
    shares = [row.refined_share for row in updates]
    assert shares == sorted(shares)
    assert 0.1 < shares[0] < 0.6
    assert [row.precision_bit for row in outcome.rows] == [16, 4, 16, 16, 16]
    assert updates[-1].rec_sha256 == at_once.rec_sha256
    assert shares[-1] == coarse.refined_share == 1
    assert sum(row.rec_size or 0 for row in updates) < (at_once.rec_size or 0)
    assert outcome.exit_code == 0


def test_what_was_stopped_while_it_coded_goes_on_with_the_same_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = asked("4,8", out := tmp_path / "run", by_layer=2, accuracy_frames=3)
    said: list[str] = []
    first = run_incremental(wanted, said.append)
    lines = (out / "coders.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == len(first.rows) == 4
    # needs are measured otherwise on another machine
    monkeypatch.setattr(sensitivity, "groups_by_need", None)
    for kept in ([0, 1, 2], [0, 2, 3], [0, 1, 3]):
        (out / "coders.jsonl").write_bytes(b"".join(lines[place] for place in kept))
        said.clear()
        again = run_incremental(resumed_incremental(out), said.append, out)
        assert len(said) == 2  # the anchor, and what is missing
        assert [one.coder_name for one in again.rows] == [one.coder_name for one in first.rows]
        assert [one.rec_sha256 for one in again.rows] == [one.rec_sha256 for one in first.rows]
    (out / "groups.json").write_text("[[-1]]")
    with pytest.raises(UsageError, match=r"its groups.json is damaged"):
        run_incremental(resumed_incremental(out), said.append, out)


class Sent:
    """Delivers what is made up, each version's in turn."""

    def __init__(self, journal: Journal[IncrementRow], delivered: list[Delivery]) -> None:
        self.journal, self._delivered = journal, iter(delivered)
        self.scenario = SimpleNamespace(path=Path("model.onnx"))

    def ready(self, coder: str, rebuilt: Path) -> None:
        pass

    def infer(self) -> None:
        pass

    def over(self, coder: str, link: LinkSpec, number: int, during: object) -> Delivery:
        return changed(next(self._delivered), coder=coder)


def test_a_time_since_the_request_tells_what_disturbed_the_steps_before(tmp_path: Path) -> None:
    journal = Journal.begun(RunFolder(tmp_path), INCREMENTS, TransitRecord())
    for version, name in ((AT_ONCE, "a"), (COARSE, "b"), (UPDATE, "c"), (UPDATE, "d")):
        journal.add_coder(row(version, 8, 20, rec_sha256="00", rec_perf=0.5, coder_name=name))
    link = symmetric(rate_mbit=20)
    proof = ProofRecord(uplink_mbit=20, downlink_mbit=20, rtt_min_ms=1)
    quiet = Delivery(
        coder="", link=link, bytes=1_000_000, link_ms=430.0, receive_ms=440.0, sha256="00",
        ue_perf=0.5, proofs=(proof,),
    )  # fmt: skip
    busy = changed(quiet, machine=MachineRecord(others_share=0.5), resumed=1)
    sending = Sending(Sent(journal, [busy, busy, quiet, quiet, *[quiet] * 4]))  # type: ignore[arg-type]
    sending.over(link)
    at_once, coarse, *updates = journal.rows
    words = "other processes used 50% of the processors"
    assert [at_once.disturbed, coarse.disturbed] == [words, words]
    assert [one.disturbed for one in updates] == [f"before it, {words}"] * 2
    assert [one.since_request_ms for one in updates] == [880, 1320]
    assert "a step before it was cut off" in updates[0].remark
    sending.over(link)
    assert [one.disturbed for one in journal.rows] == [""] * 4
    assert [one.remark for one in journal.rows] == [""] * 4


@pytest.mark.parametrize("groups", [0, 101])
def test_so_many_layers_at_once_cannot_be(groups: int) -> None:
    with pytest.raises(UsageError, match="--by-layer"):
        incremental({"model": "small-resnet18", "by_layer": groups})
