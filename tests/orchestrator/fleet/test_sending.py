"""A group goes to where it was begun, and to no machine that was left out."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.fleet.fleet import Fleet
from orchestrator.fleet.groups import Group
from orchestrator.fleet.on_ray import RayFleet
from orchestrator.fleet.order import Answer, Order, this_build
from orchestrator.fleet.sending import Machines, Sending
from orchestrator.measure.watcher import Watcher
from splitbed.errors import MachineError

ORDER = Order(key="k", words="8 Mbit/s", build=this_build(), asked={"model": "shapesnet"})


class Told(Fleet):
    """Machines a and b, of which a began the group; what is sent is noted."""

    words = "two machines"

    def __init__(self) -> None:
        self.sent = list[tuple[set[str], str]]()

    def open(self, spool: Path) -> None: ...

    def offer(self, files: object) -> None: ...

    def looked_at(self, order: Order) -> Sequence[Answer]:
        return Answer(machine="a", place="A", holds=("k",)), Answer(machine="b", place="B")

    def send(self, order: Order, avoiding: Collection[str] = (), near: str = "") -> None:
        self.sent.append(({*avoiding}, near))

    def next(self, timeout_s: float) -> None: ...

    def any_left(self, avoiding: Collection[str]) -> bool:
        return not {"A", "B"} <= {*avoiding}

    def close(self) -> None: ...


def test_a_machine_that_has_become_unfit_is_not_asked_again_for_what_it_began() -> None:
    machines = Machines(fleet := Told(), Watcher())
    machines.look(ORDER)
    machines.send(ORDER)
    machines.leave_out(Answer(machine="a", place="A", unfit=("its disk is full",)))
    machines.send(ORDER)
    assert fleet.sent == [(set(), "A"), ({"A"}, "")]
    assert machines.any_left


def test_a_fleet_that_is_gone_is_told_with_why_and_what_goes_on() -> None:
    class Gone(Told):
        @property
        def gone(self) -> str:
            return "the head of Ray at head:6379 is gone"

        def any_left(self, avoiding: Collection[str]) -> bool:
            return False

    class Impatient(Watcher):
        def note(self, words: str) -> None:
            if "is gone" in words:
                raise KeyboardInterrupt(words)  # as of who has read it, and ends the sweep

    nothing: Any = None
    sending = Sending(Machines(Gone(), Watcher()), nothing, nothing, Impatient())
    with pytest.raises(KeyboardInterrupt, match=r"head:6379 is gone: .* 10 minutes .*--resume"):
        sending.all([Group((), (), ORDER)])


def test_a_machine_that_fails_while_it_is_looked_at_is_left_out_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray")
    fleet = RayFleet(None)
    answers = {"one": Answer(machine="a", place="A")}

    def gotten(ref: str) -> tuple[str, bytes, bytes]:
        if ref not in answers:
            raise ray.exceptions.WorkerCrashedError
        return answers[ref].place, answers[ref].json().encode(), b""

    monkeypatch.setattr(ray, "get", gotten)
    monkeypatch.setattr(ray, "wait", lambda refs, **_: (refs, []))
    monkeypatch.setattr(fleet, "_places", lambda: ["A", "B"])
    monkeypatch.setattr(fleet, "_submitted", lambda _, near, soft: {"A": "one", "B": "other"}[near])
    fit, lost = fleet.looked_at(ORDER)
    assert (fit.machine, fit.unfit) == ("a", ())
    assert lost.place == "B" and "worker died" in lost.unfit[0]


def test_what_a_clusters_own_server_raised_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray")

    def init(*_: object, **__: object) -> None:
        raise ConnectionAbortedError(
            "Initialization failure from server:\nTraceback (most recent call last):\n"
            '  File "proxier.py", line 772, in Datapath\n    raise RuntimeError(\n'
            "RuntimeError: Starting Ray client server failed. See ray_client_server_1.err.\n"
        )

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr("orchestrator.fleet.on_ray._answering", lambda _: None)
    monkeypatch.setenv("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "10")  # which is set for it
    with pytest.raises(MachineError) as told:
        RayFleet("ray://head:10001").open(tmp_path)
    assert str(told.value).startswith(
        "Ray at ray://head:10001 cannot be had: Initialization failure from server: "
        "RuntimeError: Starting Ray client server failed. See ray_client_server_1.err.; repair: "
    )
