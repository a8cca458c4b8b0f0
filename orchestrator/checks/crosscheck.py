"""Two runs of the same thing, made by different people: do they agree (clause 2)?

Models and inputs by their hashes, sizes exactly, accuracy and times within tolerances per metric.
Each row agrees or differs; the runs agree when everything does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.checks.tolerances import Tolerance, Tolerances
from orchestrator.results.facts import Conditions, InputFacts
from orchestrator.results.reading import Reading
from orchestrator.results.rows import Row
from splitbed.codecs import RAW
from splitbed.errors import UsageError

EXACT = ("intermediate_tensors", "intermediate_bytes", "part1_bytes", "part2_bytes")
"""Sizes that the model and the cut make."""
NOT_COMPARED = (
    "out", "topology", "link_backend", "frame_timeout_s",
    "model", "input", "weights", "calibration",
)  # fmt: skip
"""Options that are each side's own; the last four are compared by what they lead to."""


@dataclass(frozen=True)
class Compared:
    """One thing compared; `differs` tells both values, each in words. Empty: they agree."""

    what: str
    differs: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """``agreed`` or ``differs``."""
        return "differs" if self.differs else "agreed"

    def words(self, most: int | None = None) -> str:
        """The verdict with both values of what differs, of `most` metrics."""
        left = f"; and {len(self.differs) - most} more" if most and self.differs[most:] else ""
        told = f": {'; '.join(self.differs[:most])}" if self.differs else ""
        return f"{self.verdict}{told}{left}"


