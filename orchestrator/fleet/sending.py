"""Groups sent until each has ended, or no machine could measure it.

a machine that is unfit ──> is left out, the group goes to another
one that was lost, or stopped ──> the group is sent again, up to TRIES times
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from orchestrator.fleet.fleet import Came, Fleet
from orchestrator.fleet.groups import Group
from orchestrator.fleet.merging import Merging
from orchestrator.fleet.order import Answer, Order
from orchestrator.measure.cell import cell_record
from orchestrator.measure.conditions import now
from orchestrator.measure.watcher import Watcher
from orchestrator.testbed.model import SweptModel
from splitbed.errors import MachineError, RunError

TRIES = 3
WAIT_S = 600.0
"""For a machine to join, where none is left."""
_POLL_S = 1.0


@dataclass
class Machines:
    """Those of a fleet that are known: which are left out, which began a group before."""

    fleet: Fleet
    watcher: Watcher
    unfit: dict[str, str] = field(default_factory=dict)
    """By the place in the fleet, the name and why."""
    began: Mapping[str, str] = field(default_factory=dict)
    """The place where a group was begun, by its key."""

    def look(self, order: Order) -> None:
        """Have all that are there say whether they are fit; MachineError where none is."""
        answers = self.fleet.looked_at(order)
        for answer in answers:
            if answer.unfit:
                self.leave_out(answer)
        fit = [answer for answer in answers if not answer.unfit]
        if answers and not fit:
            raise MachineError(f"no machine of {self.fleet.words} can measure: {self.why}")
        if fit:
            told = ", ".join(f"{one.machine} ({one.cpus} CPUs, {one.cpu})" for one in fit)
            self.watcher.note(f"fit to measure: {told}")
        self.began = {key: answer.place for answer in fit for key in answer.holds}

    def leave_out(self, answer: Answer) -> None:
        """Send it nothing any more."""
        self.unfit[answer.place] = f"{answer.machine}: {'; '.join(answer.unfit)}"
        self.watcher.note(f"left out: {self.unfit[answer.place]}")

    def send(self, order: Order) -> None:
        """To where it was begun, or to any other that is fit."""
        began = self.began.get(order.key, "")
        self.fleet.send(order, self.unfit, "" if began in self.unfit else began)

    @property
    def any_left(self) -> bool:
        """Whether there is one that is not left out."""
        return self.fleet.any_left(self.unfit)

    @property
    def why(self) -> str:
        """Why those that are left out are."""
        return "; ".join(self.unfit.values())


@dataclass
class Sending:
    """Sends groups, and has what comes of each merged."""

    machines: Machines
    model: SweptModel
    merging: Merging
    watcher: Watcher
    _left: dict[str, Group] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)

    def all(self, groups: Sequence[Group]) -> None:
        """Until each has ended, or has a reason in its rows. Raises RunError, UsageError."""
        self._left = {group.order.key: group for group in groups}
        for group in groups:
            self.machines.send(group.order)
        self.watcher.note(f"links to measure, each on one machine: {len(groups)}")
        waited_s = 0.0
        while self._left:
            if came := self.machines.fleet.next(_POLL_S):
                self._came(came, self._left[came.order.key])
            waited_s = 0.0 if came or self.machines.any_left else waited_s + _POLL_S
            if waited_s == _POLL_S:
                self.watcher.note(self._waits())
            if waited_s >= WAIT_S:
                gone = self.machines.fleet.gone
                for group in [*self._left.values()]:
                    self._give_up(group, gone or "no machine was left to measure it")

    def _waits(self) -> str:
        """What is waited for, and what may be done meanwhile."""
        if gone := self.machines.fleet.gone:
            return (
                f"{gone}: started again within {WAIT_S / 60:.0f} minutes it is given what is left; "
                "or end this (Ctrl-C), and go on with --resume"
            )
        return "no machine is left: one that joins is waited for"

    def _came(self, came: Came, group: Group) -> None:
        answer = came.answer
        if answer and answer.unfit:
            self.machines.leave_out(answer)
            if self.machines.any_left:
                self.machines.send(group.order)
            else:
                self._give_up(group, self.machines.why)
            return
        why = f"{answer.machine} stopped: {answer.stopped}" if answer else came.lost
        stopped = answer is None or bool(answer.stopped)
        if stopped and self._again(group, why):
            return
        if answer and came.archive:
            self.merging.arrived(group.order.key, answer.machine, came.archive)
            self.watcher.note(f"{group.order.words} was measured on {answer.machine}")
        if stopped:
            self._give_up(group, f"given up after {TRIES} tries: {why}")
        self._left.pop(group.order.key, None)

    def _again(self, group: Group, why: str) -> bool:
        """Send it once more, unless that was done often enough."""
        tries = self._tries.setdefault(group.order.key, 1)
        if tries >= TRIES:
            return False
        self._tries[group.order.key] = tries + 1
        self.watcher.note(f"{group.order.words} is sent again: {why}")
        self.machines.send(group.order)
        return True

    def _give_up(self, group: Group, why: str) -> None:
        """A row with its reason for each cell that has none."""
        self._left.pop(group.order.key, None)
        journal = self.merging.journal
        there = {visit.key for visit in journal.visits}
        for visit in group.visits:
            if visit.block or visit.key in there:
                continue
            asked = visit.cell.configuration
            crossing = () if asked.cut is None else self.model.graph.cuts[asked.cut].tensors
            record = cell_record(visit, f"{asked.key} at {now()}", "", crossing)
            record = replace(record, error=why, error_kind=RunError.__name__)
            self.watcher.cell(visit.cell)
            journal.add_cell(record)
            self.watcher.done(record)
