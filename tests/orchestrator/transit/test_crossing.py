"""What a row says of deliveries over a link, and what is left of them when one fails."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from netem.spec import LinkSpec, Shape
from netem.wire import IPV6_HEADER_BYTES, wire_ms
from orchestrator.cli.show.models import show_models
from orchestrator.measure.arriving import Arrival
from orchestrator.results.facts import CodedFacts, Conditions, ModelFacts, NodeFacts
from orchestrator.results.kinds import Kind, TransitRecord, read_transit_record
from orchestrator.results.records import MachineRecord, ProofRecord, TcpFacts
from orchestrator.results.run_folder import RunFolder
from orchestrator.transit.crossing import once_more
from orchestrator.transit.delivery import Delivery, counting, delivered, row_of
from orchestrator.transit.inferring import Inferring
from orchestrator.transit.journal import FRESH, Journal, Layout
from orchestrator.transit.outcome import Outcome
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import MODELS
from splitbed.errors import NodeError, UsageError
from splitbed.v1 import nodes_pb2

BYTES = 500_000
LINK = LinkSpec(uplink=Shape(rate_mbit=5, delay_ms=30), downlink=Shape(rate_mbit=20, delay_ms=40))
BOUND_MS = 30 + wire_ms(BYTES, LINK.downlink, 1208, IPV6_HEADER_BYTES)
ROW = ModelRow(
    anc_size=4_000_000, metric_name="accuracy", coder_name="int8", scenario_name="", rec_perf=0.5,
    data_set_name="", model_name="m", unique_tag="", eval_compression=True, eval_anchor=True,
    rec_sha256="00",
)  # fmt: skip


def came(
    link_ms: float = BOUND_MS, *, resumed: int = 0, others: float = 0.0, perf: float = 0.5,
    here: bool = True, number: int = 0, fault: str = "",
) -> Delivery:  # fmt: skip
    """Over a link of IPv6 whose segments are of an MTU of 1280."""
    tcp = TcpFacts(
        congestion_control="cubic", retransmits=0, cwnd_segments=10, mss_bytes=1208, ip_version=6
    )
    proof = ProofRecord(uplink_mbit=5, downlink_mbit=20, rtt_min_ms=70, tcp=tcp, fault=fault)
    received = nodes_pb2.PartReceived(
        receive_ms=link_ms + 1,
        link_ms=link_ms,
        resumed=resumed,
        decoded=nodes_pb2.Decoded(sha256=b"\0"),
        came_bytes=BYTES,
    )
    coded = nodes_pb2.CodedPart(bytes=BYTES)
    machine = MachineRecord(others_share=others)
    arrival = Arrival(LINK, coded, received, 1.0, 1.0, (proof, proof), machine)
    return delivered("int8", arrival, perf, here=here, number=number)


def failed(number: int = 0) -> Delivery:
    return Delivery(coder="int8", link=LINK, number=number, error="it died")


def test_the_bound_is_of_the_links_own_segments_and_of_the_request() -> None:
    row = row_of(ROW, [came()])
    assert row.link_bound_ms == pytest.approx(BOUND_MS)
    assert (row.valid, row.compares, row.fault, row.remark) == (True, True, "", "")


@pytest.mark.parametrize(("share", "valid"), [(0.985, True), (0.975, False)])
def test_nothing_comes_faster_than_physics(share: float, valid: bool) -> None:
    row = row_of(ROW, [came(share * BOUND_MS)])
    assert row.valid == valid
    assert ("faster than physics" in row.fault) != valid


def test_another_accuracy_on_this_machine_is_a_fault_and_on_another_a_remark() -> None:
    here, there = (row_of(ROW, [came(perf=0.49, here=one)]) for one in (True, False))
    assert not here.valid
    assert there.valid
    assert "another machine" in there.remark


def test_what_nothing_judges_is_valid_and_says_so() -> None:
    row = row_of(replace(ROW, rec_perf=float("nan")), [came(perf=float("nan"))])
    assert row.valid
    assert row.remark == "nothing in its inputs judges it"


@pytest.mark.parametrize(
    ("how", "says"),
    [({"resumed": 1}, "it was cut off"), ({"others": 0.5}, "other processes used 50%")],
)
def test_a_time_that_something_made_longer_counts_and_does_not_compare(
    how: dict[str, float], says: str
) -> None:
    row = row_of(ROW, [came(**how)])  # type: ignore[arg-type]
    assert row.valid
    assert not row.compares
    assert (row.remark or row.disturbed).startswith(says)


def test_of_several_deliveries_times_are_medians_with_the_interval_that_they_bear() -> None:
    one, three, many = (
        row_of(ROW, [came(BOUND_MS + 10 * place) for place in range(count)]) for count in (1, 3, 6)
    )
    assert (one.startup_low_ms, one.startup_interval, one.deliveries) == (None, None, 1)
    assert three.startup_ms == pytest.approx(BOUND_MS + 13)
    assert (three.startup_low_ms, three.startup_high_ms) == pytest.approx(
        (BOUND_MS + 3, BOUND_MS + 23)
    )
    assert three.startup_interval == "range of 3"
    assert many.startup_interval == "96.9 %"


def test_what_is_wrong_with_one_of_several_is_told_of_that_one() -> None:
    row = row_of(ROW, [came(), failed(1), came(others=0.5, number=2)])
    assert not row.valid
    assert row.fault == "delivery 2 of 3: it died"
    assert row.disturbed == "delivery 2 of 2: other processes used 50% of the processors"
    assert (row.deliveries, row.ue_perf) == (2, 0.5)
    assert row_of(ROW, [failed(), failed(1)]).fault == "it died"


def test_of_one_that_was_made_again_the_best_counts_and_of_equals_the_last() -> None:
    good, late, busy = came(BOUND_MS + 1), came(BOUND_MS + 2), came(others=0.5)
    for tried, counts in (
        ([failed(), good], good),
        ([good, failed()], good),
        ([busy, good], good),
        ([good, busy], good),
        ([good, late], late),
        ([came(fault="too slow"), busy], busy),
    ):
        assert [*counting(tried).values()] == [counts]


RECORD = TransitRecord(asked={"a": 1}, model=ModelFacts(name="m"))


def journal(folder: Path, record: TransitRecord = RECORD) -> Journal[ModelRow]:
    return Journal.begun(RunFolder(folder), MODELS, record)


def test_what_was_measured_is_there_when_a_run_is_gone_on_with(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.add_coder(ROW)
    first.add_coder(replace(ROW, coder_name="int4", rec_perf=float("nan")))
    first.add(came())
    first.add(failed(1))
    again = journal(tmp_path)
    assert again.ended == {("int8", LINK.words, 0)}
    assert [(row.coder_name, row.bw_mbit) for row in again.rows] == [("int8", 20), ("int4", None)]
    assert again.rows[0] == first.rows[0]
    assert math.isnan(again.rows[1].rec_perf or 0)
    assert "it died" in (tmp_path / "results.csv").read_text()
    assert len(read_transit_record(tmp_path, MODELS.kind).resumed) == 1


def test_what_is_damaged_is_left_out_and_told(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    kept.add_coder(ROW)
    kept.add(came())
    for file, before, after in (
        ("coders.jsonl", b'"anc_size":4000000', b'"anc_size":""'),
        ("cells.jsonl", b'"proofs":[', b'"proofs":[],"more":['),
    ):
        line = (tmp_path / file).read_bytes()
        assert before in line
        (tmp_path / file).write_bytes(line + line.replace(before, after).replace(b"int8", b"int4"))
    again = journal(tmp_path)
    assert [row.deliveries for row in again.rows] == [1]
    assert len(again.damage) == 2


def test_a_run_goes_on_with_its_own_model_on_its_own_machines(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.under(Conditions(ue=NodeFacts(cpu="one")))
    first.add(came())
    with pytest.raises(UsageError, match="have changed since: the model or its inputs; start"):
        journal(tmp_path, changed(RECORD, model=ModelFacts(name="m", sha256="1")))
    with pytest.raises(UsageError, match="these have changed since: ue"):
        journal(tmp_path).under(Conditions(ue=NodeFacts(cpu="another")))


@pytest.mark.parametrize(
    ("fresh", "says"),
    [
        ({"asked": {"a": 2, "out": "y"}}, "option a"),
        ({"asked": {"a": 1, "out": "y", "config": {"bw": [5]}}}, "option bw"),
        ({"files": {"have": "1"}}, "what is in the file of option have"),
        ({"coded": CodedFacts(git_commit="1", packages={"numpy": "2"})}, "git_commit, packages"),
    ],
)
def test_a_run_goes_on_with_what_it_was_asked_and_what_coded_its_models(
    fresh: dict[str, object], says: str, tmp_path: Path
) -> None:
    begun = changed(RECORD, asked={"a": 1, "out": "x", "config": {"bw": [20]}}, files={"have": "0"})
    journal(tmp_path, begun).add_coder(ROW)
    # what an earlier version did not know, and another place
    journal(tmp_path, changed(begun, asked={**begun.asked, "out": "y", "new": 1}))
    with pytest.raises(UsageError, match=f"these have changed since: {says}; start a new one"):
        journal(tmp_path, changed(begun, **fresh))


def test_where_nothing_is_coded_yet_anything_may_code(tmp_path: Path) -> None:
    journal(tmp_path)
    after = CodedFacts(git_commit="1")
    journal(tmp_path, changed(RECORD, coded=after)).add_coder(ROW)
    assert read_transit_record(tmp_path, MODELS.kind).coded == after


def test_a_table_costs_little_of_what_many_deliveries_take(tmp_path: Path) -> None:
    made: list[int] = []

    def counted(row: ModelRow, deliveries: Sequence[Delivery]) -> ModelRow:
        made.append(len(deliveries))
        return row

    layout = Layout(Kind("a", "a.json", "a.csv"), ModelRow, counted, lambda rows: f"{len(rows)}")
    kept = Journal(RunFolder(tmp_path), layout)
    kept.add_coder(ROW)
    many = 200
    for number in range(many):
        kept.add(came(number=number))
    assert sum(made) < 2 * FRESH * many
    with kept.going_on("", lambda _: None):
        pass
    assert made[-1] == many


@pytest.mark.parametrize(
    ("stopped", "says"),
    [
        (NodeError("it died"), ["what was measured is kept; go on with: it again"]),
        (KeyboardInterrupt(), ["what was measured is kept; go on with: it again"]),
        (UsageError("this cannot be"), []),
    ],
)
def test_what_would_be_refused_again_is_not_advised(
    stopped: BaseException, says: list[str], tmp_path: Path
) -> None:
    kept, said = journal(tmp_path), list[str]()
    with pytest.raises(type(stopped)), kept.going_on("it again", said.append):
        kept.add_coder(ROW)
        raise stopped
    assert said == says
    assert "int8" in (tmp_path / "results.csv").read_text()


def test_what_is_not_measured_is_not_told_to_be_kept(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(NodeError), journal(tmp_path).going_on("it again", said.append):
        raise NodeError("it died")
    assert said == ["go on with: it again"]


def test_what_was_disturbed_is_delivered_again_until_that_is_in_vain(tmp_path: Path) -> None:
    kept, tried, said = journal(tmp_path), list[int](), list[str]()
    kept.add_coder(ROW)
    for number in range(5):
        kept.add(came(others=0.5, number=number))

    def once(one: Delivery) -> None:
        tried.append(one.number)
        kept.add(changed(one, machine=MachineRecord(others_share=0.0 if one.number == 0 else 0.9)))

    once_more(kept, once, said.append)
    assert tried == [0, 1, 2, 3]
    assert [one.number for one in kept.doubtful] == [1, 2, 3, 4]
    assert said[-1].startswith("the machine stays as busy")


def test_what_disturbed_a_row_and_what_it_says_of_itself_are_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [row_of(ROW, [came(others=0.5, resumed=1), came(BOUND_MS + 10, resumed=1)])]
    show_models(Outcome(rows, Path("there")), as_json=False)
    printed = capsys.readouterr()
    assert f"{BOUND_MS + 3:.0f}–{BOUND_MS + 13:.0f} (range of 2)" in printed.out
    assert printed.err.splitlines() == [
        "m as int8 over 20 Mbit/s: disturbed: delivery 1 of 2: other processes used 50% of the "
        "processors",
        "m as int8 over 20 Mbit/s: it was cut off, and its times are longer for it",
    ]


def test_what_no_row_has_is_no_column(capsys: pytest.CaptureFixture[str]) -> None:
    show_models(Outcome([ROW], Path("there")), as_json=False)
    alone = capsys.readouterr().out
    show_models(Outcome([row_of(ROW, [came()])], Path("there")), as_json=False)
    linked = capsys.readouterr().out
    assert ["coder" in each for each in (alone, linked)] == [True, True]
    for heading in ("Mbit/s", "start-up ms", "performance, UE"):
        assert [heading in each for each in (alone, linked)] == [False, True], heading
    assert "its interval" not in linked


def test_who_waits_for_inferences_is_told_of_an_interruption() -> None:
    def infer() -> None:
        raise KeyboardInterrupt

    inferring = Inferring(infer)
    with pytest.raises(KeyboardInterrupt), inferring.going_on():
        pass
