"""What `orchestrate call` prints: a line for each way to hold a video call."""

from dataclasses import asdict
from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.offline.call import points
from orchestrator.reports.terminal import Line, rounded, show_lines
from orchestrator.results.columns import csv_text
from splitbed.command import say
from splitbed.media.files import check_new, write_new

_HEADS = {
    "upscaler": "upscaler",
    "where": "where",
    "uplink_codec": "uplink",
    "uplink_kbit_s": "kbit/s",
    "uplink_in_colour_kbit_s": "in colour",
    "downlink_codec": "downlink",
    "downlink_kbit_s": "kbit/s down",
    "downlink_in_colour_kbit_s": "in colour, down",
    "psnr_db": "PSNR dB",
    "ssim": "SSIM",
    "vmaf": "VMAF",
}
"""Column -> heading."""


def run_call(config: SweepConfig, out: Path | None, *, as_json: bool) -> None:
    """Measure and print them; write them to `out`, too, as CSV."""
    check_new(out)
    found: list[Line] = [asdict(point) for point in points(config)]
    if out:
        write_new(out, csv_text(list(found[0]), found))
    if as_json:
        show_lines(found, as_json=True)
        return
    show_lines([_shown(line) for line in found], as_json=False)
    if reason := found[0]["vmaf_reason"]:
        say(f"no VMAF: {reason}", stderr=True)


def _shown(line: Line) -> Line:
    return rounded({head: line[name] for name, head in _HEADS.items()})
