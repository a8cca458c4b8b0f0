"""A video call's ways, held against each other without a link."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.commands import orchestrate

SMALL = ["--input", "shapes", "--shape", "luma=1x1x96x128", "--frames", "4"]
Line = dict[str, Any]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Line]:
    """By who doubles, where, and the codecs of both hops."""
    out = tmp_path_factory.mktemp("call") / "call.csv"
    codecs = ["--input-codecs", "avc:20,avc:40", "--output-codecs", "avc:20,uint8"]
    done = orchestrate("call", *SMALL, *codecs, "--json", "--out", str(out))
    assert done.code == 0, done.err
    lines: list[Line] = json.loads(done.out)
    with out.open() as file:
        written = list(csv.DictReader(file))
    assert [line["psnr_db"] for line in written] == [
        "" if line["psnr_db"] is None else str(line["psnr_db"]) for line in lines
    ]
    return {
        (line["upscaler"], line["where"], line["uplink_codec"], line["downlink_codec"]): line
        for line in lines
    }


def test_every_anchor_and_configuration_is_there(held: dict[tuple[str, ...], Line]) -> None:
    at_b = [(name, "ue-b", c, c) for c in ("avc:20", "avc:40") for name in ("bicubic", "espcn")]
    network = [
        ("espcn", "network", c, d) for c in ("avc:20", "avc:40") for d in ("avc:20", "uint8")
    ]
    whole = [("none", "", d, d) for d in ("avc:20", "uint8")]
    assert set(held) == {*at_b, *network, *whole}


def test_a_source_that_crosses_without_loss_is_the_source(
    held: dict[tuple[str, ...], Line],
) -> None:
    line = held["none", "", "uint8", "uint8"]
    assert (line["psnr_db"], line["ssim"]) == (None, 1)
    assert line["uplink_kbit_s"] == pytest.approx(256 * 192 * 8 * 30 / 1e3)
    assert line["downlink_in_colour_kbit_s"] == pytest.approx(3 * 256 * 192 * 8 * 30 / 1e3)


def test_ue_b_gets_what_ue_a_sent_unless_the_network_doubles_it(
    held: dict[tuple[str, ...], Line],
) -> None:
    for (_, where, *_), line in held.items():
        passed_on = line["uplink_kbit_s"] == line["downlink_kbit_s"]
        assert passed_on == (where != "network")
        assert line["uplink_kbit_s"] <= line["uplink_in_colour_kbit_s"]


def test_a_coarser_quantiser_saves_bits_and_costs_quality(
    held: dict[tuple[str, ...], Line],
) -> None:
    for name in ("bicubic", "espcn"):
        fine, coarse = (held[name, "ue-b", codec, codec] for codec in ("avc:20", "avc:40"))
        assert fine["uplink_kbit_s"] > 3 * coarse["uplink_kbit_s"]
        assert fine["psnr_db"] > coarse["psnr_db"]
        assert fine["ssim"] > coarse["ssim"]


def test_super_resolution_is_better_than_bicubic_and_loses_by_being_coded_again(
    held: dict[tuple[str, ...], Line],
) -> None:
    plain = held["bicubic", "ue-b", "avc:20", "avc:20"]["psnr_db"]
    here = held["espcn", "ue-b", "avc:20", "avc:20"]["psnr_db"]
    exact = held["espcn", "network", "avc:20", "uint8"]["psnr_db"]
    again = held["espcn", "network", "avc:20", "avc:20"]["psnr_db"]
    assert here > plain
    assert exact == here  # pixels are what a result has anyhow
    assert again < here


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "shapesnet"], "shapesnet does not make a larger luma"),
        (["--input", "shapes", "--frames", "3"], "256x192 pixels, and the model makes 960x540"),
        (["--output-codecs", "avc,,hevc"], "a comma with nothing"),
        (["--input-codecs", "int8", *SMALL], "int8"),
        (["--input-codecs", "mp4", *SMALL], "no codec is called 'mp4'"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], says: str) -> None:
    done = orchestrate("call", *words)
    assert done.code == 2
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "call.csv").write_text("mine")
    done = orchestrate("call", *SMALL, "--out", str(tmp_path / "call.csv"))
    assert done.code == 2
    assert (tmp_path / "call.csv").read_text() == "mine"
