"""Crowds: several UEs that share one edge and the link to it, alike or each with something own.

--ues 1,4 ──> ue-1; ue-1 … ue-4 ──> a configuration for each crowd ──> in it one of each UE
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from netem.spec import LinkSpec, symmetric
from orchestrator.ask.flow import FLOWS, UPLINK
from orchestrator.ask.links import USUAL_QUEUE, OwnShape, queue_for
from orchestrator.ask.load import Load
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.topology import Namespaces, UePlace
from splitbed.codecs import codec_named
from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.splits import resolve

UE = "ue"
"""The one UE, of whoever asks for no crowd."""
_NO_SHAPE = OwnShape()


class Cut(Protocol):
    """What is asked of a model: its graph, and its splits' names, where it has any."""

    @property
    def graph(self) -> Graph: ...

    @property
    def named_splits(self) -> Mapping[str, str] | None: ...


@dataclass(frozen=True)
class OwnUe:
    """One UE of a crowd, and what it has of its own; what is None it has as it is swept."""

    name: str
    split: str | None = None
    """As the user calls it."""
    cut: int | None = None
    """After how many layers that is, once the model is known."""
    codec: str | None = None
    pace: Pace | None = None
    load: Load | None = None
    shape: OwnShape = _NO_SHAPE

    @property
    def shaped(self) -> bool:
        """Whether its link to the cell has anything of its own."""
        return self.shape != _NO_SHAPE

    def on(self, model: Cut) -> "OwnUe":
        """On a model, where its split is a cut; UsageError where it is none, or several."""
        if self.split is None:
            return self
        found = resolve(model.graph, self.split, model.named_splits)
        if len(found) != 1:
            raise UsageError(f"{self.name}: split {self.split} means {len(found)} cuts: give one")
        return replace(self, cut=found[0].k)

    def access(self, rate_mbit: float) -> LinkSpec | None:
        """Its link to the cell, which has this rate but for what is its own; None: it has nothing.

        Raises UsageError for what cannot be.
        """
        if not self.shaped:
            return None
        rate_mbit = self.shape.rate_mbit or rate_mbit
        held_ms = (self.shape.delay_ms or 0) + (self.shape.jitter_ms or 0)
        queue = max(USUAL_QUEUE, queue_for(rate_mbit, held_ms))
        return self.shape.over(symmetric(rate_mbit=rate_mbit, queue_packets=queue), self.name)

    @property
    def words(self) -> str:
        """What it has of its own: ``split stage2, int8``; nothing where all is as it is swept."""
        own = self.shape.model_dump(exclude_none=True)
        said = [f"split {self.split}"] if self.split else []
        said += [self.codec] if self.codec else []
        said += [self.pace.words] if self.pace else []
        said += [self.load.words] if self.load else []
        return ", ".join([*said, *(f"{name} {value}" for name, value in own.items())])


Crowd = tuple[OwnUe, ...]
"""Its UEs; none at all: the one UE."""


def crowds(config: SweepConfig) -> list[Crowd]:
    """Every crowd that is asked for, the fewest UEs first; UsageError for what cannot be."""
    place = config.place
    named = place.ues if isinstance(place, Namespaces) else {}
    counts = sorted({*(config.ues or [max(1, len(named))])})
    if not named and counts == [1]:
        return [()]
    what = f"--ues {','.join(map(str, counts))}" if config.ues else f"the UEs of {place.name}"
    if named and counts[-1] > len(named):
        raise UsageError(
            f"{what}: the topology {place.name} names {len(named)}, {', '.join(named)}: give as "
            "many or fewer, or no topology"
        )
    told = named or {f"{UE}-{number}": UePlace() for number in range(1, counts[-1] + 1)}
    _check(config, what, told)
    every = [_own(name, one, config) for name, one in told.items()]
    return [tuple(every[:count]) for count in counts]


def _check(config: SweepConfig, what: str, told: Mapping[str, UePlace]) -> None:
    if not isinstance(config.place, Namespaces):
        raise UsageError(
            f"{what}: several UEs share one link, which is shaped, and are counted by one clock; "
            f"the machines of {config.place.name} have each an interface and a clock of its own: "
            "leave its --topology, and they are measured on this machine"
        )
    if config.shared and config.ues:
        raise UsageError(
            f"{what}: the topology {config.place.name} has the UEs that share its link: leave --ues"
        )
    if not FLOWS[config.flow].paired:
        raise UsageError(
            f"{what}: the flow {config.flow} has the UEs that it has; so many as one likes share a "
            "link in uplink, downlink and remote-source, and those of multi-head with a --topology "
            "that is `shared`"
        )
    if config.flow != UPLINK and any(one.split or one.codec for one in told.values()):
        raise UsageError(
            f"{what}: a UE has a split or a codec of its own in the flow uplink alone: leave "
            f"--flow {config.flow}"
        )
    own = [config.load_named(one.load) for one in told.values() if one.load]
    if own and not all(load.offered for load in (*own, *config.loads)):
        raise UsageError(
            f"{what}: where a UE has a load of its own, frames of all are offered: give --load "
            "fps:30 or the like, and each UE another one than closed"
        )
    if config.races or config.device_model:
        why = "--budget and --until-sure" if config.races else "--device-model"
        raise UsageError(f"{what}: nothing predicts several UEs: leave {why}")


def _own(name: str, place: UePlace, config: SweepConfig) -> OwnUe:
    limited = place.slowdown is not None or place.cpus is not None
    return OwnUe(
        name,
        place.split,
        codec=None if place.codec is None else codec_named(place.codec).name,
        pace=Pace(slowdown=place.slowdown, cpus=place.cpus) if limited else None,
        load=None if place.load is None else config.load_named(place.load),
        shape=place.shape,
    )
