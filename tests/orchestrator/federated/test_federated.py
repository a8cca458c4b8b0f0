"""What federated averaging is asked, what lacks for it, and its rows: no Spark is started."""

from pathlib import Path
from typing import Any

import pytest

from netem.namespace import Counters
from netem.spec import symmetric
from orchestrator.ask.scenario_file import load_scenario
from orchestrator.federated import row, run, spark, words
from orchestrator.federated.asked import Cell, Fault, federated
from orchestrator.results.columns import columns_of
from splitbed.errors import UsageError
from splitbed.federated.averaging import Answer
from tests.orchestrator.commands import orchestrate

ROOT = Path(__file__).parents[3]


def test_a_cell_is_measured_for_each_combination_and_a_fault_once() -> None:
    asked = federated({"ues": [4, 2], "bw": "2,10", "coder": "dummy,fp16", "faults": "kill:ue-4:3"})
    told = [cell.words for cell in asked.cells]
    assert len(told) == len(set(told)) == 9
    assert told[-1] == "4 UEs, 2 Mbit/s, dummy, kill:ue-4:3"
    assert [cell.ues for cell in asked.cells] == [2] * 4 + [4] * 5


def test_a_slow_ue_alone_has_another_link() -> None:
    asked = federated({"ues": 3, "bw": 10, "delay-ms": 5, "faults": ["slow:ue-2:20"]})
    links = asked.links(asked.cells[-1])
    assert [link.uplink.rate_mbit for link in links.values()] == [10, 0.5, 10]
    assert {link.downlink.delay_ms for link in links.values()} == {5}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ues": 1}, "ues"),
        ({"ues": 2, "quorum": 3}, "quorum of 3"),
        ({"coder": "int99"}, "int99"),
        ({"faults": "drop:ue-1:2"}, "drop:ue-1:2"),
        ({"faults": "kill:ue-3:2"}, "there are 2 UEs"),
        ({"faults": "slow:ue-1:0"}, "from 1 on"),
        ({"skew": 0}, "skew"),
        ({"target": 1.5}, "target"),
        ({"samples": 100, "ues": 16}, "too few"),
        ({"faults": ["kill:ue-2:3"], "rounds": 2}, "kill:ue-2:3: there are 2 rounds"),
        ({"bw": 0}, "rate_mbit"),
        ({"speed": 3}, "speed"),
    ],
)
def test_what_cannot_be_is_named(options: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        federated(options)


def test_the_scenario_that_comes_along_can_be_asked() -> None:
    asked = federated(load_scenario("9.3").federated)
    assert {cell.ues for cell in asked.cells} == {2, 4}
    assert {"kill:ue-4:3", "slow:ue-4:20"} <= {
        cell.fault.words for cell in asked.cells if cell.fault
    }


def test_without_java_it_is_said_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    ended = orchestrate("scenario", "run", "9.3", "--out", str(tmp_path / "run"))
    assert ended.code == 3
    assert "apt-get install openjdk-17-jre-headless" in ended.err
    assert not (tmp_path / "run").exists()


def test_an_option_of_other_scenarios_is_refused(tmp_path: Path) -> None:
    ended = orchestrate("scenario", "run", "9.3", "--split", "stage2", "--out", str(tmp_path / "r"))
    assert ended.code == 2
    assert "--split" in ended.err and "--bw and --coder" in ended.err


def test_settings_hold_the_secret_for_this_user_alone(tmp_path: Path) -> None:
    spark.write_settings(tmp_path, "10.0.0.1", ues=4, quorum=3, limit_s=2.5)
    file = tmp_path / "spark-defaults.conf"
    assert file.stat().st_mode & 0o077 == 0
    told = dict(line.split(" ", 1) for line in file.read_text().splitlines())
    assert told["spark.authenticate"] == "true" and len(told["spark.authenticate.secret"]) == 64
    assert told["spark.driver.bindAddress"] == "10.0.0.1" and told["spark.ui.enabled"] == "false"
    # Spark rounds down what has to be done before it looks for who is late
    assert int(float(told["spark.speculation.quantile"]) * 4) == 3
    assert told["spark.speculation.minTaskRuntime"] == "2500ms"


def a_record(fault: Fault | None) -> row.FederatedRecord:
    """Two rounds of two UEs; ue-2 is missing in the second, which reaches 0.9."""
    there = Answer("ue-1", samples=10, began_ns=2_000_000, ended_ns=5_000_000, update_bytes=100)
    missing = Answer("ue-2", missing="gone: it has no executor")
    first = words.Arrival(answer=there, launched_ns=1_000_000, arrived_ns=8_000_000)
    ended = [
        words.Ended(
            arrivals=(first, second),
            began_ns=0,
            ended_ns=10_000_000,
            aggregate_ms=1.0,
            model_bytes=400,
            accuracy=accuracy,
        )
        for second, accuracy in (
            (words.Arrival(answer=Answer("ue-2", samples=5)), 0.5),
            (words.Arrival(answer=missing), 0.9),
        )
    ]
    traffic = {ue: row.Traffic(200, 500) for ue in ("ue-1", "ue-2")}
    rounds = tuple(row.RoundRecord(ended=one, traffic=traffic) for one in ended)
    return row.FederatedRecord(cell=Cell(2, 5.0, "fp16", fault), rounds=rounds)


def test_a_row_has_the_time_on_the_link_each_way() -> None:
    one, *_, last = row.round_rows(a_record(None))
    assert (one.down_ms, one.up_ms, one.link_ms, one.round_ms) == (1.0, 3.0, 4.0, 10.0)
    assert (one.up_bytes, one.down_bytes, one.samples) == (200, 500, 10)
    assert last.missing == "gone: it has no executor" and last.samples is None


def test_the_target_takes_the_rounds_until_it() -> None:
    told = row.target_row(a_record(Fault("kill", "ue-2", 2)), 0.8)
    assert (told.target_round, told.target_ms, told.missing, told.valid) == (2, 20.0, 1, True)
    assert row.target_row(a_record(None), 0.95).target_ms is None


def test_a_kill_that_never_came_makes_the_cell_invalid() -> None:
    told = row.target_row(a_record(Fault("kill", "ue-2", 3)), 0.8)
    assert (told.valid, told.reason) == (False, "ue-2 was not killed: round 3 did not begin")


def test_who_is_missing_undisturbed_makes_the_cell_invalid() -> None:
    told = row.target_row(a_record(None), 0.8)
    assert not told.valid
    assert "round 2: ue-2 is missing" in told.reason


def test_a_record_is_read_as_it_was_written() -> None:
    record = a_record(Fault("slow", "ue-2", 20))
    assert row.FederatedRecord.from_json(record.line()) == record


def test_the_anchor_has_its_samples_sent_first() -> None:
    anchored = words.Anchored(accuracy=(0.5, 0.9), train_ms=(10.0, 20.0))
    told = row.anchor_row(row.AnchorRecord(anchored=anchored, most_bytes={2: 125_000}), 2, 1.0, 0.8)
    assert told.target_ms == pytest.approx(30.0 + 1000.0)


def test_each_column_stands_on_the_page() -> None:
    page = (ROOT / "docs/federated.md").read_text()
    for kind in (row.RoundRow, row.TargetRow):
        for column in columns_of(kind).values():
            assert f"| `{column.name}` | {column.meaning} | {column.empty} |" in page


def test_a_link_is_proved_again_once_it_carries_no_round_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Bed:
        """A link of 0.1 Mbit/s, over which 12 kB a second come until the third."""

        carried, looks = 0, 0

        def counters(self) -> dict[str, Counters]:
            self.looks += 1
            self.carried += 12_000 if self.looks < 4 else 500
            return {"ue-1": Counters(self.carried, 0, 0, 0)}

    monkeypatch.setattr("time.sleep", lambda _: None)
    bed: Any = Bed()
    run._drained(bed, {"ue-1": symmetric(rate_mbit=0.1, delay_ms=0)}, 60)
    assert bed.looks == 4
