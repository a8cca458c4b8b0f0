"""Two runs of the same thing, made by different people: do they agree (clause 2)?

Models and inputs by their hashes, sizes exactly, accuracy and times within tolerances per metric.
Each row agrees or differs; the runs agree when everything does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.ask.config import SweepConfig
from orchestrator.checks.tolerances import Tolerance, Tolerances
from orchestrator.results.reading import Reading
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import Record
from splitbed.errors import UsageError

EXACT = ("intermediate_tensors", "intermediate_bytes", "part1_bytes", "part2_bytes")
"""Sizes that the model and the cut make."""
NOT_COMPARED = (
    "out", "topology", "link_backend", "frame_timeout_s",
    "model", "input", "weights", "calibration",
)  # fmt: skip
"""Options that are each side's own; the last four are compared by what they lead to."""


@dataclass(frozen=True)
class Check:
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
    same: tuple[Check, ...]
    rows: tuple[Check, ...]
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

    def record(self) -> Record:
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
    limits, same_machine = tolerances.of(clause), _machines(a.run) == _machines(b.run)
    rows = [
        Check(point.words, tuple(_row_differs(a.rows[point], b.rows[point], limits, same_machine)))
        for point in a.rows
        if point in b.rows
    ]
    for here, there in ((a, b), (b, a)):
        rows += [
            Check(point.words, (f"{there.name} does not have it",))
            for point in here.rows
            if point not in there.rows
        ]
    same, listed = tuple(_same(a, b)), tuple(_listed(a.run, b.run))
    return CrossCheck(clause, same_machine, same, tuple(rows), listed, (*a.notes, *b.notes))


def _row_differs(
    a: Row, b: Row, limits: Mapping[str, Tolerance], same_machine: bool
) -> Iterator[str]:
    if faults := [
        f"{name}: {row['reason']}"
        for name, row in zip("AB", (a, b), strict=True)
        if not row["valid"]
    ]:
        yield f"not valid in {'; in '.join(faults)}"
    exact = [*EXACT]
    # of raw values it follows from the cut; else from values that other machines round otherwise
    if a["codec"] == "raw" or (a["lossless"] and same_machine):
        exact.append("encoded_bytes")
    for name in exact:
        if a.get(name) != b.get(name):
            yield f"{name} {_told(a.get(name))} and {_told(b.get(name))} (exact)"
    if a.get("accuracy_metric") != b.get("accuracy_metric"):
        yield f"accuracy_metric {a.get('accuracy_metric')} and {b.get('accuracy_metric')}"
    for name, limit in limits.items():
        if name in exact or (limit.same_machine and not same_machine):
            continue
        if name == "max_abs_diff" and not a["lossless"]:  # what the codec costs, not the split
            continue
        first, second = a.get(name), b.get(name)
        # what a side could not tell, as one-way times of two machines, is not held against it
        if not isinstance(first, int | float) or not isinstance(second, int | float):
            continue
        if not limit.agrees(first, second):
            yield f"{name} {_told(first)} and {_told(second)} ({limit.words})"


def _told(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _same(a: Reading, b: Reading) -> Iterator[Check]:
    """Models, inputs, what codecs were calibrated on, and options."""
    first, second = _facts(a, "model"), _facts(b, "model")
    for name in ("sha256", "md5", "bytes", "runtime"):
        yield _equal(f"model {name}", first.get(name), second.get(name))
    inputs = [_inputs(facts.get("inputs")) for facts in (first, second)]
    if len(inputs[0]) != len(inputs[1]):
        yield Check("inputs", (f"{len(inputs[0])} and {len(inputs[1])} of them",))
    else:
        for place, (one, other) in enumerate(zip(*inputs, strict=True)):
            yield _equal(f"input {place}", one, other)
    truths = [
        ((facts.get("dataset") or {}).get("truth") or {}).get("sha256") for facts in (first, second)
    ]
    if any(truths):
        yield _equal("ground truth sha256", *truths)
    yield _equal("calibration", _inputs(a.calibration), _inputs(b.calibration))
    usual = SweepConfig.model_construct(model="").model_dump(mode="json")
    asked = [usual | _facts(reading, "asked") for reading in (a, b)]
    for name in sorted(asked[0].keys() | asked[1].keys()):
        if name not in NOT_COMPARED and asked[0].get(name) != asked[1].get(name):
            yield _equal(f"option {name}", asked[0].get(name), asked[1].get(name))


def _facts(reading: Reading, name: str) -> Record:
    return dict(reading.run.get(name) or {})


def _equal(what: str, a: object, b: object) -> Check:
    return Check(what, () if a == b else (f"{a} and {b}",))


def _inputs(listed: object) -> list[str]:
    """Each by its hashes; a seeded one by its name."""
    if not isinstance(listed, list):
        return []
    return [
        f"sha256 {one['sha256']} md5 {one.get('md5')} frame {one.get('frame', 0)}"
        if "sha256" in one
        else str(one.get("name"))
        for one in listed
    ]


def _machines(run: Record) -> list[Any]:
    facts = run.get("conditions") or {}
    nodes = [facts.get(side) or {} for side in ("ue", "edge")]
    return [(node.get("cpu"), node.get("cpus")) for node in nodes]


def _listed(a: Record, b: Record) -> Iterator[tuple[str, str, str]]:
    """Versions and machines, side by side."""
    sides = [_flat(run.get("conditions") or {}) for run in (a, b)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        yield name, sides[0].get(name, "–"), sides[1].get(name, "–")


def _flat(facts: Record) -> dict[str, str]:
    flat = {name: str(facts.get(name)) for name in ("git_commit", "python", "os", "link_backend")}
    for side in ("ue", "edge"):
        node = facts.get(side) or {}
        flat[f"{side} cpu"] = f"{node.get('cpu')}, {node.get('cpus')} CPUs"
        flat |= {f"{side} {name}": v for name, v in (node.get("packages") or {}).items()}
    return flat
