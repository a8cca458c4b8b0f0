"""Rows of flows other than uplink: columns, the bound over all hops, anchors, words."""

import csv
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from netem.spec import LinkSpec, symmetric
from netem.wire import Segment, wire_ms
from orchestrator.ask.flow import FLOWS
from orchestrator.results.clock import ClockModel, Offset
from orchestrator.results.columns.flow import flow_columns
from orchestrator.results.journal import Journal
from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.verdict import judge_run
from orchestrator.results.node_clocks import NodeClocks
from orchestrator.results.prediction import with_prediction
from orchestrator.results.records import ClockRecord, FrameRecord
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import CELLS_FILE, SAMPLES_FILE, SUMMARY_FILE, RunFolder
from orchestrator.results.statistics.times import cell_times
from splitbed.timeline import Stage
from tests.orchestrator.measure.test_profile import node, profile
from tests.orchestrator.results.test_summary import PROOF, SPEC, TCP, made_cell
from tests.orchestrator.written import change_run, rows, write_run

INPUT, DATA, RESULT = 100_000, 20_000, 500
UP_MS, DOWN_MS = wire_ms(INPUT, SPEC.uplink), wire_ms(DATA, SPEC.downlink)
BACK_MS = wire_ms(RESULT, SPEC.downlink)

Stages = list[tuple[str, float]]
Hops = list[tuple[str, int]]


