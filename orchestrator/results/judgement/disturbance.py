"""Whether something else than the run kept the machine busy while a cell was measured.

    a cell by itself    others' processes, or other machines, may have taken too much of the time of
                        its frames: their share of the processors, while frames compute;
                        its link was as asked before its frames and not after, or the reverse
    against the rest    part 1 or part 2 took longer than the profile predicts, and longer than in
                        other cells of the same split and pace; or far longer than predicted;
                        the device anchor, which uses no link, took longer than over another

Such a cell is measured again at the end of the run. The pressure that the kernel tells is no rule:
on few processors the nodes' own threads make most of it.
"""

from collections.abc import Sequence
from math import inf
from statistics import median

from msgspec.structs import replace

from orchestrator.ask.flow import FLOWS
from orchestrator.ask.itinerary import crossings_of
from orchestrator.results.records import CellRecord, MachineRecord
from orchestrator.results.rows import Row, known

MAX_OTHERS_SHARE, MAX_STEAL_SHARE = 0.25, 0.05
"""Of the time of frames: others' share of the processors, while these compute."""
MAX_OVER_USUAL = 1.25
"""A part may take so many times what is predicted, and what it takes in other cells …"""
MAX_OVER_ALONE = 1.5
"""… or, where there is no prediction, so many times the latter …"""
MAX_OVER_PREDICTED = 2.0
"""… and never more than this: a machine that is busy all the time is so in every cell."""
MAX_SPREAD = 1.1
"""What should be equal is told where the largest is more than so many times the least."""
MIN_LATE_MS = 1.0
"""Less than this is what threads take to wake."""


def disturbed_by(cell: CellRecord, computing_share: float = 1.0, frame_ms: float = inf) -> str:
    """What the cell says by itself, in words; nothing where it was not disturbed.

    Its frames took so long, and computed for such a share of that.
    """
    found = busy_by(cell.machine, computing_share, frame_ms) if cell.machine else []
    for ends in dict.fromkeys(proof.ends for proof in cell.proofs):
        faults = [bool(proof.fault) for proof in cell.proofs if proof.ends == ends]
        if any(faults) and not all(faults):
            when = "before its frames and not after" if faults[-1] else "only after its frames"
            whose = f"from {' to '.join(ends)} " if len(FLOWS[cell.flow].links) > 1 else ""
            found.append(f"its link {whose}was as asked {when}")
    return "; ".join(found)


def busy_by(
    machine: MachineRecord, computing_share: float = 1.0, took_ms: float = inf
) -> list[str]:
    """Who else used too much of the processors, for what computed for such a share of its time.

    Of the time that something computes others took no more than their share of the processors, and
    of what a link takes nothing: so the product bounds what they took of all that it `took_ms`.
    """
    when = f", on which frames spent {computing_share:.0%} of their time"
    return [
        f"{whose} used {share:.0%} of the processors{when if computing_share < 1 else ''}"
        for share, most, whose in (
            (machine.others_share, MAX_OTHERS_SHARE, "other processes"),
            (machine.steal_share, MAX_STEAL_SHARE, "other machines"),
        )
        if share is not None
        and share * computing_share > most
        and share * computing_share * took_ms > MIN_LATE_MS
    ]


def marked(table: Sequence[Row]) -> list[Row]:
    """The rows, each with what it says of its disturbance when held against the others."""
    slow = {id(row) for _, row in anchors_apart(table)}
    alike: dict[tuple[object, ...], list[Row]] = {}
    for row in (one for one in table if not one.load):
        alike.setdefault(_runs(row), []).append(row)

    def of(row: Row) -> Row:
        found = [row.disturbed] if row.disturbed else []
        if row.e2e_ms is not None and not row.load:  # whose parts may run at once, or seldom
            same = alike[_runs(row)]
            parts = (f"part{part + 1}" for part in range(len(row.layers)))
            found += [late for part in parts if (late := _late(part, row, same))]
        if id(row) in slow and len(found) == 0:
            found.append("the device anchor took less at another time")
        return replace(row, disturbed="; ".join(found))

    return [of(row) for row in table]


def _runs(row: Row) -> tuple[object, ...]:
    """What its nodes run, and where: of rows that agree parts take as long."""
    return row.split, row.precision, row.ue, row.ues, row.measured_on


def anchors_apart(table: Sequence[Row]) -> list[tuple[Row, Row]]:
    """The device anchor of each precision, pace and load where it was fastest, and those not.

    Of each machine by itself. None of them uses its link: their intervals lie apart, by more than
    MAX_SPREAD.
    """
    anchors = [row for row in table if row.valid and row.e2e_ms]
    anchors = [row for row in anchors if not crossings_of(row.flow, row.split)]
    found = []
    alike: dict[tuple[object, ...], list[Row]] = {}
    for row in anchors:
        alike.setdefault((*_runs(row)[1:], row.load), []).append(row)
    for of_pace in alike.values():
        fast = min(of_pace, key=lambda row: known(row.e2e_high_ms))
        found += [
            (fast, row)
            for row in of_pace
            if known(row.e2e_low_ms) > known(fast.e2e_high_ms)
            and _beyond(known(row.e2e_ms), known(fast.e2e_ms), MAX_SPREAD)
        ]
    return found


def _late(part: str, row: Row, alike: Sequence[Row]) -> str:
    """Why this part took too long in the row; nothing where it did not.

    Those `alike` are of the same split and pace.
    """
    took_ms = known(_ms(row, part))
    # how much slower a slowed UE is was measured on this very part
    told_ms = None if row.ue and part == f"part{row.ue_part}" else _ms(row, f"{part}_predicted")
    usual_ms = _usual_ms(part, row, alike)
    words = f"{part[:-1]} {part[-1]} took {took_ms:.3g} ms"
    if told_ms is not None and _beyond(took_ms, told_ms, MAX_OVER_PREDICTED):
        return f"{words}, the profile predicts {told_ms:.3g}"
    most = MAX_OVER_ALONE if told_ms is None else MAX_OVER_USUAL
    if usual_ms is None or not _beyond(took_ms, usual_ms, most):
        return ""
    if told_ms is not None and not _beyond(took_ms, told_ms, MAX_OVER_USUAL):
        return ""
    return f"{words}, {usual_ms:.3g} in other cells"


def _usual_ms(part: str, row: Row, alike: Sequence[Row]) -> float | None:
    """What it takes in the others, the median; None without any."""
    of_part = (_ms(other, part) for other in alike if other is not row)
    others = [ms for ms in of_part if ms is not None]
    return median(others) if others else None


def _ms(row: Row, name: str) -> float | None:
    ms = row.value(f"{name}_ms")
    return ms if isinstance(ms, int | float) else None


def _beyond(took_ms: float, usual_ms: float, most: float) -> bool:
    return took_ms > most * usual_ms and took_ms - usual_ms > MIN_LATE_MS
