"""Clause 10.5, super-resolution in a call: quality and rates, glass to glass, what a rate needs."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from orchestrator.ask.flow import FLOWS
from orchestrator.ask.split_point import DEVICE_ANCHOR, NETWORK_ANCHOR
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.offline.call import points
from orchestrator.reports.sheet import Sheet
from orchestrator.results.columns.asked import FPS, asked_number
from orchestrator.results.reading import Reading
from orchestrator.results.rows import Row, known
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.layout import Layout, by_conditions
from orchestrator.scenarios.sheets import headed
from orchestrator.scenarios.tables import Line, Table

CALL = "call"
QUALITY = "quality"
UNSCALED = "unscaled"
_DOUBLES = {NETWORK_ANCHOR: "the network", DEVICE_ANCHOR: "UE-B"}
_SAME = {NETWORK_ANCHOR: "nobody; the network codes it anew", DEVICE_ANCHOR: "nobody"}

_QUALITY_HEADS = {
    "upscaler": "Upscaler",
    "where": "Where",
    "uplink_codec": "Codec, uplink",
    "uplink_kbit_s": "Uplink (kbit/s)",
    "uplink_in_colour_kbit_s": "in colour",
    "downlink_codec": "Codec, downlink",
    "downlink_kbit_s": "Downlink (kbit/s)",
    "downlink_in_colour_kbit_s": "in colour ",
    "psnr_db": "PSNR (dB)",
    "ssim": "SSIM",
    "vmaf": "VMAF",
}
_QUALITY_NOTE = (
    "Of luma at UE-B against the source, the mean over the frames; coded as in the call, without a "
    "link. PSNR is empty where nothing was lost. Luma alone crosses; in colour is what the same "
    "pictures take in 4:2:0, whose chroma is enlarged bicubically. The upscaler `none` sends the "
    "source at its own resolution."
)
_TIMES_HEADS = {
    "enlarged_by": "Enlarged by",
    "codec": "Codecs",
    "ue_a_encode_ms": "UE-A: encode (ms)",
    "uplink_ms": "Uplink (ms)",
    "network_decode_ms": "Network: decode (ms)",
    "network_model_ms": "Network: model (ms)",
    "network_encode_ms": "Network: encode (ms)",
    "downlink_ms": "Downlink (ms)",
    "ue_b_decode_ms": "UE-B: decode (ms)",
    "ue_b_model_ms": "UE-B: model (ms)",
    "glass_to_glass_ms": "Glass to glass (ms)",
    "frames_per_s": "Frames a second, one at a time",
    "verdict": "Verdict",
}
_TIMES_NOTE = (
    "From the picture at UE-A, halved where somebody enlarges it, to the picture at UE-B, medians "
    "of their own. The next frame begins when one has ended."
)
_NEEDS_HEADS = {
    "enlarged_by": "Enlarged by",
    "codec": "Codecs",
    "ue_a_pct": "UE-A (%)",
    "uplink_pct": "Uplink (%)",
    "network_pct": "Network (%)",
    "downlink_pct": "Downlink (%)",
    "ue_b_pct": "UE-B (%)",
    "most_frames_per_s": "Most frames a second",
    "bounded_by": "Bounded by",
}
_NEEDS_NOTE = (
    "How busy each would be with so many frames a second, all of them working at once; more than "
    "100 % cannot keep up, and would have to be so much faster. Nodes share this machine's "
    "processors where they are namespaces: measured one frame at a time, they do not compete."
)


def is_call(flow: str, task: str) -> bool:
    """Whether pictures are enlarged in a call: what the clause is of."""
    return (flow, task) == (CALL, "super-resolution")


def quality_table(config: SweepConfig) -> Table:
    """Every way to hold the call, in bit rate and quality, with the scenario's codecs."""
    found = points(config.replaced(runs=config.accuracy_frames))
    lines = [{name: _rounded(value) for name, value in asdict(one).items()} for one in found]
    return Table(QUALITY, "Bit rates, and quality at UE-B (clause 10.5)", lines)


