"""A run of three nodes as its readers are shown it: every part, every hop, each node's time."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from orchestrator.checks.compare import _stage
from orchestrator.reports.export import export
from orchestrator.reports.page_facts import facts
from orchestrator.reports.table import sweep_table
from orchestrator.reports.terminal import Plain
from orchestrator.results.judgement.compression import compression_needed
from orchestrator.results.run_folder import PROFILE_FILE, RunFolder
from orchestrator.scenarios.tr import tr_tables
from tests.orchestrator.measure.test_profile import node, profile
from tests.orchestrator.results.test_flows import DOWN_MS, Stages, add, two_users
from tests.orchestrator.results.test_summary import PROOF, SPEC
from tests.orchestrator.scenarios.test_tr import table
from tests.orchestrator.written import rows, write_run

SPLIT: Stages = [
    ("part1", 10),
    ("encode", 1),
    ("uplink", 30),
    ("decode", 2),
    ("part2", 20),
    ("encode", 3),
    ("uplink2", 12),
    ("decode", 4),
    ("part3", 40),
    ("result", 5),
    ("downlink2", 1),
    ("downlink", 1),
]
CLOUD: Stages = [
    ("encode", 1),
    ("uplink", 40),
    ("uplink2", 40),
    ("decode", 2),
    ("part3", 70),
    ("result", 5),
    ("downlink2", 1),
    ("downlink", 1),
]
BACK = [("downlink2", 500), ("downlink", 500)]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A chain's split 1:1:1, and the anchor in the cloud."""
    folder = RunFolder(tmp_path)
    model = {"name": "m", "weights": "the file's own", "bytes": 3_000_000}
    write_run(folder, model=model, asked={"flow": "chain"}, verdict="VALID")
    hops = [("uplink", 40_000), ("uplink2", 40_000), *BACK]
    named = {"split_name": "network anchor (cloud)", "codec": "raw"}
    add(folder, "chain", "0:0:3", CLOUD, hops, further_bytes=[3_000_000], **named)
    hops = [("uplink", 30_000), ("uplink2", 12_000), *BACK]
    of = {"split_name": "a+b", "codec": "int8", "lossless": False}
    add(folder, "chain", "1:1:1", SPLIT, hops, further_bytes=[2_000_000], **of)
    return folder


def test_a_row_has_the_size_and_the_time_of_every_part(folder: RunFolder) -> None:
    _, split = rows(folder)
    assert split.of_parts("ms") == [10, 20, 40]
    assert split.of_parts("bytes") == [1, 2, 2_000_000]


def test_the_table_of_a_terminal_has_all_parts_and_what_crosses_all_hops(folder: RunFolder) -> None:
    console = Plain(width=200)
    shown = Console(file=(text := StringIO()), width=200)
    console.file = shown.file
    sweep_table(rows(folder)).show(console)
    head, *lines = [line for line in text.getvalue().splitlines() if line.strip()][1:]
    assert "part 1 ms" in head
    assert "part 3 ms" in head
    (line,) = [line for line in lines if "a+b" in line]
    assert "0.0420" in line  # MB over both hops, without results
    assert [word for word in line.split() if word in ("10.0", "20.0", "40.0")] == [
        "10.0",
        "20.0",
        "40.0",
    ]


def test_a_papers_table_has_parts_and_hops_in_the_order_of_a_frame(folder: RunFolder) -> None:
    heads = export(rows(folder), "md").decode().splitlines()[0]
    words = ["part 1 (ms)", "uplink (ms)", "part 2 (ms)", "uplink2 (ms)", "part 3 (ms)"]
    places = [heads.index(word) for word in words]
    assert places == sorted(places)
    assert "downlink" not in heads  # results alone cross it


def test_the_page_is_told_every_stage_hop_and_place(folder: RunFolder) -> None:
    told = facts(folder.path)
    assert told["stages"] == [
        *("part1", "encode", "uplink", "decode", "part2", "uplink2", "part3", "result"),
        *("downlink2", "downlink", "network"),
    ]
    assert told["hops"] == ["uplink", "uplink2", "downlink2", "downlink"]
    assert told["places"] == ["UE", "edge", "cloud", "link"]
    assert isinstance(cells := told["cells"], list)
    assert [cell["sent"] for cell in cells] == [80_000, 42_000]


