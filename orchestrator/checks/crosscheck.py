"""Two runs of the same thing, made by different people: is the first reproduced (clause 2)?

Two verdicts. Deterministic: models, inputs and options by what they are, sizes exactly, outputs and
accuracy within their tolerances. Timing: what was taken, and whether rows count, within theirs; of
rows with blocks in both by the interval over these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from orchestrator.checks import origins
from orchestrator.checks.beside import REPRODUCED, Beside, Compared, lacking, word
from orchestrator.checks.blocks import CommonBlocks, may_agree
from orchestrator.checks.tolerances import Tolerance, Tolerances, judged
from orchestrator.results.columns.flow import part_column
from orchestrator.results.judgement.validity import MAX_ABS_DIFF
from orchestrator.results.reading import Reading
from orchestrator.results.rows import COLUMNS, Row, known
from splitbed.codecs import RAW
from splitbed.errors import UsageError

EXACT = ("intermediate_tensors", "intermediate_bytes", "part1_bytes", "part2_bytes")
"""Sizes that the model and the cut make."""


@dataclass(frozen=True)
class CrossCheck:
    """How far B reproduces A: `same` are models, inputs and options; `listed` is not judged."""

    a: str
    b: str
    clause: str | None
    same_machine: bool
    same: tuple[Compared, ...]
    rows: tuple[Compared, ...]
    ratios: tuple[float, ...]
    """B's time over A's, of each row that counts in both."""
    listed: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    timed: str = "end-to-end"
    """The times that `ratios` are of."""

    @property
    def deterministic(self) -> bool:
        """Whether B has A's bytes, hashes, outputs and accuracy."""
        return bool(self.rows) and not any(one.differs for one in (*self.same, *self.rows))

    @property
    def timing(self) -> bool:
        """Whether B has A's times."""
        return bool(self.rows) and not any(row.times for row in self.rows)

    @property
    def agreed(self) -> bool:
        """Whether both verdicts are good."""
        return self.deterministic and self.timing

    @property
    def verdicts(self) -> dict[str, tuple[str, str]]:
        """By its name, each verdict's word, and in a sentence."""
        rows = len(self.rows)
        same = sum(not row.differs for row in self.rows)
        facts = sum(not fact.differs for fact in self.same)
        timed = sum(not row.times for row in self.rows)
        told = {
            "deterministic": (
                self.deterministic,
                "bytes, outputs and accuracy",
                f"{same} of {rows} rows, and {facts} of {len(self.same)} facts of models, inputs "
                "and options",
            ),
            "timing": (self.timing, "times", f"{timed} of {rows} rows{self._taken()}"),
        }
        return {
            name: (
                word(kept),
                f"{word(kept)}: B ({self.b}) reproduces the {what} of A ({self.a}) in {count}",
            )
            for name, (kept, what, count) in told.items()
        }

    def _taken(self) -> str:
        """By how much they differ."""
        if not self.ratios:
            return ""
        least, most = min(self.ratios), max(self.ratios)
        spread = f" ({least:.3f} to {most:.3f})" if len(self.ratios) > 1 else ""
        return f"; B's {self.timed} times are {median(self.ratios):.3f} times A's{spread}"

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
            "a": self.a,
            "b": self.b,
            "agreed": self.agreed,
            **{
                name: {"verdict": word, "summary": summary}
                for name, (word, summary) in self.verdicts.items()
            },
            "ratios": self.ratios,
            "scenario": self.clause,
            "same_machine": self.same_machine,
            "facts": {fact.what: fact.differs or REPRODUCED for fact in self.same},
            "rows": {
                row.what: {
                    "deterministic": row.differs or REPRODUCED,
                    "timing": row.times or REPRODUCED,
                }
                for row in self.rows
            },
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
    limits, same_machine = tolerances.of(clause), origins.same_machines(a, b)
    mine, theirs = a.by_point, b.by_point
    both = [point for point in mine if point in theirs]
    blocks = {point: CommonBlocks(a.blocks_of(point), b.blocks_of(point)) for point in both}
    rows = [_row(p.words, mine[p], theirs[p], blocks[p], limits, same_machine) for p in both]
    rows += lacking([p.words for p in mine if p not in theirs], b.name)
    rows += lacking([p.words for p in theirs if p not in mine], a.name)
    facts, fitted = [*origins.facts(a, b)], [*origins.tables(a.tables, b.tables)]
    # other machines round otherwise, and then the codecs are not the very same
    facts += fitted if same_machine else []
    apart = [f"{what} differ: {told[0]}" for what, told in fitted if told and not same_machine]
    pairs = [(mine[point], theirs[point]) for point in both]
    return CrossCheck(
        a=a.name,
        b=b.name,
        clause=clause,
        same_machine=same_machine,
        same=tuple(Compared(*fact) for fact in facts),
        rows=tuple(rows),
        ratios=tuple(
            known(other.e2e_ms) / row.e2e_ms
            for row, other in pairs
            if row.valid and other.valid and row.e2e_ms and not _grew(row, other)
        ),
        listed=tuple(origins.versions(a, b)),
        notes=(*a.notes, *b.notes, *apart),
    )


def _row(
    what: str,
    a: Row,
    b: Row,
    blocks: CommonBlocks,
    limits: Mapping[str, Tolerance],
    same_machine: bool,
) -> Compared:
    further = [part_column(part, "bytes") for part in range(3, len(a.layers) + 1)]
    exact = [
        *EXACT,
        "accuracy_metric",
        *(name for name in further if None not in (a.value(name), b.value(name))),
    ]
    # of raw values it follows from the cut; else from values that other machines round otherwise
    if a.codec == RAW or (a.lossless and same_machine):
        exact.append("encoded_bytes")
    faults = [
        (f"not valid in {name}: {row.reason}", bool(row.errors or _is_wrong(row)))
        for name, row in (("A", a), ("B", b))
        if not row.valid
    ]
    limits = judged(limits, same_machine=same_machine)
    if grew := _grew(a, b):  # times tell how long one watched
        limits = {name: one for name, one in limits.items() if _is_deterministic(name)}
    if len(grew) == 1:
        faults.append((f"not sustained in {grew[0]} alone", False))
    if not a.lossless:  # what the codec costs, not the split
        limits.pop("max_abs_diff", None)

    def excused(name: str, limit: Tolerance, mine: float) -> str | None:
        apart = blocks.apart(name)
        if apart is None:
            return ""
        if may_agree(apart, limit, mine):
            return None
        over = f"{apart.ratio:.3f} times ({apart.low:.3f} to {apart.high:.3f})"
        return f", {over} over {apart.pairs} blocks"

    names = {*exact, *limits}
    mine, theirs = ({name: row.value(name) for name in names} for row in (a, b))
    rows = Beside(what, mine, theirs, exact, _is_deterministic, excused)
    return rows.compared(limits, faults)


def _grew(a: Row, b: Row) -> list[str]:
    """In which of two runs a load was not sustained."""
    return [name for name, row in (("A", a), ("B", b)) if row.sustained is False]


def _is_wrong(row: Row) -> bool:
    return row.lossless and (row.max_abs_diff or 0.0) > MAX_ABS_DIFF


def _is_deterministic(column: str) -> bool:
    """Whether it is sizes, outputs or accuracy: the rest is time, or follows from it."""
    named = column == "max_abs_diff" or column.startswith("accuracy")
    return named or COLUMNS[column].unit in ("bytes", "kbit")
