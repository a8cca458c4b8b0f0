"""How far two runs of the same thing may lie apart, per metric and scenario."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import Field, ValidationError

from orchestrator.results.columns import columns_of
from orchestrator.results.rows import COLUMNS
from orchestrator.transit.growth.row import GrowthRow
from orchestrator.transit.increments.row import IncrementRow
from splitbed.checked import Frozen, one_line, text_of, yaml_content
from splitbed.errors import UsageError


class Tolerance(Frozen):
    """How far two values of a metric may lie apart; either bound suffices."""

    absolute: float = Field(0.0, ge=0)
    relative: float = Field(0.0, ge=0)
    same_machine: bool = False

    def agrees(self, a: float, b: float) -> bool:
        """Whether the values agree."""
        apart = abs(a - b)
        return apart <= self.absolute or apart <= self.relative * max(abs(a), abs(b))

    @property
    def words(self) -> str:
        """``± 3 or 10 %``."""
        parts = [f"± {self.absolute:g}"] if self.absolute else []
        parts += [f"{100 * self.relative:g} %"] if self.relative else []
        return " or ".join(parts) or "equal"


def judged(limits: Mapping[str, Tolerance], *, same_machine: bool) -> dict[str, Tolerance]:
    """Those that hold between two runs, of the same machine or not."""
    return {name: one for name, one in limits.items() if same_machine or not one.same_machine}


class Tolerances(Frozen):
    """By metric; those of a scenario, by its clause, go before.

    `models` are those of models in transit, `growth` of a part 1 that grows.
    """

    metrics: Mapping[str, Tolerance] = Field(default_factory=dict)
    scenarios: Mapping[str, Mapping[str, Tolerance]] = Field(default_factory=dict)
    models: Mapping[str, Tolerance] = Field(default_factory=dict)
    growth: Mapping[str, Tolerance] = Field(default_factory=dict)

    def of(self, clause: str | None) -> dict[str, Tolerance]:
        """What holds for a scenario, or for none."""
        return {**self.metrics, **self.scenarios.get(clause or "", {})}


def read_tolerances(file: Path | None) -> Tolerances:
    """The usual ones, with those of a file over them. Raises UsageError."""
    usual = _content(files("orchestrator.checks") / "tolerances.yaml")
    if file is None:
        return Tolerances.model_validate(usual)
    try:
        given = Tolerances.model_validate(_content(file) or {})
    except ValidationError as error:
        raise UsageError(f"the tolerances {file} cannot be used: {one_line(error)}") from None
    named = {name for one in (given.metrics, *given.scenarios.values()) for name in one}
    for names, known, table in (
        (named, {*COLUMNS}, "summary.csv"),
        ({*given.models}, {*columns_of(IncrementRow)}, "results.csv"),
        ({*given.growth}, {*columns_of(GrowthRow)}, "growth.csv"),
    ):
        if unknown := sorted(names - known):
            raise UsageError(
                f"the tolerances {file} name what {table} does not have: {', '.join(unknown)}"
            )
    base = Tolerances.model_validate(usual)
    return Tolerances(
        metrics={**base.metrics, **given.metrics},
        scenarios={
            clause: {**base.scenarios.get(clause, {}), **given.scenarios.get(clause, {})}
            for clause in {**base.scenarios, **given.scenarios}
        },
        models={**base.models, **given.models},
        growth={**base.growth, **given.growth},
    )


def _content(file: Path | Traversable) -> object:
    return yaml_content(text_of(file, "tolerances"), f"the tolerances {file}")
