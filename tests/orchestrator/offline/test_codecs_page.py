"""The table of what codecs come to, made of what rd leaves."""

import csv
import json
from pathlib import Path

import pytest

from orchestrator.offline.codecs_page import BEGIN, codecs_table, write_table
from splitbed.errors import UsageError

POINT = {
    "split_name": "stage2", "accuracy_metric": "AP", "frames": "240",
    "intermediate_bytes": "196608", "encode_ms": "0.5", "decode_ms": "4", "error": "",
}  # fmt: skip


def point(curve: str, codec: str, kbit: float, drop: float, **more: str) -> dict[str, str]:
    told = {"curve": curve, "codec": codec, "kbit_per_frame": str(kbit)}
    return POINT | told | {"accuracy": str(0.76 - drop), "accuracy_drop": str(drop)} | more


@pytest.fixture
def run(tmp_path: Path) -> Path:
    points = [
        point("", "none", 0, 0),
        point("stage2 klt", "klt:40", 25.5, 0.003),
        point("stage2 klt", "klt:100", 12.4, 0.009),
        point("stage2 klt", "klt:200", 6.1, 0.03),
        point("stage2 jpeg", "jpeg:30", 52, 0.012),
        point("stage2 jpeg", "jpeg:20", 39, 0.04),
        point("stage2 avc", "avc:32", 67.1, 0.007),
        point("stage2 nnc", "nnc:0", 0, 0, error="it failed"),
        point("network anchor avc", "avc:27", 26, 0.02, split_name="network anchor"),
    ]
    bd = [
        {"curve": "stage2 klt", "bd_rate_pct": "-53.1", "low": "-75", "high": "-50"},
        {"curve": "stage2 jpeg", "bd_rate_pct": "", "low": "", "high": ""},
        {"curve": "stage2 avc", "bd_rate_pct": "12", "low": "", "high": ""},
        {
            "anchor": "stage2 avc",
            "curve": "stage2 klt",
            "bd_rate_pct": "-80",
            "low": "-82",
            "high": "-70",
        },
    ]
    for row in bd:
        row.setdefault("anchor", "network anchor avc")
        row["shown"] = str(bool(row["low"]))
        row["bd_rate_low_pct"], row["bd_rate_high_pct"] = row.pop("low"), row.pop("high")
    folder = tmp_path / "rd"
    folder.mkdir()
    for name, rows in (("points.csv", points), ("bd_rate.csv", bd)):
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    (folder / "rd.json").write_text(json.dumps({"model": {"name": "shapesnet"}}))
    return folder


def test_each_curve_tells_its_fewest_bytes_within_the_drop_else_its_most_accurate(
    run: Path,
) -> None:
    assert codecs_table([run]).splitlines() == [
        "**shapesnet**: AP, 0.760 for the whole model; 240 frames.",
        "",
        "| where, and codec | kbit a frame | drop | BD-rate, picture | BD-rate, mosaic"
        " | encodes, decodes MB/s |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| stage2 `klt:100` | 12.4 | 0.009 | -53 % (-75 to -50) | -80 % (-82 to -70) | 393, 49 |",
        "| stage2 `jpeg:30` | 52.0 | 0.012 |  |  | 393, 49 |",
        "| stage2 `avc:32` | 67.1 | 0.007 | +12 %, may be chance | the anchor | 393, 49 |",
        "| network anchor `avc:27` | 26.0 | 0.020 | the anchor |  | 393, 49 |",
    ]
    assert "`klt:200`" in codecs_table([run], max_drop=0.05)


def test_speeds_that_were_measured_alone_stand_in_place_of_those_beside_other_work(
    run: Path,
) -> None:
    (run / "speeds.csv").write_text("split_name,codec,encode_ms,decode_ms\nstage2,klt:100,1,2\n")
    told = codecs_table([run]).splitlines()
    assert [line.split(" | ")[-1] for line in told[4:6]] == ["197, 98 |", "393, 49 |"]


def test_a_page_gets_its_table_in_place_of_the_one_before(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# One\n{BEGIN}what was there\n")
    write_table(page, [run])
    assert page.read_text() == f"# One\n{BEGIN}{codecs_table([run])}"


def test_what_is_no_run_and_what_is_no_page_are_told(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n")
    with pytest.raises(UsageError, match=r"page\.md has no section ## Measured"):
        write_table(page, [run])
    with pytest.raises(UsageError, match="is no run of rd"):
        codecs_table([tmp_path])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("points.csv", ""),
        ("points.csv", "split_name,codec\nstage2,klt\n"),
        ("points.csv", "curve,codec\n1,2,3,4\n"),
        ("rd.json", "{}"),
        ("rd.json", "[]"),
        ("rd.json", '{"model": null}'),
        ("bd_rate.csv", "curve\nstage2 klt\n"),
    ],
)
def test_a_run_that_is_not_whole_is_told(run: Path, name: str, content: str) -> None:
    (run / name).write_text(content)
    with pytest.raises(UsageError, match="is no run of rd, or not a whole one"):
        codecs_table([run])
