"""An engine that ends whoever asked it is asked by another, and told what it had is lost."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator.fleet.apart import Apart
from orchestrator.fleet.fleet import Came, Fleet
from orchestrator.fleet.order import Answer, Order, this_build
from splitbed.errors import MachineError

ORDER = Order(key="k", words="8 Mbit/s", build=this_build(), asked={"model": "shapesnet"})


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is of the tests alone, to the process that an engine is opened in."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


class Ends(Fleet):
    """Its process ends where it is first asked what came; later all that was sent has come."""

    words = "an engine"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, Path] = {}
        self.sent: list[Order] = []

    def open(self, spool: Path) -> None:
        if not self.folder.is_dir():
            raise MachineError("no folder")

    def offer(self, files: Mapping[str, Path]) -> None:
        self.files |= files

    def looked_at(self, order: Order) -> Sequence[Answer]:
        return (Answer(machine="a"),)

    def send(self, order: Order, avoiding: Collection[str] = (), near: str = "") -> None:
        self.sent.append(order)

    def next(self, timeout_s: float) -> Came | None:
        if not (ended := self.folder / "ended").exists():
            ended.touch()
            os._exit(1)
        there = " ".join(self.files)
        return Came(self.sent.pop(), Answer(machine=there)) if self.sent else None

    def any_left(self, avoiding: Collection[str]) -> bool:
        return True

    def close(self) -> None: ...


def test_what_an_engine_that_ended_was_sent_is_lost_and_can_be_sent_to_another(
    tmp_path: Path,
) -> None:
    fleet = Apart(Ends(tmp_path))
    fleet.open(tmp_path)
    try:
        fleet.offer({"sha": tmp_path / "file"})
        assert fleet.looked_at(ORDER) == (Answer(machine="a"),)
        fleet.send(ORDER)
        assert fleet.next(0.1) is None
        assert (fleet.any_left(()), fleet.gone) == (False, "an engine was lost")
        assert fleet.next(0.1) is None
        assert not fleet.gone
        lost = fleet.next(0.1)
        assert lost and (lost.order, lost.lost) == (ORDER, "an engine was lost")
        fleet.send(ORDER)
        assert fleet.any_left(())
        assert fleet.next(0.1) == Came(ORDER, Answer(machine="sha"))
    finally:
        fleet.close()


class EndsCounting(Ends):
    """Its process ends where its machines are counted."""

    def any_left(self, avoiding: Collection[str]) -> bool:
        os._exit(1)


def test_an_engine_that_ends_while_its_machines_are_counted_is_gone_too(tmp_path: Path) -> None:
    fleet = Apart(EndsCounting(tmp_path))
    fleet.open(tmp_path)
    try:
        assert (fleet.any_left(()), fleet.gone) == (False, "an engine was lost")
    finally:
        fleet.close()


_LOST = "the connection to an engine was lost"


class Breaks(Ends):
    """It cannot be sent to at first, as one whose connection is gone."""

    def send(self, order: Order, avoiding: Collection[str] = (), near: str = "") -> None:
        if not (ended := self.folder / "ended").exists():
            ended.touch()
            raise ConnectionError("no head")
        super().send(order, avoiding, near)

    def any_left(self, avoiding: Collection[str]) -> bool:
        raise ConnectionError("no head")

    def looked_at(self, order: Order) -> Sequence[Answer]:
        raise _WrongError


class _WrongError(RuntimeError):
    """Pickle makes none of it."""

    def __init__(self) -> None:
        super().__init__("it is\n  wrong")
        self.by = lambda: None


def test_what_an_engine_fails_by_is_told_and_another_is_begun(tmp_path: Path) -> None:
    fleet = Apart(Breaks(tmp_path))
    fleet.open(tmp_path)
    try:
        with pytest.raises(MachineError, match="an engine failed: it is wrong"):
            fleet.looked_at(ORDER)
        fleet.send(ORDER)
        assert fleet.next(0.1) is None
        lost = fleet.next(0.1)
        assert lost and (lost.order, lost.lost) == (ORDER, _LOST)
        fleet.send(ORDER)
        assert fleet.next(0.1) == Came(ORDER, Answer(machine=""))
        assert (fleet.any_left(()), fleet.gone) == (False, _LOST)
    finally:
        fleet.close()


def test_what_it_raises_is_raised_here(tmp_path: Path) -> None:
    fleet = Apart(Ends(tmp_path / "none"))
    with pytest.raises(MachineError, match="no folder"):
        fleet.open(tmp_path)
    fleet.close()
