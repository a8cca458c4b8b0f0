"""The cuts of a model, as a user looks at them."""

import tempfile
from itertools import islice
from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.reports.terminal import Line, show_lines
from orchestrator.testbed.model_file import load_graph_of
from splitbed.command import say
from splitbed.graphs.graph import Cut, Described
from splitbed.graphs.splits import resolve

MOST_TENSORS = 16
"""Named of each cut; more of one cut are for a list of that cut alone."""


def show_splits(config: SweepConfig, *, as_json: bool) -> None:
    """The cuts of a model, with what crosses and what each side computes."""
    with tempfile.TemporaryDirectory() as folder:
        graph, anchor = load_graph_of(config, Path(folder))
    if graph.conversion:
        say(f"{config.model}: {graph.conversion}", stderr=True)
    found = resolve(graph, config.split, anchor.named_splits if anchor else None)
    most = None if len(found) == 1 else MOST_TENSORS
    lines = [_line(graph.cuts[split.k], split.label, most) for split in found]
    show_lines(lines, as_json=as_json)


def _line(cut: Cut, label: str, most: int | None) -> Line:
    return {
        "split": cut.name,
        "name": label,
        "tensors": cut.count,
        "bytes": cut.nbytes,
        "UE parameters": cut.ue_params,
        "edge parameters": cut.edge_params,
        "UE MMACs": round(cut.ue_macs / 1e6),
        "edge MMACs": round(cut.edge_macs / 1e6),
        "crossing": _crossing(cut, most),
    }


def _crossing(cut: Cut, most: int | None) -> str:
    if not cut.crossable:
        return cut.obstacle
    words = [_words(tensor) for tensor in islice(cut.crossing, most)]
    more = cut.count - len(words)
    return ", ".join(words) + (f" and {more} more" if more else "")


def _words(tensor: Described) -> str:
    if isinstance(tensor, str):
        return tensor
    # converters join the names of the operators that they fused into one tensor
    return f"{tensor.name.partition(';')[0]} {tensor.datatype}{list(tensor.shape)}"