@dataclass(frozen=True)
class CrossCheck:
    """What came out: `same` are models, inputs and options; `listed` is told and not judged."""

    clause: str | None
    same_machine: bool
    same: tuple[Compared, ...]
    rows: tuple[Compared, ...]
    listed: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]

    @property
    def agreed(self) -> bool:
        """Whether everything does."""
        return bool(self.rows) and not any(check.differs for check in (*self.same, *self.rows))

    @property
    def verdict(self) -> str:
        """In a sentence."""
        rows = sum(not check.differs for check in self.rows)
        facts = sum(not check.differs for check in self.same)
        return (
            f"{'AGREED' if self.agreed else 'DIFFERS'}: {rows} of {len(self.rows)} rows, "
            f"{facts} of {len(self.same)} facts of models, inputs and options"
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """By what it was judged."""
        by = f"those of scenario {self.clause}" if self.clause else "the usual ones"
        told = [f"tolerances: {by}"]
        if not self.same_machine:
            told.append("the machines differ: what processors take was not compared")
        return tuple(told)

    def record(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "agreed": self.agreed,
            "verdict": self.verdict,
            "scenario": self.clause,
            "same_machine": self.same_machine,
            "facts": {check.what: check.differs or check.verdict for check in self.same},
            "rows": {check.what: check.differs or check.verdict for check in self.rows},
            "versions": [*self.listed],
            "notes": [*self.notes, *self.remarks],
        }


def crosscheck(
    a: Reading, b: Reading, tolerances: Tolerances, clause: str | None = None
) -> CrossCheck:
    """Hold two runs against each other, by the tolerances of `clause` or of their own scenario.

    Raises UsageError for a clause that has none.
    """
    if clause and clause not in tolerances.scenarios:
        raise UsageError(
            f"there are no tolerances of a scenario {clause!r}: choose "
            f"{', '.join(tolerances.scenarios)}, or give some with --tolerances"
        )
    own = (name for name in (a.clause, b.clause) if name in tolerances.scenarios)
    clause = clause or next(own, None)
    limits, same_machine = tolerances.of(clause), _machines(a) == _machines(b)
    mine, theirs = a.by_point, b.by_point
    rows = [
        Compared(point.words, tuple(_row_differs(row, theirs[point], limits, same_machine)))
        for point, row in mine.items()
        if point in theirs
    ]
    for here, there, name in ((mine, theirs, b.name), (theirs, mine, a.name)):
        rows += [
            Compared(point.words, (f"{name} does not have it",))
            for point in here
            if point not in there
        ]
    same = tuple(_same(a, b))
    listed = tuple(_listed(a.run.conditions, b.run.conditions))
    return CrossCheck(clause, same_machine, same, tuple(rows), listed, (*a.notes, *b.notes))


def _row_differs(
    a: Row, b: Row, limits: Mapping[str, Tolerance], same_machine: bool
) -> Iterator[str]:
    if faults := [
        f"{name}: {row.reason}" for name, row in zip("AB", (a, b), strict=True) if not row.valid
    ]:
        yield f"not valid in {'; in '.join(faults)}"
    exact = [*EXACT]
    # of raw values it follows from the cut; else from values that other machines round otherwise
    if a.codec == RAW or (a.lossless and same_machine):
        exact.append("encoded_bytes")
    for name in exact:
        if getattr(a, name) != getattr(b, name):
            yield f"{name} {_told(getattr(a, name))} and {_told(getattr(b, name))} (exact)"
    if a.accuracy_metric != b.accuracy_metric:
        yield f"accuracy_metric {a.accuracy_metric} and {b.accuracy_metric}"
    for name, limit in limits.items():
        if name in exact or (limit.same_machine and not same_machine):
            continue
        if name == "max_abs_diff" and not a.lossless:  # what the codec costs, not the split
            continue
        first, second = getattr(a, name), getattr(b, name)
        # what a side could not tell, as one-way times of two machines, is not held against it
        if not isinstance(first, int | float) or not isinstance(second, int | float):
            continue
        if not limit.agrees(first, second):
            yield f"{name} {_told(first)} and {_told(second)} ({limit.words})"


def _told(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _same(a: Reading, b: Reading) -> Iterator[Compared]:
    """Models, inputs, what codecs were calibrated on, and options."""
    first, second = a.run.model, b.run.model
    for name in ("sha256", "md5", "bytes", "runtime"):
        yield _equal(f"model {name}", getattr(first, name), getattr(second, name))
    inputs = [_inputs(first.inputs), _inputs(second.inputs)]
    if len(inputs[0]) != len(inputs[1]):
        yield Compared("inputs", (f"{len(inputs[0])} and {len(inputs[1])} of them",))
    else:
        for place, (one, other) in enumerate(zip(*inputs, strict=True)):
            yield _equal(f"input {place}", one, other)
    truths = [
        facts.dataset.truth.sha256 if facts.dataset and facts.dataset.truth else None
        for facts in (first, second)
    ]
    if any(truths):
        yield _equal("ground truth sha256", *truths)
    yield _equal("calibration", _inputs(a.calibration), _inputs(b.calibration))
    usual = SweepConfig.model_construct(model="").model_dump(mode="json")
    asked = [{**usual, **reading.run.asked} for reading in (a, b)]
    for name in sorted(asked[0].keys() | asked[1].keys()):
        if name not in NOT_COMPARED and asked[0].get(name) != asked[1].get(name):
            yield _equal(f"option {name}", asked[0].get(name), asked[1].get(name))


def _equal(what: str, a: object, b: object) -> Compared:
    return Compared(what, () if a == b else (f"{a} and {b}",))


def _inputs(listed: Sequence[InputFacts]) -> list[str]:
    """Each by its hashes; a seeded one by its name."""
    return [
        f"sha256 {one.sha256} md5 {one.md5} frame {one.frame or 0}" if one.sha256 else one.name
        for one in listed
    ]


def _machines(reading: Reading) -> list[object]:
    facts = reading.run.conditions
    return [(node.cpu, node.cpus) for node in (facts.ue, facts.edge)]


def _listed(a: Conditions, b: Conditions) -> Iterator[tuple[str, str, str]]:
    """Versions and machines, side by side."""
    sides = [_flat(a), _flat(b)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        yield name, sides[0].get(name, "–"), sides[1].get(name, "–")


def _flat(facts: Conditions) -> dict[str, str]:
    names = ("git_commit", "python", "os", "link_backend")
    flat = {name: str(getattr(facts, name)) for name in names}
    for side, node in (("ue", facts.ue), ("edge", facts.edge)):
        flat[f"{side} cpu"] = f"{node.cpu}, {node.cpus} CPUs"
        flat |= {f"{side} {name}": version for name, version in node.packages.items()}
    return flat
