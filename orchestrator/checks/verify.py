"""Lossless verification (clause 10.2.8): the split model against the whole, picture by picture."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.ask.config import SweepConfig
from orchestrator.results.run_folder import csv_text
from orchestrator.results.summary import MAX_ABS_DIFF
from orchestrator.testbed.local import LocalModel
from splitbed.graphs.parts import extract
from splitbed.graphs.splits import Split, resolve
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff

COLUMNS = (
    "split", "split_name", "picture", "sha256", "verdict", "max_abs_diff", "differences",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One picture through one cut; `differences` are the largest of each result tensor.

    A difference is infinite where the shapes differ: another number of boxes, say.
    """

    split: str
    split_name: str
    picture: str
    sha256: str
    differences: dict[str, float]

    @property
    def max_abs_diff(self) -> float:
        """Largest difference of all."""
        return max(self.differences.values(), default=0.0)

    @property
    def verdict(self) -> str:
        """PASSED or FAILED."""
        return "PASSED" if self.max_abs_diff < MAX_ABS_DIFF else "FAILED"

    def row(self) -> dict[str, object]:
        """With :data:`COLUMNS`."""
        words = ", ".join(f"{name} {value:.3g}" for name, value in self.differences.items())
        most = min(self.max_abs_diff, sys.float_info.max)  # JSON has no infinity
        told = {name: getattr(self, name) for name in COLUMNS}
        return told | {"max_abs_diff": most, "differences": words}


def verify(config: SweepConfig, local: LocalModel) -> Iterator[Check]:
    """Check every split that `config` asks for, and both anchors, on every input.

    Raises UsageError for a split that is none, NodeError where the runtime fails.
    """
    model, info = local.model, local.model.info
    splits = _splits(config, local)
    with local.whole() as session:
        whole = {given.name: info.result_of(session.run(given.tensors)) for given in local.inputs}
    for split in splits:
        part1, part2 = map(local.session, extract(model.stored, split.k))
        with part1, part2:
            for given in local.inputs:
                result = info.result_of(part2.run(part1.run(given.tensors)))
                differences = _differences(whole[given.name], result)
                names = (model.graph.cuts[split.k].name, split.label, given.name)
                yield Check(*names, given.facts().get("sha256", ""), differences)


def _splits(config: SweepConfig, local: LocalModel) -> list[Split]:
    graph = local.model.graph
    splits = resolve(graph, config.split, local.model.named_splits)
    if config.split in ("all", "single", "named"):
        anchors = [Split(graph.cuts[k].name, k) for k in (0, graph.n)]
        return [anchors[0], *splits, anchors[1]]
    return splits


def _differences(whole: Tensors, split: Tensors) -> dict[str, float]:
    return {name: max_abs_diff({name: whole[name]}, {name: split[name]}) for name in whole}


def to_csv(checks: Sequence[Check]) -> str:
    """The checks as CSV with :data:`COLUMNS`."""
    return csv_text(COLUMNS, [check.row() for check in checks])
