"""Meters of energy: what tells how many joules a node, or its whole machine, took so far.

A meter of another kind, as one between a device and its plug, comes with a package of its own:
:data:`METERS` is how it is found.
"""

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Protocol

from splitbed.errors import SplitbedError
from splitbed.extensions import Extensible
from splitbed.meters.battery import Battery
from splitbed.meters.powercap import Powercap
from splitbed.v1 import nodes_pb2


class Meter(Protocol):
    """Counts from when it is made. ``own`` is whether it is of the node alone."""

    own: bool

    def lacks(self) -> str:
        """Why it cannot tell anything here, and what repairs that; nothing where it can."""

    def read(self) -> Mapping[str, float]:
        """Joules so far, by domains of which none is part of another. Raises OSError, ValueError.

        Called off the clock of a frame, from any thread, by one at a time, and about every second
        while there are frames, so that a counter that begins anew is seen.
        """


class MeterKind(Protocol):
    """Makes a meter."""

    def __call__(self) -> Meter:
        """One that counts from now on."""


METERS: Extensible[MeterKind] = Extensible(
    "splitbed.meters",
    "meter",
    {"powercap": Powercap, "battery": Battery},
    kind="MeterKind",
    needs=("__call__",),
)
"""By name; those of packages are tried first, then ours in this order."""


class EnergyMeter:
    """The first meter that can tell, if any; what it, or each of them, lacks in words."""

    def __init__(self, kinds: Mapping[str, MeterKind] = METERS) -> None:
        self.lacks: list[str] = []
        self._found: tuple[str, Meter] | None = None
        self._lock = Lock()
        """A frame that has ended and whoever asks what was used may read at once."""
        own = METERS.own
        for name in sorted(kinds, key=lambda name: name in own):
            try:
                meter = kinds[name]()
                lacks = meter.lacks()
            except (SplitbedError, OSError, ValueError) as error:
                lacks = str(error)
            if not lacks:
                self._found = name, meter
                self.lacks = []
                break
            self.lacks.append(f"energy by {name}: {lacks}")

    def keep_up(self) -> None:
        """Look at its counters, so that none can begin anew twice unseen."""
        if self._found:
            with suppress(OSError, ValueError), self._lock:  # said when it is read
                self._found[1].read()

    def read(self, told: nodes_pb2.Resources) -> None:
        """Add its joules so far to what is told, or what it lacks."""
        told.lacks.extend(self.lacks)
        if self._found is None:
            return
        name, meter = self._found
        try:
            with self._lock:
                domains = meter.read()
        except (OSError, ValueError) as error:
            told.lacks.append(f"energy by {name}: {error}")
            return
        for domain, joules in domains.items():
            told.energy.add(meter=name, domain=domain, joules=joules, own=meter.own)