def call_tables(rows: Sequence[Row], fps: float) -> list[Table]:
    """Times of every measured row, and what so many frames a second would need."""
    return [
        Table("times", "Glass to glass (clause 10.5), ms", [_times(row) for row in rows]),
        Table("needs", f"What {fps:g} frames a second would need", [_needs(r, fps) for r in rows]),
    ]


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def _where(row: Row) -> Line:
    who = _SAME if row.model == UNSCALED else _DOUBLES
    by = who.get(row.anchor or "", f"both, cut at {row.split_name}")
    return {"link": row.link, "enlarged_by": by, "codec": row.codec}


def _value(row: Row, column: str) -> float:
    """Of a column that all rows have, or of the flow's."""
    found = row.value(column)
    return found if isinstance(found, int | float) else 0.0


def _times(row: Row) -> Line:
    stages = {
        "ue_a_encode_ms": "ue_a_encode_ms",
        "uplink_ms": "uplink_ms",
        "network_decode_ms": "network_decode_ms",
        "network_model_ms": "part1_ms",
        "network_encode_ms": "network_encode_ms",
        "downlink_ms": "downlink2_ms",
        "ue_b_decode_ms": "ue_b_decode_ms",
        "ue_b_model_ms": "part2_ms",
        "result_ms": "result_ms",
    }
    return {
        **_where(row),
        **{name: round(_value(row, column), 3) for name, column in stages.items()},
        "glass_to_glass_ms": round(known(row.e2e_ms), 3),
        "bound_ms": round(known(row.bound_ms), 3),
        "frames_per_s": round(1e3 / known(row.e2e_ms), 2),
        "verdict": "VALID" if row.valid else "INVALID",
    }


def _needs(row: Row, fps: float) -> Line:
    """How busy each node and hop is at `fps`, and which bounds it."""
    busy_ms = {
        "ue_a": _value(row, "ue_a_encode_ms"),
        "uplink": _wire_ms(row, "uplink"),
        "network": sum(
            _value(row, name) for name in ("network_decode_ms", "part1_ms", "network_encode_ms")
        ),
        "downlink": _wire_ms(row, "downlink2"),
        "ue_b": sum(_value(row, name) for name in ("ue_b_decode_ms", "part2_ms", "result_ms")),
    }
    slowest = max(busy_ms, key=lambda name: busy_ms[name])
    return {
        **_where(row),
        **{f"{name}_pct": round(ms * fps / 10, 1) for name, ms in busy_ms.items()},
        "most_frames_per_s": round(1e3 / busy_ms[slowest], 1),
        "bounded_by": slowest.replace("_", "-"),
    }


def _wire_ms(row: Row, hop: str) -> float:
    rate_mbit, _ = row.asked_of(hop)
    return _value(row, f"{hop}_bytes") * 8e-3 / rate_mbit


# ---------------------------------------------------------------- as a document prints them


def _sheets(folder: RunFolder, reading: Reading, rows: Sequence[Row]) -> list[Sheet | str]:
    """The quality, where the scenario left it beside the run; then times and needs by the link."""
    found: list[Sheet | str] = []
    if (file := folder.path.parent / f"table-{QUALITY}.csv").is_file():
        caption = "Bit rates, and quality at UE-B (clause 10.5)"
        lines = _read(file)
        found.append(headed(Table(QUALITY, "", lines), caption, _QUALITY_HEADS, (_QUALITY_NOTE,)))
        found += [f"No VMAF: {why}." for why in {line["vmaf_reason"] for line in lines} if why]
    for where, own in by_conditions(rows).items():
        times, needs = call_tables(own, asked_number(reading.run, "fps", FPS))
        found.append(headed(times, f"{times.title}, over {where}", _TIMES_HEADS, (_TIMES_NOTE,)))
        found.append(headed(needs, f"{needs.title}, over {where}", _NEEDS_HEADS, (_NEEDS_NOTE,)))
    return found


def _read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


SUPER_RESOLUTION = Layout(
    "clause 10.5",
    f"Its flow is that of clause 10.5, whose tables follow: {FLOWS[CALL].words}.",
    "Anchor model(s) for the scenario",
    _sheets,
)
