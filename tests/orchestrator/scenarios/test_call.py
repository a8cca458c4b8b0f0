"""The tables of clause 10.5, of a run made up to be known."""

import csv
from pathlib import Path

import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.clause_10_5 import call_tables, quality_table
from orchestrator.scenarios.tables import measured_table
from orchestrator.scenarios.tr import tr_tables
from tests.orchestrator.results.test_flows import Stages, add
from tests.orchestrator.scenarios.test_tr import table, write_scenario
from tests.orchestrator.written import change_run, rows, write_run

NETWORK: Stages = [
    ("preprocess", 9),
    ("encode", 2),
    ("uplink", 5),
    ("decode", 1),
    ("part1", 60),
    ("encode", 6),
    ("downlink2", 20),
    ("decode", 3),
    ("result", 1),
]
UE_B: Stages = [
    ("encode", 2),
    ("uplink", 5),
    ("downlink2", 5),
    ("decode", 1),
    ("part2", 80),
    ("result", 1),
]
LOW, HIGH = 1_000, 4_000  # bytes of a frame at either resolution


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """The network anchor and the device anchor over 8 Mbit/s."""
    (path := tmp_path / "sweep").mkdir()
    folder = RunFolder(path)
    model = {"name": "espcn", "weights": "trained on shapes (seed 1)", "sha256": "ab12"}
    write_run(folder, model=model, asked={"flow": "call", "fps": 30}, verdict="VALID")
    hops = [("uplink", LOW), ("downlink2", HIGH)]
    named = {"split_name": "network anchor", "codec": "avc:22 then avc:27"}
    add(folder, "call", "2:0", NETWORK, hops, **named)
    hops = [("uplink", LOW), ("downlink2", LOW)]
    add(folder, "call", "0:2", UE_B, hops, split_name="device anchor", codec="avc:22")
    return folder


def test_stages_add_up_from_glass_to_glass(folder: RunFolder) -> None:
    times, _ = call_tables(rows(folder), 30)
    network, ue_b = times.lines
    assert network["enlarged_by"] == "the network"
    assert ue_b["enlarged_by"] == "UE-B"
    for line, end_ms in ((network, 98), (ue_b, 94)):
        assert line["glass_to_glass_ms"] == pytest.approx(end_ms)
        left_out = ("glass_to_glass_ms", "bound_ms", "frames_per_s")
        stages = [v for k, v in line.items() if k not in left_out and isinstance(v, float)]
        assert sum(stages) == pytest.approx(end_ms)
        assert line["frames_per_s"] == pytest.approx(1e3 / end_ms, abs=0.01)
    assert (network["network_decode_ms"], network["ue_b_decode_ms"]) == (1, 3)
    assert (network["ue_a_encode_ms"], network["network_encode_ms"]) == (2, 6)
    assert (ue_b["network_model_ms"], ue_b["ue_b_model_ms"]) == (0, 80)


def test_layers_are_told_by_where_they_run_and_the_last_hop_by_its_name(folder: RunFolder) -> None:
    network, ue_b = measured_table(rows(folder)).lines
    assert (network["layers_on_client"], network["layers_on_server"]) == (0, 2)
    assert (ue_b["layers_on_client"], ue_b["layers_on_server"]) == (2, 0)
    assert (network["downlink2_ms"], ue_b["downlink2_ms"]) == (20, 5)
    assert "downlink_ms" not in network


def test_what_bounds_the_rate_is_the_busiest(folder: RunFolder) -> None:
    _, needs = call_tables(rows(folder), 30)
    network, ue_b = needs.lines
    assert network["network_pct"] == pytest.approx(67 * 30 / 10)
    assert network["downlink_pct"] == pytest.approx(HIGH * 8 * 30 / 8e6 * 100)
    assert (network["bounded_by"], ue_b["bounded_by"]) == ("network", "ue-b")
    assert network["most_frames_per_s"] == pytest.approx(1e3 / 67, abs=0.1)
    assert ue_b["most_frames_per_s"] == pytest.approx(1e3 / 82, abs=0.1)


@pytest.mark.parametrize(
    ("model", "shape", "ways"),
    [
        ("bicubic", "1x1x96x128", [("bicubic", "ue-b"), ("bicubic", "network"), ("none", "")]),
        ("unscaled", "1x1x192x256", [("none", "")]),
    ],
)
def test_no_way_to_hold_the_call_is_told_twice(
    model: str, shape: str, ways: list[tuple[str, str]]
) -> None:
    asked = {"model": model, "input": "shapes", "shape": f"luma={shape}", "flow": "call"}
    codecs = {"input_codec": "avc:22", "output_codec": "avc:22", "accuracy_frames": 3}
    told = quality_table(sweep_config(asked | codecs)).lines
    assert [(line["upscaler"], line["where"]) for line in told] == ways


def test_of_a_source_that_needs_no_enlarging_nobody_enlarges_it(folder: RunFolder) -> None:
    change_run(folder, model={"name": "unscaled"})
    times, _ = call_tables(rows(folder), 30)
    assert [line["enlarged_by"] for line in times.lines] == [
        "nobody; the network codes it anew",
        "nobody",
    ]


def test_the_document_has_quality_times_and_needs(folder: RunFolder) -> None:
    asked = {"model": "espcn", "input": "shapes", "shape": "luma=1x1x96x128", "flow": "call"}
    codecs = {"input_codec": "avc:22", "output_codec": "avc:27", "accuracy_frames": 3}
    quality = quality_table(sweep_config(asked | codecs))
    scenario = folder.path.parent
    write_scenario(scenario, clause="10.5", name="Super-resolution", sweep=asked)
    (scenario / "table-quality.csv").write_text(quality.csv())
    text = tr_tables(scenario)
    lines = table(text, "Bit rates, and quality at UE-B (clause 10.5)")
    assert [line["Upscaler"] for line in lines] == ["bicubic", "espcn", "espcn", "none"]
    with (scenario / "table-quality.csv").open() as file:
        psnr = [line["psnr_db"] for line in csv.DictReader(file)]
    assert [line["PSNR (dB)"] for line in lines] == psnr
    (times, _) = table(text, "Glass to glass (clause 10.5), ms, over 8 Mbit/s")
    assert times["Glass to glass (ms)"] == "98"
    (needs, _) = table(text, "What 30 frames a second would need, over 8 Mbit/s")
    assert needs["Bounded by"] == "network"
    assert "Results (clause 10.5)" in text
