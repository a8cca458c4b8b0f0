"""What is kept of federated averaging, and its two tables: a row a round and UE, a row a cell."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from orchestrator.federated.asked import Cell
from orchestrator.federated.words import Anchored, Ended
from orchestrator.results.columns import Column, columns_of, csv_text
from orchestrator.results.json_record import Record
from orchestrator.results.records import ProofRecord

_MISSING = "the UE is missing"
_NO_TARGET = "the target was not reached"
_FAILED = "the cell failed"


class Traffic(Record, frozen=True):
    """What a UE's interface carried during a round, Ethernet frames."""

    up_bytes: int
    down_bytes: int


class RoundRecord(Record, frozen=True, kw_only=True):
    """A round as the aggregator told it, and what crossed each link meanwhile."""

    ended: Ended
    traffic: dict[str, Traffic]

    @property
    def round_ms(self) -> float:
        """From when it began until its model was there."""
        return (self.ended.ended_ns - self.ended.began_ns) / 1e6


class FederatedRecord(Record, frozen=True, kw_only=True):
    """A line of cells.jsonl: a cell that has ended, its links proved before and after it."""

    cell: Cell
    rounds: tuple[RoundRecord, ...] = ()
    proofs: tuple[ProofRecord, ...] = ()
    link_backend: str = ""
    error: str = ""


class AnchorRecord(Record, frozen=True, kw_only=True):
    """anchor.json: central training, and how many bytes of samples each number of UEs would send:
    of who has most, since they send at once.
    """

    anchored: Anchored
    most_bytes: dict[int, int]


@dataclass(frozen=True, kw_only=True)
class RoundRow:
    """A row of federated.csv."""

    ues: Annotated[int, Column("UEs of the cell")]
    bw_mbit: Annotated[float, Column("rate that was asked, each way", "Mbit/s")]
    coder: Annotated[str, Column("the model coder of updates")]
    fault: Annotated[str, Column("what was done to a UE", empty="")]
    round: Annotated[int, Column("the round, from 1")]
    ue: Annotated[str, Column("the UE")]
    samples: Annotated[int | None, Column("that it trained on", empty=_MISSING)] = None
    missing: Annotated[str, Column("why it has no part in the mean")]
    update_bytes: Annotated[int | None, Column("of its update, coded", "bytes", empty=_MISSING)] = (
        None
    )
    model_bytes: Annotated[int, Column("of the model that was broadcast, coded", "bytes")]
    up_bytes: Annotated[
        int, Column("Ethernet frames that left the UE during the round, all of Spark's", "bytes")
    ]
    down_bytes: Annotated[int, Column("those that came to it", "bytes")]
    down_ms: Annotated[
        float | None,
        Column("from the task's launch until the model is at hand on the UE", "ms", empty=_MISSING),
    ] = None
    decode_ms: Annotated[float | None, Column("to decode it", "ms", empty=_MISSING)] = None
    train_ms: Annotated[float | None, Column("to train", "ms", empty=_MISSING)] = None
    encode_ms: Annotated[float | None, Column("to code the update", "ms", empty=_MISSING)] = None
    up_ms: Annotated[
        float | None,
        Column("from then until the driver has it, Spark's handling of it included", "ms",
               empty=_MISSING),
    ] = None  # fmt: skip
    link_ms: Annotated[float | None, Column("down_ms and up_ms", "ms", empty=_MISSING)] = None
    aggregate_ms: Annotated[
        float, Column("of the round: to decode updates, average them and add the mean", "ms")
    ]
    round_ms: Annotated[float, Column("of the round: from its begin until the new model", "ms")]
    accuracy: Annotated[float, Column("of the model after the round, on the held-out samples")]
    problem: Annotated[str, Column("why the round left the model as it was")]


@dataclass(frozen=True, kw_only=True)
class TargetRow:
    """A row of targets.csv: a cell, or the anchor over its link."""

    ues: Annotated[int, Column("UEs")]
    bw_mbit: Annotated[float, Column("rate that was asked, each way", "Mbit/s")]
    coder: Annotated[str, Column("the model coder of updates; `central` is the anchor")]
    fault: Annotated[str, Column("what was done to a UE", empty="")]
    rounds: Annotated[int, Column("rounds that ended")]
    accuracy: Annotated[float | None, Column("at the end", empty=_FAILED)] = None
    target: Annotated[float, Column("the accuracy that was asked")]
    target_round: Annotated[int | None, Column("the round that reached it", empty=_NO_TARGET)] = (
        None
    )
    target_ms: Annotated[
        float | None,
        Column(
            "that all rounds until then took; of the anchor, its training, and its samples at the "
            "rate of the link, which is computed",
            "ms",
            empty=_NO_TARGET,
        ),
    ] = None
    up_bytes: Annotated[int, Column("Ethernet frames that left all UEs", "bytes")]
    down_bytes: Annotated[int, Column("those that came to them", "bytes")]
    missing: Annotated[int, Column("times that a UE was missing in a round")]
    link_up_mbit: Annotated[
        float | None, Column("least uplink as proved", "Mbit/s", empty="not proved")
    ] = None
    link_down_mbit: Annotated[
        float | None, Column("least downlink as proved", "Mbit/s", empty="not proved")
    ] = None
    valid: Annotated[bool, Column("whether nothing is wrong with it")]
    reason: Annotated[str, Column("what is")]