def test_the_page_is_told_no_rates_that_were_known_before(tmp_path: Path) -> None:
    write_run(folder := RunFolder(tmp_path), model={"name": "m"}, asked={"flow": "downlink"})
    of: dict[str, Any] = {"split_name": "device anchor", "codec": "none", "intermediate_tensors": 0}
    proofs = [PROOF | {"rates_known": True}, PROOF]
    add(folder, "downlink", "0:2", [("part2", 400), ("result", 2)], [], proofs=proofs, **of)
    cells = facts(folder.path)["cells"]
    assert isinstance(cells, list)
    told = [proof["proved"] for proof in cells[0]["proofs"]]
    assert told == [[None, None, 0.2], [8, 8, 0.2]]


def test_the_picture_stacks_up_to_the_end_but_for_the_result(folder: RunFolder) -> None:
    _, split = rows(folder)
    from orchestrator.reports.picture import run_picture

    bars = run_picture([split]).axes[0].patches
    assert sum(bar.get_width() for bar in bars) == pytest.approx(sum(ms for _, ms in SPLIT) - 5)  # type: ignore[attr-defined]


def test_the_document_has_layers_and_time_of_every_node(folder: RunFolder) -> None:
    text = tr_tables(folder.path)
    (_, line) = table(text, "as measured over 8 Mbit/s")
    assert line["No. of layers on client"] == line["No. of layers on server (cloud)"] == "1"
    times = [line[f"{node} time (ms)"] for node in ("Client", "Server (edge)", "Server (cloud)")]
    assert times == ["11.000", "25.000", "49.000"]
    assert (line["Sent on the uplink (MB)"], line["Sent on the uplink2 (MB)"]) == ("0.03", "0.012")
    (sizes,) = table(text, "Test split model file sizes")
    assert sizes["Part 3 (MB)"] == "2.000"


def test_the_document_has_what_each_node_takes_for_the_model(folder: RunFolder) -> None:
    told = profile((4, 2, 1), (3, 8, 1)).replaced(others={"cloud": node((1, 1, 1))})
    (folder.path / PROFILE_FILE).write_text(told.model_dump_json())
    devices = table(tr_tables(folder.path), "Performance measurements at each device")
    names = [(line["Device"], line["Inference time of steady state (ms)"]) for line in devices]
    assert names == [("UE", "7"), ("edge", "12"), ("cloud", "3")]
    _, split = rows(folder)
    assert [ms is not None for ms in split.of_parts("predicted_ms")] == [True, True, True]


def test_what_moved_between_two_runs_may_be_any_stage(folder: RunFolder) -> None:
    _, split = rows(folder)
    later = replace(split, of_flow=(*split.of_flow, ("part3_ms", 60.0)), e2e_ms=150.0)
    assert _stage(split, later) == "part3 +20.0 ms"


def test_all_data_of_a_chain_shrink_together(folder: RunFolder) -> None:
    anchor, split = rows(folder)
    assert compression_needed(anchor) is None
    late_ms = sum(ms for _, ms in SPLIT) - sum(ms for _, ms in CLOUD)
    assert compression_needed(split) == pytest.approx(42 / (42 - late_ms))


def test_pictures_of_two_users_are_of_the_last_one_s_way(tmp_path: Path) -> None:
    row = two_users(RunFolder(tmp_path), [SPEC, SPEC])
    from matplotlib.patches import Rectangle

    from orchestrator.reports.picture import run_picture

    (axes,) = run_picture([row]).axes
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    widths = [bar.get_width() for bar in bars]  # of part 1, encode, the hop, decode, part 2
    assert widths == pytest.approx([10, 1, DOWN_MS, 1, 30], abs=1e-5)
    cells = facts(tmp_path)["cells"]
    assert isinstance(cells, list)
    names = ("part1", "encode", "downlink", "decode", "part2", "result")
    assert [cells[0]["taken"][name] for name in names] == pytest.approx([*widths, 0], rel=1e-5)
