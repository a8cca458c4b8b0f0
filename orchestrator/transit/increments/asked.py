"""What bit-incremental transmission is asked: a model, its steps of bits, links (clause 10.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from orchestrator.ask.numbers import comma_list
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.transit.asked import MOST_RUNS, whole_model_config
from splitbed.errors import UsageError
from splitbed.model_coders.increments import check

LOW_BITS, HIGH_BITS = 8, 16
"""Of who says none."""
_BITS = TypeAdapter[tuple[int, ...]](Annotated[tuple[int, ...], BeforeValidator(comma_list)])
_OWN = ("low_bits", "high_bits", "progressive", "by_layer", "runs", "offline", "out")
_RUNS = TypeAdapter[int](Annotated[int, Field(ge=1, le=MOST_RUNS)])
MOST_GROUPS = 100


@dataclass(frozen=True)
class Incremental:
    """A model that is sent in steps of so many bits; ``config`` says the model, links and nodes.

    Each refinement comes in ``by_layer`` updates, of some weights each.
    """

    config: SweepConfig
    bits: tuple[int, ...]
    runs: int = 1
    by_layer: int = 1
    offline: bool = False
    out: Path | None = None


def incremental(options: Mapping[str, object]) -> Incremental:
    """What is asked, checked: options of its own, and of a sweep the model, input, links and nodes.

    Raises UsageError for values that cannot be.
    """
    given = {name: value for name, value in options.items() if value is not None}
    own = {name: given.pop(name) for name in _OWN if name in given}
    steps, by_layer, out = _steps(own), own.get("by_layer", 1), own.get("out")
    if not isinstance(by_layer, int) or not 1 <= by_layer <= MOST_GROUPS:
        raise UsageError(f"--by-layer {by_layer}: a refinement comes in 1 to {MOST_GROUPS} updates")
    return Incremental(
        config=whole_model_config(given),
        bits=steps,
        runs=_runs(own.get("runs", 1)),
        by_layer=by_layer,
        offline=bool(own.get("offline")),
        out=Path(str(out)) if out else None,
    )


def _runs(told: object) -> int:
    try:
        return _RUNS.validate_python(told)
    except ValidationError:
        raise UsageError(f"--runs {told}: give a whole number from 1 to {MOST_RUNS}") from None


def _steps(own: Mapping[str, object]) -> tuple[int, ...]:
    told = own.get("progressive")
    if told is None:
        told = [own.get("low_bits", LOW_BITS), own.get("high_bits", HIGH_BITS)]
    elif {"low_bits", "high_bits"} & own.keys():
        raise UsageError("--progressive says all steps: give it, or --low-bits and --high-bits")
    try:
        steps = _BITS.validate_python(told)
    except ValidationError:
        raise UsageError(f"bits {told}: give whole numbers, as 4,6,8,16 or -20,-38") from None
    check(steps)
    return steps
