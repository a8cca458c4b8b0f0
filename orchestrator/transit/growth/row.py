"""A row of ``growth.csv``: a split that became possible on the UE while its part 1 came."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Annotated

from orchestrator.results.columns import Column, columns_of, csv_text
from orchestrator.results.judgement.disturbance import busy_by
from orchestrator.results.judgement.validity import MAX_ABS_DIFF
from orchestrator.transit.bound import bound_ms, too_soon
from orchestrator.transit.growth.record import (
    FrameRecord,
    GrownRecord,
    GrowthRecord,
    SplitRecord,
)

GROWING, WHOLE = "growing", "at once"
"""How part 1 comes: split by split, or that of the last one whole."""
_NOT_KNOWN = "not known: what came next failed, or was interrupted"
_NOT_COMPARED = "outputs are not compared"
_NOT_JUDGED = "nothing judges it"


@dataclass(frozen=True, kw_only=True)
class GrowthRow:
    """Of one split."""

    model: Annotated[str, Column("the model")]
    way: Annotated[str, Column("growing: by the splits before it; at once: whole, from nothing")]
    split: Annotated[str, Column("layers in part 1, layers in part 2")]
    split_name: Annotated[str, Column("as it was asked for")]
    codec: Annotated[str, Column("of what crosses there")]
    part_coder: Annotated[str, Column("of model data, in which part 1 comes")]
    bw_mbit: Annotated[float, Column("rate that was asked, down to the UE", "Mbit/s")]
    delay_ms: Annotated[float, Column("one-way delay that was asked", "ms")]
    loss_pct: Annotated[float, Column("loss that was asked", "%")]
    part1_coded_bytes: Annotated[int, Column("of its part 1, whole", "bytes")]
    part1_sha256: Annotated[str, Column("of the part that the UE rebuilt")]
    came_bytes: Annotated[int, Column("that crossed: of what the UE did not have", "bytes")]
    link_ms: Annotated[float, Column("from the UE's request until the last byte is there", "ms")]
    link_bound_ms: Annotated[
        float,
        Column(
            "the delay of the request, and came_bytes with their headers at the rate and delay",
            "ms",
        ),
    ]
    decode_tail_ms: Annotated[
        float, Column("from the last byte until part 1 is rebuilt, and was tried", "ms")
    ]
    open_ms: Annotated[float, Column("to open it beside the one before", "ms")]
    since_request_ms: Annotated[
        float,
        Column("from the first request until the first frame by this split is done", "ms"),
    ]
    frames: Annotated[int, Column("that went by it, until the next was possible")]
    e2e_ms: Annotated[float, Column("median of theirs, while the next part came if one did", "ms")]
    max_abs_diff: Annotated[
        float | None,
        Column("of their outputs from those of the whole model, at most", empty=_NOT_COMPARED),
    ] = None
    accuracy_metric: Annotated[str, Column("what accuracy is")] = ""
    accuracy: Annotated[
        float | None,
        Column("of the split whose part 1 came so, judged where it was encoded", empty=_NOT_JUDGED),
    ] = None
    accuracy_drop: Annotated[
        float | None, Column("by which it falls short of the whole model", empty=_NOT_JUDGED)
    ] = None
    accuracy_frames: Annotated[int | None, Column("that it was judged on", empty=_NOT_JUDGED)] = (
        None
    )
    resumed: Annotated[int, Column("times that its part was cut off and went on")] = 0
    valid: Annotated[bool, Column("whether nothing is wrong with it")] = True
    fault: Annotated[str, Column("what is")] = ""
    disturbed: Annotated[
        str, Column("what else was at work on the machine while it grew, if known; else nothing")
    ] = ""

    @property
    def compares(self) -> bool:
        """Whether its times may be held against those of others."""
        return self.valid and not self.disturbed and not self.resumed


def rows_of(
    growth: GrowthRecord,
    model: str,
    part_coder: str,
    judged: Mapping[str, SplitRecord],
    grew: GrowthRecord | None = None,
) -> Iterator[GrowthRow]:
    """The rows of what became possible over a link; what came at once must equal what `grew`.

    What was `judged` is by the split.
    """
    down = growth.link.downlink
    fault = next((proof.fault for proof in growth.proofs if proof.fault), "")
    if growth.error is not None:
        fault = f"the link was not proved after it: {growth.error}"
    disturbed = "; ".join(busy_by(growth.machine)) if growth.machine else _NOT_KNOWN
    for one in growth.grown:
        taken = [frame for frame in growth.frames if frame.split == one.split]
        if not taken:  # it ended before the first frame by this split
            continue
        bound = bound_ms(one.came_bytes, growth.link, growth.proofs)
        difference, reached = _worst(taken), judged.get(one.split)
        wrong = (
            fault
            or too_soon(one.link_ms, bound)
            or _differs(one, difference)
            or _differs_from(grew, one)
        )
        yield GrowthRow(
            model=model,
            way=growth.way,
            split=one.split,
            split_name=one.split_name,
            codec=one.codec,
            part_coder=part_coder,
            bw_mbit=down.rate_mbit,
            delay_ms=down.delay_ms,
            loss_pct=down.loss_pct,
            part1_coded_bytes=one.coded_bytes,
            part1_sha256=one.sha256,
            came_bytes=one.came_bytes,
            link_ms=one.link_ms,
            link_bound_ms=bound,
            decode_tail_ms=one.receive_ms - one.link_ms,
            open_ms=one.open_ms,
            since_request_ms=one.since_request_ms,
            frames=len(taken),
            e2e_ms=median(frame.e2e_ms for frame in taken),
            max_abs_diff=difference,
            accuracy_metric=reached.metric if reached else "",
            accuracy=reached.accuracy if reached else None,
            accuracy_drop=reached.drop if reached else None,
            accuracy_frames=reached.frames if reached else None,
            resumed=one.resumed,
            valid=not wrong,
            fault=wrong,
            disturbed=disturbed,
        )


def growth_csv(rows: Iterable[GrowthRow]) -> str:
    """The rows as ``growth.csv`` has them."""
    return csv_text(list(columns_of(GrowthRow)), map(asdict, rows))


def _differs(one: GrownRecord, difference: float | None) -> str:
    if one.lossless and difference is not None and difference > MAX_ABS_DIFF:
        return f"split output differs from the whole model's by {difference:.2g}"
    return ""


def _differs_from(grew: GrowthRecord | None, one: GrownRecord) -> str:
    """What is wrong with a part that is another than what grew of the same layers."""
    before = {each.split: each.sha256 for each in grew.grown} if grew else {}
    if before.get(one.split, one.sha256) != one.sha256:
        return "the UE rebuilt another part than what grew there"
    return ""


def _worst(taken: Sequence[FrameRecord]) -> float | None:
    return max((one.max_abs_diff for one in taken if one.max_abs_diff is not None), default=None)
