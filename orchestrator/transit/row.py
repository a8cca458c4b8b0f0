"""A row of ``results.csv``: a coder over a link, or without one.

The first columns are those of Table 2.1.2.3-1, then the parameters that Table 2.1.2.2-1 marks R,
under their names; ours follow.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Self, TypeVar

from orchestrator.results.columns import Column, columns_of, csv_text

_NOT_CODED = "not compressed"
_NO_ANCHOR = "anchor not evaluated"
_NO_LINK = "no link"
_ONE_DELIVERY = "one delivery, or none"
_OWN_ALONE = "of a published scenario's model"


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """Of one coder. Times in seconds are the published ones; of the link, ours are in ms."""

    anc_size: Annotated[int, Column("bytes of the anchor model's tensors")]
    rec_size: Annotated[int | None, Column("bytes of the bitstream", empty=_NOT_CODED)] = None
    compress_ratio: Annotated[float | None, Column("rec_size / anc_size", empty=_NOT_CODED)] = None
    metric_name: Annotated[str, Column("what anc_perf and rec_perf are")]
    anc_perf: Annotated[float | None, Column("what the anchor model reaches", empty=_NO_ANCHOR)] = (
        None
    )
    rec_perf: Annotated[
        float | None,
        Column("what the rebuilt model reaches where it was encoded", empty=_NOT_CODED),
    ] = None
    anc_eval_time: Annotated[float | None, Column("that anc_perf took", "s", empty=_NO_ANCHOR)] = (
        None
    )
    rec_eval_time: Annotated[float | None, Column("that rec_perf took", "s", empty=_NOT_CODED)] = (
        None
    )
    enc_time: Annotated[float | None, Column("to encode", "s", empty=_NOT_CODED)] = None
    dec_time: Annotated[
        float | None, Column("to decode, the bitstream at hand", "s", empty=_NOT_CODED)
    ] = None
    coder_name: Annotated[str, Column("the coder")]
    scenario_name: Annotated[str, Column("the scenario")]
    data_set_name: Annotated[str, Column("the dataset", empty="")]
    model_name: Annotated[str, Column("the anchor model")]
    unique_tag: Annotated[str, Column("what was given as --unique-tag")]
    eval_compression: Annotated[bool, Column("whether the model was to be compressed")]
    eval_anchor: Annotated[bool, Column("whether the anchor model was to be evaluated")]
    bit_sha256: Annotated[str | None, Column("of the bitstream", empty=_NOT_CODED)] = None
    rec_sha256: Annotated[str | None, Column("of the rebuilt model's file", empty=_OWN_ALONE)] = (
        None
    )
    bw_mbit: Annotated[
        float | None, Column("rate that was asked, down to the UE", "Mbit/s", empty=_NO_LINK)
    ] = None
    delay_ms: Annotated[
        float | None, Column("one-way delay that was asked", "ms", empty=_NO_LINK)
    ] = None
    loss_pct: Annotated[float | None, Column("loss that was asked", "%", empty=_NO_LINK)] = None
    deliveries: Annotated[
        int | None, Column("that came over the link; times are their medians", empty=_NO_LINK)
    ] = None
    link_down_mbit: Annotated[
        float | None, Column("downlink as proved before it came", "Mbit/s", empty=_NO_LINK)
    ] = None
    came_bytes: Annotated[
        int | None,
        Column("that crossed: the bitstream, or what the UE lacked of it", "bytes", empty=_NO_LINK),
    ] = None
    encode_ms: Annotated[
        float | None, Column("to encode on the edge, before it is asked for", "ms", empty=_NO_LINK)
    ] = None
    link_ms: Annotated[
        float | None,
        Column("from the UE's request until the last byte is there", "ms", empty=_NO_LINK),
    ] = None
    link_bound_ms: Annotated[
        float | None,
        Column(
            "the delay of the request, and the bitstream with its headers at the rate and delay",
            "ms",
            empty=_NO_LINK,
        ),
    ] = None
    decode_ms: Annotated[
        float | None,
        Column("that the decoder computed, as a rule while it received", "ms", empty=_NO_LINK),
    ] = None
    decode_tail_ms: Annotated[
        float | None,
        Column(
            "from the last byte until the model is rebuilt, and was tried", "ms", empty=_NO_LINK
        ),
    ] = None
    open_ms: Annotated[
        float | None, Column("to open the rebuilt model on the UE", "ms", empty=_NO_LINK)
    ] = None
    first_inference_ms: Annotated[
        float | None, Column("the first input through it, there", "ms", empty=_NO_LINK)
    ] = None
    startup_ms: Annotated[
        float | None,
        Column(
            "from the request to the first result, without calls between: link, what is left of "
            "decoding, opening, first inference",
            "ms",
            empty=_NO_LINK,
        ),
    ] = None
    startup_low_ms: Annotated[
        float | None, Column("lower end of its interval", "ms", empty=_ONE_DELIVERY)
    ] = None
    startup_high_ms: Annotated[float | None, Column("upper end", "ms", empty=_ONE_DELIVERY)] = None
    startup_interval: Annotated[
        str | None,
        Column("in how many cases it holds the median, or that it is a range", empty=_ONE_DELIVERY),
    ] = None
    startup_pd_ms: Annotated[
        float | None,
        Column(
            "encoding, decoding and reconstruction as clause 10.6 adds them up: no link",
            "ms",
            empty=_NOT_CODED,
        ),
    ] = None
    ue_perf: Annotated[
        float | None, Column("what the rebuilt model reaches on the UE", empty=_NO_LINK)
    ] = None
    decoder_peak_bytes: Annotated[
        int | None,
        Column("memory of the decoder at most, with what waited for it", "bytes", empty=_NO_LINK),
    ] = None
    model_bytes: Annotated[
        int | None, Column("of the rebuilt model as a file", "bytes", empty=_OWN_ALONE)
    ] = None
    model_peak_bytes: Annotated[
        int | None,
        Column(
            "memory to open and to run it on the UE, alone, at most",
            "bytes",
            empty="no link, or its file is gone",
        ),
    ] = None
    resumed: Annotated[
        int | None, Column("times that it was cut off and went on", empty=_NO_LINK)
    ] = None
    valid: Annotated[bool, Column("whether nothing is wrong with it")] = True
    fault: Annotated[str, Column("what is")] = ""
    disturbed: Annotated[
        str, Column("what else was at work on the machine while it came; else nothing")
    ] = ""
    remark: Annotated[str, Column("what a valid row says of itself; else nothing")] = ""

    def coded(self, size: int, encode_s: float, decode_s: float) -> Self:
        """The row of a bitstream of so many bytes, which took so long here."""
        return replace(
            self,
            rec_size=size,
            compress_ratio=size / self.anc_size,
            enc_time=encode_s,
            dec_time=decode_s,
            startup_pd_ms=(encode_s + decode_s) * 1e3,
        )

    @property
    def compares(self) -> bool:
        """Whether its times may be held against those of others."""
        return self.valid and not self.disturbed and not self.resumed


AnyRow = TypeVar("AnyRow", bound=ModelRow)
"""A row of one kind of run: of coders, or of increments."""


def results_csv(rows: Iterable[ModelRow]) -> str:
    """The rows as ``results.csv`` has them."""
    return csv_text(list(columns_of(ModelRow)), map(asdict, rows))
