"""The run itself: run.json."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import field

from orchestrator.ask.devices import Power
from orchestrator.ask.flow import UPLINK
from orchestrator.results.facts import Conditions, ModelFacts
from orchestrator.results.json_record import Record
from orchestrator.results.judgement.raced_question import RacedQuestion
from orchestrator.results.records.cell import Accuracy, CellRecord

SCHEMA = 1
"""Of run.json; the first runs did not say theirs."""

T = TypeVar("T")


class Drift(Record, frozen=True, kw_only=True):
    """Whether nodes became slower or faster over ``cells``; None where these are too few to tell.

    ``rho`` is Spearman's, of the residuals with the place in the order of measurement.
    """

    cells: int
    rho: float | None = None
    p: float | None = None
    pct_per_10_min: float | None = None
    minutes: float = 0.0
    resumed: bool = False

    def plain(self) -> dict[str, object]:
        """As JSON has it, the finding in words with it."""
        return super().plain() | {"words": self.words}

    @property
    def words(self) -> str:
        """The finding."""
        if self.resumed:
            return "not tested: the run was resumed"
        if self.rho is None or self.p is None or self.pct_per_10_min is None:
            return f"too few cells to tell ({self.cells})"
        return (
            f"{self.pct_per_10_min:+.1f} % per 10 minutes over {self.minutes:.1f} minutes "
            f"(Spearman's rho {self.rho:.2f}, p = {self.p:.2g}, {self.cells} cells)"
        )


class PredictedCell(Record, frozen=True, kw_only=True):
    """A cell of a race that was not measured: what is believed of it, from all that was.

    ``e2e_ms`` is in its interval in 90 % of cases.
    """

    cell: CellRecord
    e2e_ms: float
    low_ms: float
    high_ms: float


class RunRecord(Record, frozen=True, kw_only=True):
    """What was asked, under which conditions, and what came of it: run.json.

    ``asked`` are the options as JSON has them, which :class:`SweepConfig` checks. ``grid`` has the
    keys of all cells in the order of the grid, ``order`` says how they were measured. ``verdict``
    is VALID or INVALID, None for a run that has not ended; ``reasons`` and ``advice`` are
    sentences. ``resumed`` has the times at which the run was gone on with. ``raced`` are the
    questions of a run with a budget, ``predicted`` its cells that were not measured. ``traces`` are
    the sha256 of what the folder keeps of traces, by the words that asked for them. ``machines``
    has the conditions on each, by its name, where there may be several; ``conditions`` are then
    those on the first. ``fleet`` names such a run where its groups of cells are measured.
    """

    asked: Mapping[str, object] = field(default_factory=dict)
    model: ModelFacts = ModelFacts()
    conditions: Conditions = Conditions()
    machines: Mapping[str, Conditions] = field(default_factory=dict)
    fleet: str = ""
    order: str | None = None
    grid: tuple[str, ...] = ()
    whole_accuracy: Accuracy | None = None
    most_inputs: int | None = None
    """How many there are to judge lossy codecs on, where any were judged."""
    resumed: tuple[str, ...] = ()
    raced: tuple[RacedQuestion, ...] = ()
    predicted: tuple[PredictedCell, ...] = ()
    traces: Mapping[str, str] = field(default_factory=dict)
    power: Mapping[str, Power] = field(default_factory=dict)
    """Models of what UEs, or nodes of the network, take, where these were asked for."""
    ended: str | None = None
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    drift: Drift | None = None
    schema: int = SCHEMA

    @property
    def flow(self) -> str:
        """The flow that was asked for; earlier versions had one."""
        return str(self.asked.get("flow") or UPLINK)

    @property
    def cells_asked(self) -> int:
        """How many of the grid were to be measured: what a race leaves out is predicted."""
        return len(self.grid) - len(self.predicted)

    def in_order(self, by_key: Mapping[str, T]) -> list[T]:
        """What is kept by the keys of cells, in the order of the grid."""
        places = {key: place for place, key in enumerate(self.grid)}
        return [by_key[key] for key in sorted(by_key, key=lambda k: places.get(k, len(places)))]
