"""What federated averaging is asked (clause 9.3): UEs, links, coders of updates, rounds, faults."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from netem.spec import LinkSpec, symmetric
from orchestrator.ask.numbers import Numbers, Words, comma_list
from splitbed.checked import Frozen, one_line
from splitbed.errors import UsageError
from splitbed.federated.drawn import check_shares
from splitbed.model_coders import coder_named

MOST_UES = 16
_COUNTS = Annotated[
    tuple[Annotated[int, Field(ge=2, le=MOST_UES)], ...],
    BeforeValidator(comma_list),
    Field(min_length=1),
]
_FAULT = re.compile(r"(?P<kind>kill|slow):(?P<ue>ue-[1-9]\d?):(?P<number>\d{1,4})", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """``kill:ue-2:3``, a UE killed while it is at work in round 3; ``slow:ue-2:20``, one whose
    link has a twentieth of the rate.
    """

    kind: Literal["kill", "slow"]
    ue: str
    number: int

    @property
    def words(self) -> str:
        """As it is asked."""
        return f"{self.kind}:{self.ue}:{self.number}"


@dataclass(frozen=True)
class Cell:
    """What is measured until the target, or for all rounds; of so many UEs."""

    ues: int
    bw_mbit: float
    coder: str
    fault: Fault | None = None

    @property
    def words(self) -> str:
        """What tells it from the others of its run."""
        fault = f", {self.fault.words}" if self.fault else ""
        return f"{self.ues} UEs, {self.bw_mbit:g} Mbit/s, {self.coder}{fault}"

    @property
    def names(self) -> tuple[str, ...]:
        """Its UEs."""
        return names(self.ues)


def names(ues: int) -> tuple[str, ...]:
    """What so many UEs are called."""
    return tuple(f"ue-{number}" for number in range(1, ues + 1))


class Federated(Frozen):
    """The options under ``federated:`` of a scenario."""

    ues: _COUNTS = (2,)
    bw: Numbers = (5.0,)
    delay_ms: float = Field(0.0, ge=0, le=10_000)
    coder: Words = ("dummy",)
    model_coder: str = "dummy"
    faults: Annotated[tuple[str, ...], BeforeValidator(comma_list)] = ()
    samples: int = Field(960, ge=60, le=100_000)
    held_out: int = Field(300, ge=60, le=100_000)
    skew: float = Field(0.5, gt=0, le=1000)
    hidden: int = Field(128, ge=1, le=4096)
    epochs: int = Field(2, ge=1, le=100)
    rate: float = Field(0.1, gt=0, le=10)
    seed: int = Field(1, ge=0, lt=1 << 20)
    rounds: int = Field(20, ge=1, le=1000)
    target: float = Field(0.8, gt=0, le=1)
    quorum: int = Field(1, ge=1, le=MOST_UES)
    limit_s: float = Field(10.0, ge=0.1, le=600)
    link_backend: str = "auto"

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        for name in (*self.coder, self.model_coder):
            coder_named(name)
        for ues in self.ues:
            check_shares(self.samples, ues)
        if self.quorum > min(self.ues):
            raise ValueError(f"a quorum of {self.quorum} cannot be had of {min(self.ues)} UEs")
        for fault in map(_fault, self.faults):
            if fault.ue not in names(max(self.ues)):
                raise ValueError(f"{fault.words}: there are {max(self.ues)} UEs")
            if fault.number < 1:
                raise ValueError(f"{fault.words}: its number is from 1 on")
            if fault.kind == "kill" and fault.number > self.rounds:
                raise ValueError(f"{fault.words}: there are {self.rounds} rounds")
        _ = [self.link(bw) for bw in self.bw]
        return self

    @property
    def cells(self) -> list[Cell]:
        """All of them; each fault once, with the most UEs, over the first link, of the first coder.

        They stand by the number of UEs, as Spark is started anew for another.
        """
        grid = product(sorted(set(self.ues)), self.bw, self.coder)
        found = [Cell(*point) for point in grid]
        most = max(self.ues), self.bw[0], self.coder[0]
        return found + [Cell(*most, _fault(words)) for words in self.faults]

    def link(self, bw_mbit: float) -> LinkSpec:
        """That of a UE. Raises UsageError."""
        return symmetric(rate_mbit=bw_mbit, delay_ms=self.delay_ms)

    def links(self, cell: Cell) -> dict[str, LinkSpec]:
        """Of each UE of a cell."""
        slow = (
            {cell.fault.ue: cell.fault.number} if cell.fault and cell.fault.kind == "slow" else {}
        )
        return {ue: self.link(cell.bw_mbit / slow.get(ue, 1)) for ue in cell.names}


def federated(options: Mapping[str, object]) -> Federated:
    """What is asked, checked. Raises UsageError for values that cannot be, naming each."""
    given = {name.replace("-", "_"): value for name, value in options.items()}
    try:
        return Federated.model_validate(given)
    except ValidationError as error:
        raise UsageError(one_line(error)) from None


def _fault(words: str) -> Fault:
    if (found := _FAULT.fullmatch(words)) is None:
        raise ValueError(f"the fault {words[:50]!r} is none: write kill:ue-2:3 or slow:ue-2:20")
    kind: Literal["kill", "slow"] = "kill" if found["kind"] == "kill" else "slow"
    return Fault(kind, found["ue"], int(found["number"]))
