"""How much a pair carries: capacity.json, a row for each configuration that was searched."""

from collections.abc import Mapping
from typing import Literal

from orchestrator.results.json_record import Record

Over = Literal["fps", "ues"]
"""What was searched: frames a second of each UE, or how many UEs."""


class Trial(Record, frozen=True, kw_only=True):
    """A run at one load, and whether all that must hold did; None where it could not be measured.

    ``key`` names what is searched, ``load`` is in frames a second of each UE, or a number of UEs.
    ``broken`` names what did not hold, ``why`` says it. ``times_ms`` are those that are limited, by
    their names, of several UEs the longest; None where nothing is to be told of one. Counts and
    ``lost_pct`` are of all UEs together. ``under_way`` is how many frames were so on average,
    ``by_law`` how many Little's law makes it.
    """

    key: str
    load: float
    run: int
    held: bool | None
    broken: tuple[str, ...] = ()
    why: str = ""
    offered: int = 0
    done: int = 0
    lost_pct: float | None = None
    delivered_fps: float | None = None
    times_ms: Mapping[str, float | None] = {}
    under_way: float | None = None
    by_law: float | None = None
    law_holds: bool | None = None


class CapacityRow(Record, frozen=True, kw_only=True):
    """What one configuration carries.

    ``last_passing`` is the most that held, confirmed by ``confirmed`` of ``confirming`` runs,
    ``first_failing`` the least that did not; None where there is none, or no answer, as ``error``
    says. What ``bound_by`` names did not hold there, ``why`` in words. The rest is of the runs that
    held at the most: means, of times the medians.
    """

    key: str
    split: str
    split_name: str
    codec: str
    link: str
    bw_mbit: float
    ue: str = ""
    anchor: bool = False
    over: Over = "fps"
    ues: int = 1
    """That share the link, where a rate was searched."""
    fps_each: float | None = None
    """Of each UE, where the number of UEs was searched."""
    e2e_ms: float | None = None
    """Of frames one at a time."""
    last_passing: float | None = None
    first_failing: float | None = None
    bound_by: str = ""
    why: str = ""
    confirmed: int = 0
    confirming: int = 0
    runs: int = 0
    delivered_fps: float | None = None
    lost_pct: float | None = None
    times_ms: Mapping[str, float | None] = {}
    under_way: float | None = None
    by_law: float | None = None
    law: str = ""
    """What Little's law says of them."""
    error: str = ""
    """Why it could not be searched to the end; else nothing."""

    @property
    def with_codec(self) -> str:
        """The split, with the codec of what crosses where anything does."""
        return self.split_name if self.codec == "none" else f"{self.split_name} {self.codec}"

    @property
    def place(self) -> str:
        """Which one it is, as `stage2 int8 at 20 Mbit/s, UE 4x slower`."""
        pace = f", UE {self.ue}" if self.ue else ""
        return f"{self.with_codec} at {self.link}{pace}"

    def amount(self, load: float) -> str:
        """So much of what was searched, with its unit."""
        if self.over == "ues":
            return f"{load:.0f} UE{'' if load == 1 else 's'} of {self.fps_each:g} frames/s"
        return f"{load:.4g} frames/s{' of each UE' if self.ues > 1 else ''}"


class CapacityRecord(Record, frozen=True, kw_only=True):
    """capacity.json: what was asked beside the options of a sweep in run.json, and the answers."""

    slo: tuple[str, ...]
    drop_rate: str
    over: Over
    load: str
    """How frames come: fps or poisson; with a rate where numbers of UEs are searched."""
    ues: str = ""
    """From how many to how many, then."""
    seconds: float
    within: float
    words: str
    """What must hold."""
    rows: tuple[CapacityRow, ...] = ()
