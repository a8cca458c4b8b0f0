"""The columns of a row on what it was measured over and on: its links, and the machine."""

from collections.abc import Sequence
from statistics import fmean

from msgspec.structs import replace

from orchestrator.ask.flow import FLOWS, shape_of
from orchestrator.results.columns.links import further_links
from orchestrator.results.records import CellRecord, MachineRecord, ProofRecord
from orchestrator.results.rows import Row


def with_links(row: Row, visits: Sequence[CellRecord]) -> Row:
    """What its links were asked to be, what their proofs and connections were, over all visits."""
    row = _with_first(row, [proofs for cell in visits if (proofs := cell.proofs_of(1))])
    links = visits[0].every_link
    found: dict[str, float | None] = {}
    for number in further_links(FLOWS[row.flow]):
        for way in ("uplink", "downlink"):
            shape = shape_of(links, f"{way}{number}")
            found[f"{way}{number}_mbit"] = shape.rate_mbit
            found[f"{way}{number}_delay_ms"] = shape.delay_ms
        told = [proofs for cell in visits if (proofs := cell.proofs_of(number))]
        every = [proof for proofs in told for proof in proofs]
        found[f"link{number}_mbit"], found[f"link{number}_down_mbit"] = _mean_mbit(every)
        found[f"link{number}_rtt_ms"] = _mean([proof.rtt_min_ms for proof in every])
        found[f"link{number}_retransmits"] = _retransmits(told)
    return replace(row, of_flow=tuple((dict(row.of_flow) | found).items()))


def _with_first(row: Row, visits: Sequence[Sequence[ProofRecord]]) -> Row:
    proofs = [proof for one in visits for proof in one]
    told = [one[-1].tcp for one in visits if one[-1].tcp]
    up_mbit, down_mbit = _mean_mbit(proofs)
    return replace(
        row,
        link_mbit=up_mbit,
        link_down_mbit=down_mbit,
        link_rtt_ms=_mean([proof.rtt_min_ms for proof in proofs]),
        link_attempts=max((proof.attempts or 0 for proof in proofs), default=0) or None,
        link_retransmits=_retransmits(visits),
        tcp=told[-1].congestion_control if told else None,
        cwnd_segments=told[-1].cwnd_segments if told else None,
        mss_bytes=told[-1].mss_bytes if told else None,
    )


def _mean_mbit(proofs: Sequence[ProofRecord]) -> tuple[float | None, float | None]:
    """Of the uplink and of the downlink, where they were measured."""
    measured = [rates for proof in proofs if (rates := proof.measured_mbit)]
    return _mean([up for up, _ in measured]), _mean([down for _, down in measured])


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _retransmits(visits: Sequence[Sequence[ProofRecord]]) -> int | None:
    """From each visit's first proof to its last; None where TCP did not tell."""
    of_each = [
        [proof for proof in one if proof.ends == ends]
        for one in visits
        for ends in dict.fromkeys(proof.ends for proof in one)  # one, or each UE's
    ]
    ends = [(one[0].tcp, one[-1].tcp) for one in of_each]
    told = [last.retransmits - first.retransmits for first, last in ends if first and last]
    return sum(told) if told else None


def with_machine(row: Row, machines: Sequence[MachineRecord]) -> Row:
    """The most that was used of the machine in any visit."""

    def most(name: str, times: float = 1) -> float | None:
        found = [told for one in machines if (told := getattr(one, name)) is not None]
        return max(found) * times if found else None

    clocked = [one.mhz for one in machines if one.mhz is not None]
    preempted = [one.preemptions for one in machines if one.preemptions is not None]
    return replace(
        row,
        others_pct=most("others_share", 100),
        steal_pct=most("steal_share", 100),
        pressure_pct=most("pressure_share", 100),
        load_average=most("load_average"),
        cpu_mhz=min(clocked, default=None),
        preemptions=sum(preempted) if preempted else None,
    )
