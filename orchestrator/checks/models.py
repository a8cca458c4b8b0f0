"""Two runs of models in transit, made by different people: is the first reproduced (clause 2)?

As of sweeps: what is the same wherever it runs, which are bytes, hashes and accuracy; and times.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

from orchestrator.checks import origins
from orchestrator.checks.beside import Beside, Compared, lacking
from orchestrator.checks.crosscheck import CrossCheck
from orchestrator.checks.tolerances import Tolerance, Tolerances, judged
from orchestrator.results.columns import Column, columns_of
from orchestrator.results.kinds import GROWTH
from orchestrator.transit.growth.row import GrowthRow
from orchestrator.transit.increments.row import IncrementRow
from orchestrator.transit.reading import Point, TransitReading, TransitRow
from orchestrator.transit.row import ModelRow
from splitbed.errors import UsageError

_OF_MODELS = ("anc_size", "metric_name", "rec_sha256", "model_bytes")
_EXACT: Mapping[type, Sequence[str]] = {
    ModelRow: _OF_MODELS,
    IncrementRow: _OF_MODELS,
    GrowthRow: ("part1_sha256", "accuracy_metric"),
}
"""What the model and the coder make anywhere …"""
_EXACT_HERE: Mapping[type, Sequence[str]] = {
    ModelRow: ("rec_size", "bit_sha256"),
    IncrementRow: ("rec_size", "bit_sha256"),
    GrowthRow: ("part1_coded_bytes", "came_bytes"),
}
"""… and with the same libraries."""
COUNTS = ("deliveries", "resumed", "inferences_meanwhile", "frames")
"""Of what happened on the way: they follow from times, and links."""


def crosscheck_models(a: TransitReading, b: TransitReading, tolerances: Tolerances) -> CrossCheck:
    """Hold two runs against each other, by the tolerances of models, or of growth.

    UsageError where they are of two kinds.
    """
    if a.kind is not b.kind:
        raise UsageError(
            f"{a.name} is a run of `orchestrate {a.kind.command}`, and {b.name} one of"
            f" `orchestrate {b.kind.command}`: give two of one kind"
        )
    same_machine = origins.same_machines(a, b)
    mine, theirs = a.points, b.points
    both = [point for point in mine if point in theirs]
    limits = tolerances.growth if a.kind is GROWTH else tolerances.models
    rows = [_row(p, mine[p], theirs[p], limits, same_machine) for p in both]
    rows += lacking([_words(p) for p in mine if p not in theirs], b.name)
    rows += lacking([_words(p) for p in theirs if p not in mine], a.name)
    compare = [(mine[p], theirs[p]) for p in both if mine[p].compares and theirs[p].compares]
    return CrossCheck(
        a=a.name,
        b=b.name,
        clause=None,
        same_machine=same_machine,
        same=tuple(Compared(*fact) for fact in origins.facts(a, b)),
        rows=tuple(rows),
        ratios=tuple(
            theirs / ours
            for ours, theirs in ((_taken_ms(row), _taken_ms(other)) for row, other in compare)
            if ours and theirs
        ),
        listed=tuple(origins.versions(a, b)),
        notes=(*a.notes, *b.notes),
        timed="since the request" if a.kind is GROWTH else "start-up",
    )


def _row(
    point: Point,
    a: TransitRow,
    b: TransitRow,
    limits: Mapping[str, Tolerance],
    same_machine: bool,
) -> Compared:
    exact = [*_EXACT[type(a)], *(_EXACT_HERE[type(a)] if same_machine else ())]
    sides = (("A", a), ("B", b))
    faults = [(f"not valid in {name}: {row.fault}", False) for name, row in sides if not row.valid]

    def excused(name: str, *_: object) -> str | None:
        return None if name == "startup_ms" and _overlap(a, b) else ""

    limits = judged(limits, same_machine=same_machine)
    columns = columns_of(type(a))
    deterministic = partial(_is_deterministic, columns)
    rows = Beside(_words(point), asdict(a), asdict(b), exact, deterministic, excused)
    found = rows.compared(limits, faults)
    longer = (words for name, row in sides for words in _longer(name, row) if found.times)
    return replace(found, times=(*found.times, *longer))


def _overlap(a: TransitRow, b: TransitRow) -> bool:
    """Whether the intervals of both over their deliveries hold a time in common."""
    if isinstance(a, GrowthRow) or isinstance(b, GrowthRow):
        return False
    if a.startup_low_ms is None or b.startup_low_ms is None:
        return False
    assert a.startup_high_ms is not None and b.startup_high_ms is not None
    return a.startup_low_ms <= b.startup_high_ms and b.startup_low_ms <= a.startup_high_ms


def _longer(name: str, row: TransitRow) -> Iterator[str]:
    """Why times of a row are no good ones to hold others against."""
    if row.disturbed:
        yield f"{name} was disturbed: {row.disturbed}"
    if row.resumed:
        yield f"{name} was cut off and went on"


def _is_deterministic(columns: Mapping[str, Column], column: str) -> bool:
    """Whether it is sizes or accuracy: the rest is time, memory, or follows from these."""
    if column in COUNTS or column.endswith("_peak_bytes"):
        return False
    return column.endswith("_perf") or columns[column].unit in ("", "bytes")


def _taken_ms(row: TransitRow) -> float | None:
    return row.since_request_ms if isinstance(row, GrowthRow) else row.startup_ms


def _words(point: Point) -> str:
    coder, link = point
    return f"{coder} at {link}" if link else coder
