"""What `model-sweep` and `increments` print: a line for each coder or version, and each link."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from orchestrator.reports.terminal import Line, rounded, show_lines
from orchestrator.transit.incremental import Outcome
from orchestrator.transit.incremental_row import IncrementRow
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import ModelOutcome
from splitbed.command import say

_OF_MODELS = {
    "coder_name": "coder",
    "rec_size": "bytes",
    "compress_ratio": "ratio",
    "rec_perf": "performance",
    "bw_mbit": "Mbit/s",
    "link_ms": "link ms",
    "link_bound_ms": "bound",
    "decode_tail_ms": "decode after it",
    "open_ms": "open",
    "first_inference_ms": "first inference",
    "startup_ms": "start-up ms",
    "ue_perf": "performance, UE",
}
"""Column -> heading."""
_OF_INCREMENTS = {
    "version": "version",
    "precision_bit": "bits",
    "rec_size": "bytes",
    "rec_perf": "accuracy",
    "bw_mbit": "Mbit/s",
    "link_ms": "link ms",
    "link_bound_ms": "bound",
    "open_ms": "open",
    "startup_ms": "start-up ms",
    "since_request_ms": "since request ms",
    "inferences_meanwhile": "inferences meanwhile",
    "ue_perf": "accuracy, UE",
}
_OF_LINK = {*[*_OF_MODELS][4:], *[*_OF_INCREMENTS][4:]}


def show_models(outcome: ModelOutcome, *, as_json: bool) -> None:
    """Print its rows, and what is wrong with any."""
    _show(outcome.rows, _OF_MODELS, as_json=as_json)
    if not as_json:
        say(f"results: {outcome.folder}" if outcome.folder else "models and datasets are here")


def show_increments(outcome: Outcome, *, as_json: bool) -> None:
    """Likewise."""
    show_increment_rows(outcome.rows, as_json=as_json)
    if not as_json:
        say(f"results: {outcome.folder.path}")


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
        linked = any(row.bw_mbit is not None for row in rows)
        shown = [name for name in heads if linked or name not in _OF_LINK]
        show_lines(
            [rounded({heads[name]: line[name] for name in shown}) for line in lines], as_json=False
        )
    for row in rows:
        if row.fault:
            over = f" over {row.bw_mbit:g} Mbit/s" if row.bw_mbit is not None else ""
            say(f"{row.model_name} as {row.coder_name}{over}: {row.fault}", stderr=True)
