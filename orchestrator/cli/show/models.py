"""What `orchestrate model-sweep` prints: a line for each coder and link."""

from dataclasses import asdict

from orchestrator.reports.terminal import Line, rounded, show_lines
from orchestrator.transit.run import ModelOutcome
from splitbed.command import say

_HEADS = {
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


def show_models(outcome: ModelOutcome, *, as_json: bool) -> None:
    """Print its rows, and what is wrong with any."""
    lines: list[Line] = [asdict(row) for row in outcome.rows]
    if as_json:
        show_lines(lines, as_json=True)
    elif lines:
        linked = any(row.bw_mbit is not None for row in outcome.rows)
        heads = {name: head for name, head in _HEADS.items() if linked or name not in _OF_LINK}
        show_lines([_shown(line, heads) for line in lines], as_json=False)
    for row in outcome.rows:
        if row.fault:
            over = f" over {row.bw_mbit:g} Mbit/s" if row.bw_mbit is not None else ""
            say(f"{row.coder_name}{over}: {row.fault}", stderr=True)
    if not as_json:
        say(f"results: {outcome.folder}" if outcome.folder else "models and datasets are here")


_OF_LINK = [*_HEADS][4:]


def _shown(line: Line, heads: dict[str, str]) -> Line:
    return rounded({head: line[name] for name, head in heads.items()})
