"""What `model-sweep`, `increments` and `grow` print: a line for each row."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from orchestrator.reports.terminal import Line, rounded, show_lines
from orchestrator.transit.growth.row import GrowthRow
from orchestrator.transit.increments.row import IncrementRow
from orchestrator.transit.outcome import Outcome
from orchestrator.transit.row import ModelRow
from splitbed.command import say

_INTERVAL = "startup_interval"
"""Shown of several deliveries, with what it is of."""
_OF_MODELS = {
    "coder_name": "coder",
    "rec_size": "bytes",
    "compress_ratio": "ratio",
    "rec_perf": "performance",
    "bw_mbit": "Mbit/s",
    "came_bytes": "came",
    "link_ms": "link ms",
    "link_bound_ms": "bound",
    "decode_tail_ms": "decode after it",
    "open_ms": "open",
    "first_inference_ms": "first inference",
    "startup_ms": "start-up ms",
    _INTERVAL: "its interval",
    "ue_perf": "performance, UE",
}
"""Column -> heading."""
_OF_INCREMENTS = {
    "version": "version",
    "precision_bit": "bits or qp",
    "refined_share": "of weights",
    "rec_size": "bytes",
    "rec_perf": "accuracy",
    "bw_mbit": "Mbit/s",
    "link_ms": "link ms",
    "link_bound_ms": "bound",
    "open_ms": "open",
    "startup_ms": "start-up ms",
    _INTERVAL: "its interval",
    "since_request_ms": "since request ms",
    "inferences_meanwhile": "inferences meanwhile",
    "ue_perf": "accuracy, UE",
}
_OF_GROWTH = {
    "way": "part 1 comes",
    "split_name": "split",
    "bw_mbit": "Mbit/s",
    "part1_coded_bytes": "part 1",
    "came_bytes": "came",
    "link_ms": "link ms",
    "link_bound_ms": "bound",
    "open_ms": "open",
    "since_request_ms": "since request ms",
    "frames": "frames",
    "e2e_ms": "e2e ms",
    "accuracy": "accuracy",
}


def show_models(outcome: Outcome[ModelRow], *, as_json: bool) -> None:
    """Print its rows, what is wrong with any, and what else there is to say of it."""
    _show(outcome.rows, _OF_MODELS, as_json=as_json)
    if not as_json:
        say(f"results: {outcome.folder}" if outcome.folder else "models and datasets are here")


def show_increments(outcome: Outcome[IncrementRow], *, as_json: bool) -> None:
    """Likewise."""
    show_increment_rows(outcome.rows, as_json=as_json)
    if not as_json:
        say(f"results: {outcome.folder}")


def show_growth(outcome: Outcome[GrowthRow], *, as_json: bool) -> None:
    """Likewise."""
    lines: list[Line] = [asdict(row) for row in outcome.rows]
    if not as_json:
        heads = _OF_GROWTH.items()
        lines = [rounded({head: line[name] for name, head in heads}) for line in lines]
    show_lines(lines, as_json=as_json)
    for row in outcome.rows:
        _say_of(f"{row.split_name}, {row.way}, over {row.bw_mbit:g} Mbit/s", row)
    if not as_json:
        say(f"results: {outcome.folder}")


def show_increment_rows(rows: Sequence[IncrementRow], *, as_json: bool = False) -> None:
    """Those of one model or several."""
    several = len({row.model_name for row in rows}) > 1
    heads = {"model_name": "model"} | _OF_INCREMENTS if several else _OF_INCREMENTS
    _show(rows, heads, as_json=as_json)


def _show(rows: Sequence[ModelRow], heads: Mapping[str, str], *, as_json: bool) -> None:
    lines: list[Line] = [asdict(row) for row in rows]
    if as_json:
        show_lines(lines, as_json=True)
    elif lines:
        both = zip(lines, map(_interval, rows), strict=True)
        lines = [{**line, _INTERVAL: interval} for line, interval in both]
        # of no link, and of one delivery, there is no more to tell
        shown = [name for name in heads if any(line[name] not in (None, "") for line in lines)]
        show_lines(
            [rounded({heads[name]: line[name] for name in shown}) for line in lines], as_json=False
        )
    for row in rows:
        over = f" over {row.bw_mbit:g} Mbit/s" if row.bw_mbit is not None else ""
        _say_of(f"{row.model_name} as {row.coder_name}{over}", row, row.remark)


def _say_of(which: str, row: ModelRow | GrowthRow, remark: str = "") -> None:
    """What is wrong with a row, what disturbed it, and what else it says of itself."""
    told = (row.fault, row.disturbed and f"disturbed: {row.disturbed}", remark)
    for words in filter(None, told):
        say(f"{which}: {words}", stderr=True)


def _interval(row: ModelRow) -> str:
    if row.startup_low_ms is None or row.startup_high_ms is None:
        return ""
    return f"{row.startup_low_ms:.0f}–{row.startup_high_ms:.0f} ({row.startup_interval})"
