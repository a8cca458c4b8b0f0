"""The columns of a row on what it was measured over and on: its link, and the machine."""

from collections.abc import Sequence
from statistics import fmean

from msgspec.structs import replace

from orchestrator.results.records import MachineRecord, ProofRecord
from orchestrator.results.rows import Row


def with_link(row: Row, visits: Sequence[Sequence[ProofRecord]]) -> Row:
    """What its proofs and its connection were, over all visits."""
    proofs = [proof for one in visits for proof in one]
    row = replace(
        row,
        link_mbit=fmean([proof.uplink_mbit for proof in proofs]),
        link_down_mbit=fmean([proof.downlink_mbit for proof in proofs]),
        link_rtt_ms=fmean([proof.rtt_min_ms for proof in proofs]),
        link_attempts=max(proof.attempts or 0 for proof in proofs) or None,
    )
    ends = [(one[0].tcp, one[-1].tcp) for one in visits]
    told = [(first, last) for first, last in ends if first and last]
    if not told:
        return row
    _, last = told[-1]
    return replace(
        row,
        link_retransmits=sum(last.retransmits - first.retransmits for first, last in told),
        tcp=last.congestion_control,
        cwnd_segments=last.cwnd_segments,
        mss_bytes=last.mss_bytes,
    )


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
