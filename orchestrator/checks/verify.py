"""Lossless verification (clause 10.2.8): the split model against the whole, picture by picture."""

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.results.columns import csv_text
from orchestrator.results.judgement.validity import MAX_ABS_DIFF
from orchestrator.testbed.local import LocalModel
from splitbed.errors import UsageError
from splitbed.graphs.parts import extract
from splitbed.graphs.splits import Split, resolve
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff

COLUMNS = (
    "split", "split_name", "picture", "sha256", "verdict", "max_abs_diff", "differences",
)  # fmt: skip
NOT_KEPT = "not kept"
"""The hash of a picture, by the first versions."""


@dataclass(frozen=True)
class Verification:
    """One picture through one cut; ``differences`` says in words those of each result tensor.

    A difference is infinite where the shapes differ: another number of boxes, say.
    """

    split: str
    split_name: str
    picture: str
    sha256: str
    max_abs_diff: float
    differences: str = ""

    @property
    def verdict(self) -> str:
        """PASSED or FAILED."""
        return "PASSED" if self.max_abs_diff < MAX_ABS_DIFF else "FAILED"

    def row(self) -> dict[str, object]:
        """With :data:`COLUMNS`."""
        most = min(self.max_abs_diff, sys.float_info.max)  # JSON has no infinity
        return {name: getattr(self, name) for name in COLUMNS} | {"max_abs_diff": most}


def verify(config: SweepConfig, local: LocalModel) -> Iterator[Verification]:
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
                found = _differences(whole[given.name], result)
                yield Verification(
                    split=model.graph.cuts[split.k].name,
                    split_name=split.label,
                    picture=given.name,
                    sha256=given.facts().get("sha256", ""),
                    max_abs_diff=max(found.values(), default=0.0),
                    differences=", ".join(f"{name} {ms:.3g}" for name, ms in found.items()),
                )


def _splits(config: SweepConfig, local: LocalModel) -> list[Split]:
    graph = local.model.graph
    splits = resolve(graph, config.split, local.model.named_splits)
    if config.split in ("all", "single", "named"):
        anchors = [Split(graph.cuts[k].name, k) for k in (0, graph.n)]
        return [anchors[0], *splits, anchors[1]]
    return splits


def _differences(whole: Tensors, split: Tensors) -> dict[str, float]:
    return {name: max_abs_diff({name: whole[name]}, {name: split[name]}) for name in whole}


def to_csv(checks: Sequence[Verification]) -> str:
    """The checks as CSV with :data:`COLUMNS`."""
    return csv_text(COLUMNS, [check.row() for check in checks])


def read_csv(file: Path) -> list[Verification]:
    """The checks that :func:`to_csv` wrote; UsageError for a file that is none."""
    try:
        with file.open(newline="") as stream:
            return [_read(line) for line in csv.DictReader(stream)]
    except (OSError, LookupError, TypeError, ValueError, csv.Error):
        raise UsageError(
            f"{file} is damaged: have the scenario verify again in a new folder"
        ) from None


def _read(line: dict[str, str]) -> Verification:
    return Verification(
        split=line["split"],
        split_name=line["split_name"],
        picture=line["picture"],
        sha256=line.get("sha256", NOT_KEPT),
        max_abs_diff=float(line["max_abs_diff"]),
        differences=line.get("differences", ""),
    )
