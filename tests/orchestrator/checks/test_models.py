"""Two runs of models in transit held against each other (clause 2), made up to be known."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from netem.spec import symmetric
from orchestrator.checks.comparison import measured_of
from orchestrator.checks.crosscheck import CrossCheck
from orchestrator.checks.pack import pack
from orchestrator.checks.pairs import crosschecked
from orchestrator.checks.tolerances import read_tolerances
from orchestrator.results.facts import Conditions, ModelFacts, NodeFacts
from orchestrator.results.kinds import GROWTH, TransitRecord, transit_folder
from orchestrator.results.records import MachineRecord, ProofRecord
from orchestrator.results.run_folder import RunFolder
from orchestrator.transit.begun import begin
from orchestrator.transit.delivery import Delivery
from orchestrator.transit.growth.journal import GrowthJournal
from orchestrator.transit.growth.record import FrameRecord, GrownRecord, GrowthRecord
from orchestrator.transit.growth.row import GROWING
from orchestrator.transit.journal import Journal
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import MODELS
from splitbed.errors import UsageError
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.made_runs import made_run

ROW = ModelRow(
    anc_size=4_000_000, metric_name="accuracy", coder_name="int8", scenario_name="", rec_perf=0.5,
    data_set_name="", model_name="m", unique_tag="", eval_compression=True, eval_anchor=True,
    rec_sha256="00", bit_sha256="11", rec_size=1_000_000,
)  # fmt: skip
PROOF = ProofRecord(uplink_mbit=20, downlink_mbit=20, rtt_min_ms=1)
CAME = Delivery(
    coder="int8", link=symmetric(rate_mbit=20), bytes=1_000_000, link_ms=430.0, receive_ms=440.0,
    open_ms=20.0, first_inference_ms=20.0, sha256="00", ue_perf=0.5, proofs=(PROOF,),
)  # fmt: skip


def run(
    folder: Path, row: ModelRow = ROW, startups_ms: tuple[float, ...] = (480,), cpu: str = "c",
    others: float = 0.0, **asked: object,
) -> Path:  # fmt: skip
    """A run folder of one coder over one link, with deliveries of these start-ups."""
    folder.mkdir()
    record = TransitRecord(
        asked={"coder_name": ["int8"], "config": {"bw": [20]}, **asked},
        model=ModelFacts(name="m", sha256="a"),
        conditions=Conditions(ue=NodeFacts(cpu=cpu), edge=NodeFacts(cpu=cpu)),
    )
    journal = Journal.begun(RunFolder(folder), MODELS, record)
    journal.add_coder(row)
    for number, startup_ms in enumerate(startups_ms):
        link_ms = CAME.link_ms + startup_ms - CAME.startup_ms
        came = changed(CAME, number=number, link_ms=link_ms, receive_ms=link_ms + 10)
        journal.add(changed(came, machine=MachineRecord(others_share=others)))
    return folder


def growth(
    path: Path, sha256: str = "00", error: str | None = None, cpu: str = "c", size: int = 9
) -> Path:
    """A run folder of a model of which one split grew."""
    folder = RunFolder(path)
    folder.path.mkdir()
    record = TransitRecord(
        asked={"config": {"part_coder": "int8"}},
        model=ModelFacts(name="m"),
        conditions=Conditions(ue=NodeFacts(cpu=cpu), edge=NodeFacts(cpu=cpu)),
    )
    begin(folder, GROWTH, record, coded=False)
    part = GrownRecord(
        split="2:4", split_name="middle", codec="raw", lossless=False, coded_bytes=size,
        came_bytes=9, link_ms=20.0, receive_ms=21.0, resumed=0, sha256=sha256, open_ms=1.0,
        since_request_ms=30.0,
    )  # fmt: skip
    frame = FrameRecord(split="2:4", done_ms=30.0, e2e_ms=4.0, max_abs_diff=0.0)
    cell = GrowthRecord(
        way=GROWING, link=CAME.link, grown=(part,), frames=(frame,), proofs=(PROOF,),
        machine=MachineRecord(), error=error,
    )  # fmt: skip
    GrowthJournal(folder).add(cell)
    return folder.path


def check(a: Path, b: Path) -> CrossCheck:
    return crosschecked(a, b, read_tolerances(None))


def test_a_run_reproduces_itself(tmp_path: Path) -> None:
    found = check(a := run(tmp_path / "a"), a)
    assert found.agreed
    assert found.ratios == (1.0,)
    assert "B's start-up times are 1.000 times A's" in found.verdicts["timing"][1]


def test_other_bytes_are_no_reproduction_and_other_times_another_verdict(tmp_path: Path) -> None:
    a = run(tmp_path / "a")
    bytes_ = check(a, run(tmp_path / "b", replace(ROW, rec_sha256="22")))
    assert not bytes_.deterministic
    times = check(a, run(tmp_path / "c", startups_ms=(600,)))
    assert (times.deterministic, times.timing) == (True, False)
    ((_, *told),) = [row.times for row in times.rows]
    assert told == ["startup_ms 480 and 600 (± 10 or 10 %)"]


def test_times_agree_whose_intervals_have_a_value_in_common(tmp_path: Path) -> None:
    a = run(tmp_path / "a", startups_ms=(479, 480, 590))
    b = run(tmp_path / "b", startups_ms=(585, 590, 600))
    assert not any("startup_ms" in told for row in check(a, b).rows for told in row.times)


def test_a_time_that_was_disturbed_says_so_and_does_not_count_among_ratios(tmp_path: Path) -> None:
    found = check(run(tmp_path / "a"), run(tmp_path / "b", startups_ms=(600,), others=0.5))
    ((first, *_, last),) = [row.times for row in found.rows]
    assert first.startswith("link_ms 430 and 550")
    assert last == "B was disturbed: other processes used 50% of the processors"
    assert found.ratios == ()


def test_what_takes_time_and_what_is_counted_on_the_way_is_not_deterministic(
    tmp_path: Path,
) -> None:
    (file := tmp_path / "t.yaml").write_text(
        "models: {enc_time: {relative: 0.1}, rec_eval_time: {relative: 0.1}, deliveries: {}}"
    )
    a = run(tmp_path / "a", replace(ROW, enc_time=1.0, rec_eval_time=1.0))
    b = run(tmp_path / "b", replace(ROW, enc_time=2.0, rec_eval_time=2.0), (480, 480))
    found = crosschecked(a, b, read_tolerances(file))
    assert found.deterministic
    ((*times,),) = [row.times for row in found.rows]
    assert times == [
        "enc_time 1 and 2 (10 %)", "rec_eval_time 1 and 2 (10 %)", "deliveries 1 and 2 (equal)"
    ]  # fmt: skip


def test_another_machine_is_not_held_to_what_processors_take(tmp_path: Path) -> None:
    other = run(tmp_path / "b", replace(ROW, bit_sha256="22"), cpu="d")
    found = check(run(tmp_path / "a"), other)
    assert found.agreed
    assert "the machines differ" in " ".join(found.remarks)


def test_other_options_and_rows_that_one_lacks_are_told(tmp_path: Path) -> None:
    b = run(tmp_path / "b", replace(ROW, coder_name="int4"), runs=3, out_dir="x")
    found = check(run(tmp_path / "a"), b)
    assert {one.what for one in found.same if one.differs} == {"option runs"}
    assert [row.what for row in found.rows] == ["int8 at 20 Mbit/s", "int4"]
    assert not found.agreed


def test_a_scenarios_folder_stands_for_the_run_in_it(tmp_path: Path) -> None:
    (scenario := tmp_path / "s").mkdir()
    run(scenario / "models")
    assert check(scenario, run(tmp_path / "b")).agreed
    run(scenario / "others")
    with pytest.raises(UsageError, match="has several runs of models: give one, models, others"):
        check(scenario, tmp_path / "b")


def test_a_sweep_is_not_taken_for_the_run_of_models_below_it(tmp_path: Path) -> None:
    run(tmp_path / "models")
    assert transit_folder(tmp_path) == tmp_path / "models"
    (tmp_path / "run.json").write_text("{}")
    assert transit_folder(tmp_path) is None


def test_what_is_in_a_file_that_an_option_names_may_not_change(tmp_path: Path) -> None:
    (pictures := tmp_path / "frames.json").write_text("1")
    record = TransitRecord(asked={"config": {"calibration": str(pictures)}})
    begin(RunFolder(tmp_path), GROWTH, record, coded=False)
    begin(RunFolder(tmp_path), GROWTH, record, coded=False)
    pictures.write_text("2")
    with pytest.raises(UsageError, match="what is in the file of option calibration"):
        begin(RunFolder(tmp_path), GROWTH, record, coded=False)


def test_a_run_of_models_is_not_held_against_a_sweep(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a run of models in transit, and the other is none"):
        check(run(tmp_path / "a"), tmp_path / "none")


def test_an_archive_of_a_run_is_held_against_another_as_its_folder_is(tmp_path: Path) -> None:
    a = run(tmp_path / "a")
    archive = pack(a, None, with_model=False, with_input=False)
    assert check(archive, run(tmp_path / "b")).agreed
    assert not check(archive, run(tmp_path / "c", replace(ROW, rec_sha256="22"))).deterministic


def test_models_that_start_later_are_told_from_noise_and_other_bytes_are_named(
    tmp_path: Path,
) -> None:
    steady = [480.0 + place for place in range(8)]
    a = run(tmp_path / "a", startups_ms=(*steady,))
    later = run(tmp_path / "b", startups_ms=tuple(1.5 * ms for ms in steady))
    smaller = run(tmp_path / "c", replace(ROW, rec_size=900_000, rec_perf=0.45), (*steady,))
    disturbed = run(tmp_path / "d", startups_ms=tuple(2 * ms for ms in steady), others=0.5)
    one = run(tmp_path / "e", replace(ROW, coder_name="int4"))
    done = orchestrate("compare", *map(str, (a, a, later, smaller, disturbed, one)), "--json")
    assert done.code == 0, done.err
    same, slower, bytes_, busy, other = json.loads(done.out)
    assert [row["word"] for found in (same, slower, busy) for row in found["rows"]] == [
        "noise", "slower", "disturbed"
    ]  # fmt: skip
    ((row,),) = [slower["rows"]]
    assert (row["coder"], row["link"]) == ("int8", "20 Mbit/s")
    assert row["ratio"] == pytest.approx(1.5)
    assert row["stage"].startswith("link +2")
    assert bytes_["remarks"][-2:] == [
        "int8: 1000000 and 900000 bytes, B/A 0.900", "int8: accuracy 0.5 and 0.45"
    ]  # fmt: skip
    assert other["only_in_one"] == [f"only in {a}: int8 at 20 Mbit/s", f"only in {one}: int4"]
    shown = orchestrate("compare", str(a), str(later))
    assert "deliveries to tell" in shown.out
    assert "--runs 6 or more" in shown.out


def test_one_delivery_each_tells_no_change(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b", startups_ms=(960,))
    ((row,),) = [
        one["rows"] for one in json.loads(orchestrate("compare", str(a), str(b), "--json").out)
    ]
    assert (row["word"], row["ratio"]) == ("noise", 2.0)


def test_what_came_in_one_run_alone_or_in_neither_is_told(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b", startups_ms=())
    Journal(RunFolder(b), MODELS).add(changed(CAME, error="cut off"))
    done = orchestrate("compare", str(a), str(b), str(a), "--json")
    fewer, same = json.loads(done.out)
    assert fewer["only_in_one"] == [f"only in {a}: int8 at 20 Mbit/s"]
    assert (fewer["rows"], same["only_in_one"]) == ([], [])
    (neither,) = json.loads(orchestrate("compare", str(b), str(b), "--json").out)
    assert neither["only_in_one"] == ["without a delivery in both: int8 at 20 Mbit/s"]


def test_models_of_one_name_are_told_apart_by_their_weights() -> None:
    seeded, trained = (ModelFacts(name="m", weights=w, sha256=w) for w in ("seeded", "trained"))
    assert measured_of(seeded, trained) == ["the models differ: m, seeded and m, trained"]
    assert measured_of(seeded, seeded) == []


def test_growths_and_sweeps_are_not_compared_with_models(tmp_path: Path) -> None:
    a = run(tmp_path / "a")
    grown = orchestrate("compare", str(a), str(growth(tmp_path / "b")))
    assert (grown.code, "a run of `orchestrate grow`" in grown.err) == (2, True)
    swept = orchestrate("compare", str(a), str(made_run(tmp_path / "c").path))
    assert f"{a} is a run of models in transit, and the other is none" in swept.err


@pytest.mark.parametrize("command", ["report", "replay"])
def test_what_is_for_sweeps_names_the_run_of_models_and_what_takes_it(
    tmp_path: Path, command: str
) -> None:
    (scenario := tmp_path / "s").mkdir()
    named = run(scenario / "models")
    given = [str(scenario), "--format", "csv"] if command == "report" else [str(named)]
    if command == "replay":
        given = [str(named := pack(named, None, with_model=False, with_input=False))]
    result = orchestrate(command, *given)
    assert result.code == 2
    assert f"{named} is a run of `orchestrate model-sweep`" in result.err
    for words in ("report --tr` lays them out", "crosscheck` holds it against another"):
        assert words in result.err


def test_growths_are_held_against_each_other_by_their_parts(tmp_path: Path) -> None:
    a = growth(tmp_path / "a")
    assert check(a, a).agreed
    assert not check(a, growth(tmp_path / "b", sha256="11")).deterministic
    cut = check(a, growth(tmp_path / "c", error="the link was cut"))
    assert (cut.deterministic, cut.timing) == (True, False)
    larger = check(a, growth(tmp_path / "d", cpu="d", size=12))
    assert (larger.deterministic, larger.timing) == (False, True)
    with pytest.raises(UsageError, match="give two of one kind"):
        check(a, run(tmp_path / "models"))