def round_rows(record: FederatedRecord) -> list[RoundRow]:
    """Of all rounds of a cell."""
    return [
        _round_row(record.cell, number, one, place)
        for number, one in enumerate(record.rounds, start=1)
        for place in range(len(one.ended.arrivals))
    ]


def _round_row(cell: Cell, number: int, one: RoundRecord, place: int) -> RoundRow:
    arrival = one.ended.arrivals[place]
    answer, traffic = arrival.answer, one.traffic[arrival.answer.ue]
    row = RoundRow(
        ues=cell.ues,
        bw_mbit=cell.bw_mbit,
        coder=cell.coder,
        fault=cell.fault.words if cell.fault else "",
        round=number,
        ue=answer.ue,
        missing=answer.missing,
        model_bytes=one.ended.model_bytes,
        up_bytes=traffic.up_bytes,
        down_bytes=traffic.down_bytes,
        aggregate_ms=one.ended.aggregate_ms,
        round_ms=one.round_ms,
        accuracy=one.ended.accuracy,
        problem=one.ended.problem,
    )
    if answer.missing:
        return row
    known = {
        name: getattr(answer, name)
        for name in ("samples", "update_bytes", "decode_ms", "train_ms", "encode_ms")
    }
    if arrival.launched_ns is not None and arrival.arrived_ns is not None:
        down_ms = max(0.0, (answer.began_ns - arrival.launched_ns) / 1e6)
        up_ms = max(0.0, (arrival.arrived_ns - answer.ended_ns) / 1e6)
        known |= {"down_ms": down_ms, "up_ms": up_ms, "link_ms": down_ms + up_ms}
    return RoundRow(**{**asdict(row), **known})


def target_row(record: FederatedRecord, target: float) -> TargetRow:
    """Of a cell."""
    cell, rounds = record.cell, record.rounds
    reached = [n for n, one in enumerate(rounds, 1) if one.ended.accuracy >= target]
    first = reached[0] if reached else None
    measured = [proof.measured_mbit for proof in record.proofs]
    rates = [both for both in measured if both]
    fault = record.error or "; ".join(dict.fromkeys(_faults(record)))
    return TargetRow(
        ues=cell.ues,
        bw_mbit=cell.bw_mbit,
        coder=cell.coder,
        fault=cell.fault.words if cell.fault else "",
        rounds=len(rounds),
        accuracy=rounds[-1].ended.accuracy if rounds else None,
        target=target,
        target_round=first,
        target_ms=sum(one.round_ms for one in rounds[:first]) if first else None,
        up_bytes=sum(own.up_bytes for one in rounds for own in one.traffic.values()),
        down_bytes=sum(own.down_bytes for one in rounds for own in one.traffic.values()),
        missing=sum(bool(a.answer.missing) for one in rounds for a in one.ended.arrivals),
        link_up_mbit=min(up for up, _ in rates) if rates else None,
        link_down_mbit=min(down for _, down in rates) if rates else None,
        valid=not fault,
        reason=fault,
    )


def _faults(record: FederatedRecord) -> list[str]:
    unmeant = [
        f"round {number}: {arrival.answer.ue} is missing ({arrival.answer.missing})"
        for number, one in enumerate(record.rounds, start=1)
        for arrival in one.ended.arrivals
        if arrival.answer.missing
        and not (record.cell.fault and record.cell.fault.ue == arrival.answer.ue)
    ]
    problems = [
        f"round {number}: {one.ended.problem}"
        for number, one in enumerate(record.rounds, start=1)
        if one.ended.problem
    ]
    fault = record.cell.fault
    if fault and fault.kind == "kill" and fault.number > len(record.rounds):
        unmeant.append(f"{fault.ue} was not killed: round {fault.number} did not begin")
    return [*(proof.fault for proof in record.proofs if proof.fault), *problems, *unmeant]


def anchor_row(record: AnchorRecord, ues: int, bw_mbit: float, target: float) -> TargetRow:
    """The anchor, had so many UEs to send their samples over such links first."""
    reached = [n for n, one in enumerate(record.anchored.accuracy, 1) if one >= target]
    first = reached[0] if reached else None
    nbytes = record.most_bytes[ues]
    train_ms = sum(record.anchored.train_ms[:first])
    return TargetRow(
        ues=ues,
        bw_mbit=bw_mbit,
        coder="central",
        fault="",
        rounds=len(record.anchored.accuracy),
        accuracy=record.anchored.accuracy[-1],
        target=target,
        target_round=first,
        target_ms=train_ms + nbytes * 8 / (bw_mbit * 1e3) if first else None,
        up_bytes=0,
        down_bytes=0,
        missing=0,
        valid=True,
        reason="",
    )


def csv_of(rows: Sequence[RoundRow] | Sequence[TargetRow], kind: type) -> str:
    """Under a header; what is not known is empty."""
    return csv_text([*columns_of(kind)], map(asdict, rows))
