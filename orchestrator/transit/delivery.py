"""Deliveries of models over links, as they were measured, and the rows that they make.

cells.jsonl: a Delivery a line ──> those that count ──> a row for each coder and link: medians
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import median

from netem.spec import LinkSpec
from orchestrator.measure.arriving import Arrival
from orchestrator.results.json_record import Record
from orchestrator.results.judgement.disturbance import busy_by
from orchestrator.results.records import MachineRecord, ProofRecord
from orchestrator.results.statistics.intervals import median_interval
from orchestrator.transit.bound import bound_ms, too_soon
from orchestrator.transit.row import AnyRow, ModelRow

Key = tuple[str, str, int]
"""What names a delivery in a run: its coder, its link in words, and which one over it, from 0."""


class Delivery(Record, frozen=True, kw_only=True):
    """One delivery: what the edge said of the bitstream, and the UE of the ``bytes`` that came.

    ``error`` is why it failed, None where it did not. ``ue_perf`` is what the UE's model reaches,
    which no link changes: it was judged at the coder's first one. ``here`` says whether the UE is
    on the machine that encoded. ``model_peak_bytes`` is of the model alone, told likewise.
    ``since_request_ms`` and ``inferences_meanwhile`` are of models in increments; what disturbed or
    cut off the steps that the first has in it stands in ``disturbed_before``, ``resumed_before``.
    """

    coder: str
    link: LinkSpec
    number: int = 0
    error: str | None = None
    bytes: int = 0
    encode_ms: float = 0.0
    receive_ms: float = 0.0
    link_ms: float = 0.0
    resumed: int = 0
    sha256: str = ""
    decode_ms: float = 0.0
    decoder_peak_bytes: int = 0
    open_ms: float = 0.0
    first_inference_ms: float = 0.0
    ue_perf: float | None = None
    here: bool = True
    model_peak_bytes: int | None = None
    since_request_ms: float | None = None
    disturbed_before: str = ""
    resumed_before: int = 0
    inferences_meanwhile: int | None = None
    proofs: tuple[ProofRecord, ...] = ()
    machine: MachineRecord = MachineRecord()

    def __post_init__(self) -> None:
        if self.error is None and not self.proofs:
            raise ValueError("what was delivered came over a link that was proved")

    @property
    def key(self) -> Key:
        """What names it in its run."""
        return self.coder, self.link.words, self.number

    @property
    def startup_ms(self) -> float:
        """From the request to the first result, without the calls between its steps."""
        return self.receive_ms + self.open_ms + self.first_inference_ms

    @property
    def bound_ms(self) -> float:
        """The delay of the request, and what the bytes and their headers take."""
        return bound_ms(self.bytes, self.link, self.proofs)

    @property
    def disturbed(self) -> str:
        """Who else was at work on the machine meanwhile; nothing where nobody was."""
        before = f"before it, {self.disturbed_before}" if self.disturbed_before else ""
        return "; ".join(filter(None, [*busy_by(self.machine), before]))

    @property
    def fault(self) -> str:
        """What is wrong with it by itself."""
        if self.error is not None:
            return self.error
        proved = next((proof.fault for proof in self.proofs if proof.fault), "")
        return too_soon(self.link_ms, self.bound_ms) or proved

    @property
    def is_doubtful(self) -> bool:
        """Whether another may be better: it came, and something disturbed it or its link."""
        return self.error is None and bool(self.fault or self.disturbed)


def delivered(
    coder: str, arrival: Arrival, ue_perf: float | None, *, here: bool, number: int = 0
) -> Delivery:
    """The record of what arrived."""
    received, decoded = arrival.received, arrival.received.decoded
    return Delivery(
        coder=coder,
        link=arrival.link,
        number=number,
        bytes=arrival.received.came_bytes,
        encode_ms=arrival.coded.encode_ms,
        receive_ms=received.receive_ms,
        link_ms=received.link_ms,
        resumed=received.resumed,
        sha256=decoded.sha256.hex(),
        decode_ms=decoded.decode_ms,
        decoder_peak_bytes=decoded.peak_bytes,
        open_ms=arrival.open_ms,
        first_inference_ms=arrival.first_ms,
        ue_perf=ue_perf,
        here=here,
        proofs=tuple(arrival.proofs),
        machine=arrival.machine,
    )


def counting(deliveries: Iterable[Delivery]) -> dict[Key, Delivery]:
    """Those that count, by their keys: of several of one, the last that is as good as any."""
    found: dict[Key, Delivery] = {}
    for one in deliveries:
        count(one, found)
    return found


def count(one: Delivery, found: dict[Key, Delivery]) -> None:
    """Have it count, too, unless what counts so far is better."""
    before = found.get(one.key)
    if before is None or _worth(one) >= _worth(before):
        found[one.key] = one


def _worth(one: Delivery) -> tuple[bool, bool, bool]:
    return one.error is None, not one.fault, not one.disturbed


def row_of(row: AnyRow, deliveries: Sequence[Delivery]) -> AnyRow:
    """The row of a coder over a link, of the deliveries there; ``row`` has none yet.

    Times are medians of those that came.
    """
    link = deliveries[0].link.downlink
    row = replace(row, bw_mbit=link.rate_mbit, delay_ms=link.delay_ms, loss_pct=link.loss_pct)
    came = [one for one in deliveries if one.error is None]
    fault = _each(deliveries, lambda one: _fault(row, one))
    row = replace(row, deliveries=len(came), valid=row.valid and not fault)
    row = replace(row, fault=row.fault or fault)
    if not came:
        return row

    def middle(time: Callable[[Delivery], float]) -> float:
        return float(median(map(time, came)))

    interval = median_interval([one.startup_ms for one in came]) if len(came) > 1 else None
    return replace(
        row,
        link_down_mbit=middle(lambda one: one.proofs[0].downlink_mbit),
        came_bytes=int(middle(lambda one: one.bytes)),
        encode_ms=middle(lambda one: one.encode_ms),
        link_ms=middle(lambda one: one.link_ms),
        link_bound_ms=middle(lambda one: one.bound_ms),
        decode_ms=middle(lambda one: one.decode_ms),
        decode_tail_ms=middle(lambda one: one.receive_ms - one.link_ms),
        open_ms=middle(lambda one: one.open_ms),
        first_inference_ms=middle(lambda one: one.first_inference_ms),
        startup_ms=middle(lambda one: one.startup_ms),
        startup_low_ms=interval.low if interval else None,
        startup_high_ms=interval.high if interval else None,
        startup_interval=interval.words(len(came)) if interval else None,
        ue_perf=came[0].ue_perf,
        decoder_peak_bytes=max(one.decoder_peak_bytes for one in came),
        model_peak_bytes=came[0].model_peak_bytes,
        resumed=sum(one.resumed for one in came),
        disturbed=_each(came, lambda one: one.disturbed),
        remark=_each(came, lambda one: "; ".join(_remarks(row, one))),
    )


def _each(deliveries: Sequence[Delivery], words: Callable[[Delivery], str]) -> str:
    """What is to be said of each; once where that is the same of all."""
    told = [words(one) for one in deliveries]
    if len({*told}) == 1:
        return told[0]
    numbered = enumerate(told, start=1)
    return "; ".join(f"delivery {number} of {len(told)}: {one}" for number, one in numbered if one)


def _fault(row: ModelRow, one: Delivery) -> str:
    if one.error is None and one.sha256 != row.rec_sha256:
        return "the UE rebuilt another model than was rebuilt where it was encoded"
    if one.error is None and one.here and not _equal(one.ue_perf, row.rec_perf):
        return _DIFFERS
    return one.fault


_DIFFERS = "the same model reaches something else on the UE than where it was encoded"


def _remarks(row: ModelRow, one: Delivery) -> list[str]:
    """What a valid one says of itself."""
    remarks = []
    if not one.here and not _equal(one.ue_perf, row.rec_perf):
        remarks.append(f"{_DIFFERS}, which is another machine")
    if _unknown(row.rec_perf) or _unknown(one.ue_perf):
        remarks.append("nothing in its inputs judges it")
    if one.resumed:
        remarks.append("it was cut off, and its times are longer for it")
    if one.resumed_before:
        remarks.append("a step before it was cut off, and since_request_ms is longer for it")
    return remarks


def _equal(one: float | None, other: float | None) -> bool:
    """Whether they are; what nothing judged may be anything."""
    return one == other or _unknown(one) or _unknown(other)


def _unknown(value: float | None) -> bool:
    return value is not None and math.isnan(value)