def add(folder: RunFolder, flow: str, split: str, stages: Stages, hops: Hops, **of: Any) -> None:
    """A cell of three frames whose stages follow one another, each of so many ms."""
    at_ns, timed = 1_000_000, []
    for name, ms in stages:
        timed.append([name, at_ns, at_ns := at_ns + int(ms * 1e6)])
    cell, _ = made_cell(split, [], flow=flow, frames=3, **of)
    told = {"attempt": split, "stages": timed, "result_bytes": RESULT, "hops": hops}
    told |= {"releases": of.pop("releases", {})}
    frames = [FrameRecord.from_plain(told | {"frame": n, "max_abs_diff": 0.0}) for n in range(3)]
    for frame in frames:
        folder.append(SAMPLES_FILE, frame.line())
    folder.append(CELLS_FILE, cell.line())


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of the flow downlink: both anchors and a split."""
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m", "weights": "the file's own"}, asked={"flow": "downlink"})
    add(
        folder,
        "downlink",
        "2:0",
        [
            ("encode", 1),
            ("uplink", UP_MS + 1),
            ("decode", 2),
            ("part1", 20),
            ("result", 1),
            ("downlink", BACK_MS),
        ],
        [("uplink", INPUT), ("downlink", RESULT)],
        split_name="network anchor",
    )
    add(
        folder,
        "downlink",
        "1:1",
        [
            ("preprocess", 9),
            ("encode", 1),
            ("uplink", UP_MS),
            ("decode", 2),
            ("part1", 10),
            ("encode", 3),
            ("downlink", DOWN_MS),
            ("decode", 4),
            ("part2", 5),
            ("result", 1),
        ],
        [("uplink", INPUT), ("downlink", DATA)],
        codec="jpeg:75 then int8",
    )
    device = {"split_name": "device anchor", "codec": "none", "intermediate_tensors": 0}
    add(folder, "downlink", "0:2", [("part2", 400), ("result", 2)], [], **device)
    return folder


def test_a_row_has_the_columns_of_its_flow(folder: RunFolder) -> None:
    network, split, device = rows(folder)
    assert dict(split.of_flow) == {
        "ue_encode_ms": 1,
        "uplink_bytes": INPUT,
        "edge_decode_ms": 2,
        "edge_encode_ms": 3,
        "downlink_bytes": DATA,
        "ue_decode_ms": 4,
    }
    assert (split.part1_ms, split.part2_ms, split.encode_ms, split.decode_ms) == (10, 5, 4, 6)
    assert (split.encoded_bytes, network.encoded_bytes, device.encoded_bytes) == (DATA, INPUT, 0)
    assert split.frame_kbit == 8 * (INPUT + DATA) / 1e3
    assert network.frame_kbit == 8 * (INPUT + RESULT) / 1e3
    assert device.frame_kbit == 0


def test_a_second_link_has_columns_of_its_own(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m", "weights": "the file's own"}, asked={"flow": "call"})
    stages = [
        ("encode", 1),
        ("uplink", UP_MS),
        ("decode", 2),
        ("part1", 10),
        ("encode", 3),
        ("downlink2", DOWN_MS),
        ("decode", 4),
        ("result", 1),
    ]
    hops = [("uplink", INPUT), ("downlink2", DATA)]
    to_b = symmetric(rate_mbit=80, delay_ms=5)
    proof = PROOF | {"ends": ["ue-b", "network"], "uplink_mbit": 80, "downlink_mbit": 82}
    ends = [proof | {"tcp": TCP}, proof | {"tcp": TCP | {"retransmits": 7}}]
    links = {"links": [SPEC.model_dump(), to_b.model_dump()], "proofs": ends}
    add(folder, "call", "2:0", stages, hops, codec="avc:22 then avc:30", **links)
    (row,) = rows(folder)
    assert (row.link, row.bw_mbit) == ("8 Mbit/s and 80 Mbit/s, 5 ms", 8)
    assert row.link_mbit is None  # nothing proved the first
    assert dict(row.of_flow) == {
        "ue_a_encode_ms": 1,
        "uplink_bytes": INPUT,
        "network_decode_ms": 2,
        "network_encode_ms": 3,
        "downlink2_ms": pytest.approx(DOWN_MS, abs=1e-5),
        "downlink2_bytes": DATA,
        "ue_b_decode_ms": 4,
        "uplink2_mbit": 80,
        "uplink2_delay_ms": 5,
        "downlink2_mbit": 80,
        "downlink2_delay_ms": 5,
        "link2_mbit": 80,
        "link2_down_mbit": 82,
        "link2_rtt_ms": PROOF["rtt_min_ms"],
        "link2_retransmits": 7,
    }
    assert row.bound_ms == pytest.approx(21 + UP_MS + wire_ms(DATA, to_b.downlink))
    assert row.encoded_bytes == DATA  # outputs, which cross encoded
    assert row.uplink_ms == pytest.approx(UP_MS, abs=1e-5)
    assert row.downlink_ms is None  # the flow has none


def test_the_bound_is_over_all_hops(folder: RunFolder) -> None:
    network, split, device = rows(folder)
    assert split.bound_ms == pytest.approx(26 + UP_MS + DOWN_MS)
    assert split.e2e_over_bound == pytest.approx(1)
    assert network.bound_ms == pytest.approx(24 + UP_MS + BACK_MS)
    assert device.bound_ms == 402
    assert split.network_ms == pytest.approx(UP_MS + DOWN_MS)


def test_anchors_are_those_of_the_flow_and_the_run_is_valid(folder: RunFolder) -> None:
    table = rows(folder)
    assert [row.anchor for row in table] == ["network anchor", None, "device anchor"]
    assert judge_run(table, 3).valid
    assert [row.best_anchor for row in table] == ["network anchor"] * 3


def test_advice_names_the_flow_and_what_was_sent(folder: RunFolder) -> None:
    first, where, *_ = advice(rows(folder))
    assert first == f"Flow downlink: {FLOWS['downlink'].words}."
    assert "the network anchor with its input raw" in where
    assert "the device anchor" in where


def test_summary_has_the_flow_s_columns_from_its_first_line_on(folder: RunFolder) -> None:
    with Journal(folder, folder.read_run()) as journal:
        cell, _ = made_cell("1:1", [], flow="downlink", key="late", attempt="late", error="no")
        journal.add_cell(cell)
        lines = [*csv.DictReader((folder.path / SUMMARY_FILE).open())]
        written = (folder.path / SUMMARY_FILE).read_text()
        journal.write_tables()
    assert [line["flow"] for line in lines] == ["downlink"] * 4
    assert [line["uplink_bytes"] for line in lines] == [str(INPUT), str(INPUT), "0", ""]
    assert list(lines[0])[-6:] == list(flow_columns("downlink"))
    assert (folder.path / SUMMARY_FILE).read_text() == written


def test_rows_of_the_flow_uplink_have_no_more_columns(folder: RunFolder) -> None:
    assert flow_columns("uplink") == {}
    assert list(flow_columns("remote-source")) == ["downlink_bytes"]


def test_a_remote_source_sends_results_or_data_down(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m"}, asked={"flow": "remote-source"})
    named = ("2:0", "network anchor"), ("1:1", "cut"), ("0:2", "device anchor")
    sent = RESULT, DATA, INPUT
    for (split, name), nbytes in zip(named, sent, strict=True):
        part1 = [] if split == "0:2" else [("part1", 10.0)]
        wire = wire_ms(nbytes, SPEC.downlink)
        stages = [*part1, ("downlink", wire + 1), ("part2", 10.0)]
        add(folder, "remote-source", split, stages, [("downlink", nbytes)], split_name=name)
    table = rows(folder)
    network = table[0]
    assert [row.encoded_bytes for row in table] == [0, DATA, INPUT]
    assert [row.sends_input for row in table] == [False, False, True]
    assert network.e2e_ms == pytest.approx(21 + BACK_MS)
    assert network.e2e_over_bound == pytest.approx((21 + BACK_MS) / (20 + BACK_MS))
    assert all(row.valid for row in table)
    words = " ".join(advice(table))
    assert "the network anchor " in words
    assert "the network anchor with its input" not in words


def test_a_third_anchor_is_where_privacy_lets_the_cut_be(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m", "weights": "the file's own"})
    for split, name, ms in (
        ("0:3", "network anchor", 50.0),
        ("1:2", "private anchor", 60.0),
        ("2:1", "cut", 80.0),
        ("3:0", "device anchor", 100.0),
    ):
        cell, frames = made_cell(split, [ms] * 3, split_name=name)
        for frame in frames:
            folder.append(SAMPLES_FILE, frame.line())
        folder.append(CELLS_FILE, cell.line())
    table = rows(folder)
    assert [row.anchor for row in table][1:3] == ["private anchor", None]
    (line, *_) = advice(table)
    assert "do not split: the network anchor with its input raw" in line
    assert "the private anchor, 1:2 60 ms" in line
    (line, *_) = advice([row for row in table if row.split != "0:3"] + [slower(table[0])])
    assert "cut for privacy alone: the private anchor, 1:2 takes 60 ms" in line


def slower(row: Row) -> Row:
    """The same, ten times as slow."""
    from msgspec.structs import replace

    ms = 10 * (row.e2e_ms or 0)
    told = {"e2e_ms": ms, "e2e_low_ms": ms, "e2e_high_ms": ms, "samples_ms": (ms,) * 3}
    return replace(row, **told)


def test_the_edge_s_stages_are_moved_onto_the_ue_s_clock_whatever_the_flow() -> None:
    lead = 10**12
    offset = Offset(at_ns=0, low_ns=lead - 5, high_ns=lead + 5, rtt_ns=10, exchanges=1)
    model = {"edge": ClockModel((offset,), offset)}
    remote, local = NodeClocks("remote-source", model), NodeClocks("downlink", model)
    down = [Stage("part1", lead, lead + 10), Stage("downlink", lead + 10, 30)]
    moved = remote.on_one([*down, Stage("part2", 30, 40)])
    assert [(s.start_ns, s.end_ns) for s in moved] == [(0, 10), (10, 30), (30, 40)]
    there = [Stage("uplink", 0, lead + 5), Stage("part1", lead + 5, lead + 9)]
    back = [Stage("downlink", lead + 9, 20), Stage("decode", 20, 21)]
    moved = local.on_one([Stage("encode", -1, 0), *there, *back])
    ends = [(-1, 0), (0, 5), (5, 9), (9, 20), (20, 21)]
    assert [(s.start_ns, s.end_ns) for s in moved] == ends
    early = [Stage("part1", lead + 10, lead + 20), Stage("downlink", lead + 20, 17)]
    assert remote.on_one(early)[1].ms == 0  # it came in after it was sent


def test_runs_say_their_flow(folder: RunFolder) -> None:
    assert folder.read_run().flow == "downlink"
    change_run(folder, asked={})
    assert folder.read_run().flow == "uplink"


@pytest.mark.parametrize(("early_ms", "valid"), [(0.0, True), (3.0, True), (9.0, False)])
def test_a_time_that_ends_on_another_clock_is_as_unsure_as_the_clocks(
    tmp_path: Path, early_ms: float, valid: bool
) -> None:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m"}, asked={"flow": "remote-source"})
    ms = int(1e6)
    reading = Offset(at_ns=0, low_ns=-4 * ms, high_ns=4 * ms, rtt_ns=8 * ms, exchanges=1)
    clock = ClockRecord.of(ClockModel((reading,), reading), 0).plain()
    stages = [("part1", 10.0), ("downlink", DOWN_MS - early_ms), ("part2", 10.0)]
    add(folder, "remote-source", "1:1", stages, [("downlink", DATA)], clock=clock)
    (row,) = rows(folder)
    assert row.valid == valid
    assert ("ends on another clock than it began, is unsure by 4 ms" in row.reason) == valid


def test_a_time_that_ends_on_another_clock_is_not_known_where_one_jumped(tmp_path: Path) -> None:
    ms, stages = int(1e6), [("part1", 10.0), ("downlink", DOWN_MS), ("part2", 10.0)]
    first = Offset(at_ns=0, low_ns=0, high_ns=ms, rtt_ns=ms, exchanges=1)
    later = Offset(at_ns=ms, low_ns=900 * ms, high_ns=901 * ms, rtt_ns=ms, exchanges=1)
    clock = ClockRecord.of(ClockModel((first, later), first), 0).plain()
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m"}, asked={"flow": "remote-source"})
    add(folder, "remote-source", "1:1", stages, [("downlink", DATA)], clock=clock)
    (row,) = rows(folder)
    assert not row.valid
    assert "another clock than they began, and one-way times are not known" in row.reason


def test_a_chain_has_a_third_part_and_a_bound_over_both_links(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m"}, asked={"flow": "chain"})
    far = symmetric(rate_mbit=80, delay_ms=3)
    far_ms = wire_ms(DATA, far.uplink), wire_ms(RESULT, far.downlink)
    stages = [
        *[("part1", 5), ("uplink", UP_MS), ("part2", 6), ("uplink2", far_ms[0]), ("part3", 7)],
        *[("result", 1), ("downlink2", far_ms[1]), ("downlink", BACK_MS)],
    ]
    hops = [("uplink", INPUT), ("uplink2", DATA), ("downlink2", RESULT), ("downlink", RESULT)]
    links = [SPEC.model_dump(), far.model_dump()]
    add(folder, "chain", "1:2:3", stages, hops, links=links)
    (row,) = rows(folder)
    assert (row.layers, row.anchor, row.valid) == ((1, 2, 3), None, True)
    assert row.value("part3_ms") == 7
    assert row.value("uplink2_bytes") == DATA
    assert row.bound_ms == pytest.approx(19 + UP_MS + sum(far_ms) + BACK_MS)
    assert row.e2e_over_bound == pytest.approx(1)
    assert row.network_ms == pytest.approx(UP_MS + sum(far_ms) + BACK_MS)


def test_what_a_chain_encodes_meanwhile_holds_it_once(tmp_path: Path) -> None:
    write_run(folder := RunFolder(tmp_path), model={"name": "m"}, asked={"flow": "chain"})
    up_ms, held_ms = wire_ms(DATA, SPEC.uplink), 30.0
    # nothing is computed between: what is handed on as it came is as large
    stages = [
        *[("part1", 5), ("encode", 1), ("uplink", up_ms + held_ms), ("part2", 0)],
        *[("uplink2", up_ms), ("decode", 1), ("part3", 7)],
        *[("result", 1), ("downlink2", BACK_MS), ("downlink", BACK_MS)],
    ]
    hops = [("uplink", DATA), ("uplink2", DATA), ("downlink2", RESULT), ("downlink", RESULT)]
    last = [round((held_ms + up_ms - SPEC.uplink.delay_ms) * 1e6), 0]
    told = {"uplink": [last], "uplink9": [[1, 1]]}
    add(folder, "chain", "1:0:2", stages, hops, links=[SPEC.model_dump()] * 2, releases=told)
    (row,) = rows(folder)
    assert row.overlapped_ms == pytest.approx(last[0] / 1e6)
    assert row.held_ms == pytest.approx(held_ms)
    assert row.e2e_over_bound == pytest.approx(1)
    predicted = with_prediction(row, profile((5, 3, 4), (5, 3, 4)))
    assert predicted.e2e_predicted_ms is not None
    without = with_prediction(
        structs.replace(row, overlapped_ms=0.0), profile((5, 3, 4), (5, 3, 4))
    )
    assert without.e2e_predicted_ms is not None
    assert predicted.e2e_predicted_ms - without.e2e_predicted_ms == pytest.approx(held_ms, rel=0.01)


def two_users(folder: RunFolder, links: list[LinkSpec], *, shared: bool = False) -> Row:
    """A frame whose trunk takes 11 ms, one head 4 ms and the other 30 ms, over these links."""
    write_run(folder, model={"name": "m"}, asked={"flow": "multi-head"})
    wires_ms = [wire_ms(DATA, link.downlink) for link in links]
    ms, ways = 1e6, []
    for hop, wire, head in zip(("downlink", "downlink2"), wires_ms, (4, 30), strict=True):
        ends = [11, 11 + wire, 12 + wire, 12 + wire + head]
        for name, first, last in zip((hop, "decode", "part2"), ends, ends[1:], strict=False):
            ways.append([name, int(first * ms), int(last * ms)])
    trunk = [["part1", 0, int(10 * ms)], ["encode", int(10 * ms), int(11 * ms)]]
    cell, _ = made_cell("1:1", [], flow="multi-head", frames=1, links=links, shared=shared)
    told = {"stages": trunk + ways, "hops": [("downlink", DATA), ("downlink2", DATA)]}
    frame = FrameRecord.from_plain(told | {"attempt": "1:1", "encoded_bytes": DATA})
    folder.append(SAMPLES_FILE, frame.line())
    folder.append(CELLS_FILE, cell.line())
    (row,) = rows(folder)
    return row


def test_a_frame_of_two_users_ends_with_the_last_and_is_bound_by_the_longer_way(
    tmp_path: Path,
) -> None:
    far = symmetric(rate_mbit=80, delay_ms=3)
    row, far_ms = two_users(RunFolder(tmp_path), [SPEC, far]), wire_ms(DATA, far.downlink)
    e2e_ms = {"ue-1": 16 + DOWN_MS, "ue-2": 42 + far_ms}
    assert row.e2e_ms == pytest.approx(max(e2e_ms.values()), abs=1e-5)
    told = {
        "downlink_bytes": DATA,
        "ue_1_decode_ms": 1,
        "ue_1_part2_ms": 4,
        "ue_1_e2e_ms": e2e_ms["ue-1"],
        "downlink2_ms": far_ms,
        "downlink2_bytes": DATA,
        "ue_2_decode_ms": 1,
        "ue_2_part2_ms": 30,
        "ue_2_e2e_ms": e2e_ms["ue-2"],
        **dict.fromkeys(["uplink2_mbit", "downlink2_mbit"], 80),
        **dict.fromkeys(["uplink2_delay_ms", "downlink2_delay_ms"], 3),
    }
    found = {name: row.value(name) for name in told}
    assert found == pytest.approx(told, abs=1e-5)
    assert row.bound_ms == pytest.approx(max(e2e_ms.values()), abs=1e-5)
    assert row.frame_kbit == 2 * 8 * DATA / 1e3
    assert row.encoded_bytes == DATA


@pytest.mark.parametrize("rate_mbit", [100, 1])  # a way takes less than the longer head, or more
def test_users_that_share_a_link_wait_for_one_another_there(
    tmp_path: Path, rate_mbit: float
) -> None:
    link = symmetric(rate_mbit=rate_mbit, delay_ms=3)
    row = two_users(RunFolder(tmp_path), [link, link], shared=True)
    once_ms = wire_ms(DATA, link.downlink) - 3
    assert (once_ms > 30 - 4) == (rate_mbit == 1)
    # the one whose head takes 30 ms goes first
    assert row.bound_ms == pytest.approx(11 + 3 + max(once_ms + 1 + 30, 2 * once_ms + 1 + 4))
    assert row.link.endswith("shared by 2 UEs")


def test_what_no_stage_explains_is_of_the_way_on_which_a_frame_ends_last() -> None:
    ways = [("downlink", 10, 20), ("part2", 25, 30), ("downlink2", 10, 50), ("part2", 50, 100)]
    timed = [[name, *(int(ms * 1e6) for ms in ends)] for name, *ends in [("part1", 0, 10), *ways]]
    frame = FrameRecord.from_plain({"attempt": "1:1", "stages": timed})
    times = cell_times([frame, frame], None, "multi-head")
    assert times.e2e_ms.tolist() == [100, 100]
    assert times.gap_share.tolist() == [0, 0]


def test_of_two_users_the_longer_way_is_predicted(tmp_path: Path) -> None:
    row = two_users(RunFolder(tmp_path), [SPEC, SPEC])
    quick = profile((10, 4), (10, 20))
    segments = [Segment(), Segment(1428, 86)]
    told = with_prediction(row, quick.replaced(others={"ue-2": node((10, 30))}), segments)
    # half as long again after a pause, and 0.4 ms to run it at all
    assert (told.part1_predicted_ms, told.part2_predicted_ms) == pytest.approx((15.4, 6.4 + 45.4))
    quiet_ms = 15.4 + 1 + 1 + 45.4 + wire_ms(round(1.0005 * DATA), SPEC.downlink, *segments[1])
    assert told.e2e_predicted_ms == pytest.approx(quiet_ms + 0.9)
    assert told.e2e_over_quiet == pytest.approx((row.e2e_ms or 0) / quiet_ms)
