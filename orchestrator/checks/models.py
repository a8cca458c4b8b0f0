"""Two runs of models in transit, made by different people: is the first reproduced (clause 2)?

As of sweeps: what is the same wherever it runs, which are bytes, hashes and accuracy; and times.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from orchestrator.checks import origins
from orchestrator.checks.crosscheck import Compared, CrossCheck, lacking, shown
from orchestrator.checks.tolerances import Tolerance, Tolerances
from orchestrator.results.columns import columns_of
from orchestrator.transit.increments.row import IncrementRow
from orchestrator.transit.reading import Point, TransitReading
from orchestrator.transit.row import ModelRow

EXACT = ("anc_size", "metric_name", "rec_sha256", "model_bytes")
"""What the model and the coder make anywhere …"""
EXACT_HERE = ("rec_size", "bit_sha256")
"""… and with the same libraries."""
COUNTS = ("deliveries", "resumed", "inferences_meanwhile")
"""Of what happened on the way: they follow from times, and links."""


def crosscheck_models(a: TransitReading, b: TransitReading, tolerances: Tolerances) -> CrossCheck:
    """Hold two runs against each other, by the tolerances of models."""
    same_machine = origins.same_machines(a, b)
    mine, theirs = a.points, b.points
    both = [point for point in mine if point in theirs]
    rows = [_row(p, mine[p], theirs[p], tolerances.models, same_machine) for p in both]
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
            other.startup_ms / row.startup_ms
            for row, other in compare
            if row.startup_ms and other.startup_ms
        ),
        listed=tuple(origins.versions(a, b)),
        notes=(*a.notes, *b.notes),
        timed="start-up",
    )


def _row(
    point: Point,
    a: ModelRow,
    b: ModelRow,
    limits: Mapping[str, Tolerance],
    same_machine: bool,
) -> Compared:
    first, second = asdict(a), asdict(b)
    exact = (*EXACT, *(EXACT_HERE if same_machine else ()))
    differs = [
        f"{name} {shown(first[name])} and {shown(second[name])} (exact)"
        for name in exact
        if first[name] != second[name]
    ]
    times: list[str] = []
    for name, row in (("A", a), ("B", b)):
        if not row.valid:
            times.append(f"not valid in {name}: {row.fault}")
    judged = {name: limit for name, limit in limits.items() if name not in exact}
    for name, words in _beyond(a, b, judged, same_machine):
        (differs if _is_deterministic(name) else times).append(words)
    if times:
        times += [words for name, row in (("A", a), ("B", b)) for words in _longer(name, row)]
    return Compared(_words(point), tuple(differs), tuple(times))


def _beyond(
    a: ModelRow, b: ModelRow, limits: Mapping[str, Tolerance], same_machine: bool
) -> Iterator[tuple[str, str]]:
    """The columns whose values lie further apart than their limit, each with both."""
    first, second = asdict(a), asdict(b)
    for name, limit in limits.items():
        if limit.same_machine and not same_machine:
            continue
        one, other = first.get(name), second.get(name)
        if not isinstance(one, int | float) or not isinstance(other, int | float):
            continue
        if math.isnan(one) and math.isnan(other):  # nothing judges it
            continue
        if limit.agrees(one, other) or (name == "startup_ms" and _overlap(a, b)):
            continue
        yield name, f"{name} {shown(one)} and {shown(other)} ({limit.words})"


def _overlap(a: ModelRow, b: ModelRow) -> bool:
    """Whether the intervals of both over their deliveries hold a time in common."""
    if a.startup_low_ms is None or b.startup_low_ms is None:
        return False
    assert a.startup_high_ms is not None and b.startup_high_ms is not None
    return a.startup_low_ms <= b.startup_high_ms and b.startup_low_ms <= a.startup_high_ms


def _longer(name: str, row: ModelRow) -> Iterator[str]:
    """Why times of a row are no good ones to hold others against."""
    if row.disturbed:
        yield f"{name} was disturbed: {row.disturbed}"
    if row.resumed:
        yield f"{name} was cut off and went on"


def _is_deterministic(column: str) -> bool:
    """Whether it is sizes or accuracy: the rest is time, memory, or follows from these."""
    if column in COUNTS:
        return False
    return column.endswith("_perf") or not columns_of(IncrementRow)[column].unit


def _words(point: Point) -> str:
    coder, link = point
    return f"{coder} at {link}" if link else coder
