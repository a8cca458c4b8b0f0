"""Run folders written by tests: records from the JSON that a run has in its files."""

from collections.abc import Mapping
from typing import Any

from netem.spec import symmetric
from orchestrator.results.reading import read_folder
from orchestrator.results.records import CellRecord, FrameRecord, RunRecord
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import CELLS_FILE, SAMPLES_FILE, RunFolder


def write_run(folder: RunFolder, **told: object) -> None:
    """Write run.json, over what was there."""
    folder.write_run(RunRecord.from_plain(told))


def change_run(folder: RunFolder, **told: object) -> None:
    """Write run.json with these changed."""
    folder.write_run(RunRecord.from_plain(folder.read_run().plain() | told))


def add_frame(folder: RunFolder, told: Mapping[str, object]) -> None:
    """A line of samples.jsonl."""
    folder.append(SAMPLES_FILE, FrameRecord.from_plain(told).line())


def add_cell_line(folder: RunFolder, told: Mapping[str, object]) -> None:
    """A line of cells.jsonl."""
    folder.append(CELLS_FILE, CellRecord.from_plain(told).line())


def rows(folder: RunFolder) -> list[Row]:
    """The rows of the run."""
    return read_folder(folder.path).rows


def made_row(**changed: Any) -> Row:
    """A row of a cell that failed before its first frame; `changed` says what else it has."""
    link = {"bw_mbit": 20.0, "delay_ms": 0.0, "jitter_ms": 0.0, "loss_pct": 0.0}
    back = {f"downlink_{name}": 0.0 for name in ("mbit", "delay_ms", "jitter_ms", "loss_pct")}
    told = {"model": "m", "weights": "a file", "runtime": "onnx", "split": "1:1", "codec": "raw"}
    told |= {"split_name": "cut", "link": "20 Mbit/s", "link_backend": "linkbox", "ue": ""}
    counts = {"frames": 0, "errors": 0, "intermediate_tensors": 1, "intermediate_bytes": 1}
    values: dict[str, Any] = {**link, **back, **told, **counts, "queue_packets": 1000}
    return Row(**values | {"lossless": True, "valid": True, "reason": ""} | changed)


def ended(error: str | None = None, error_kind: str | None = None) -> CellRecord:
    """A cell that ended, or failed."""
    told: dict[str, Any] = {"key": "a", "attempt": "a", "split": "1:1", "split_name": "cut"}
    link = symmetric(rate_mbit=8)
    return CellRecord(**told, link=link, error=error, error_kind=error_kind)
