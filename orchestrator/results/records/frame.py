"""A frame as it was measured: a line of samples.jsonl."""

from typing import Annotated

import msgspec
from msgspec import Meta, field

from orchestrator.results.json_record import Record
from splitbed.timeline import PREPROCESS, Stage, is_hop


class Hop(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a frame sent over a hop, by the name of its stage; in JSON, a list of the two."""

    name: str
    bytes: int


class FrameRecord(Record, frozen=True, kw_only=True, gc=False):
    """One measured frame: a line of samples.jsonl.

    ``stages`` are as their nodes saw them, each on the clock of the node that did the work.
    ``e2e_ms`` is on the UE's clock, as far as the clocks were known when the frame ended; rows are
    made of ``stages``, with all that the cell's clock record knows.
    ``ue`` is whose frame it is, where there are several UEs.
    ``input`` is the place of the frame's input in run.json, ``results`` the rows in each result
    tensor. ``max_abs_diff`` is None where the whole model's output was not to be had. ``hops`` is
    what was sent, encoded; earlier versions told it of the flow uplink alone, see :attr:`sent`.
    """

    attempt: str
    ue: str = ""
    input: int = 0
    frame: int = 0
    e2e_ms: float | None = None
    stages: Annotated[tuple[Stage, ...], Meta(min_length=1)]
    intermediate_tensors: int = 0
    intermediate_bytes: int = 0
    encoded_bytes: int = 0
    result_bytes: int = 0
    results: dict[str, int] = field(default_factory=dict)
    max_abs_diff: float | None = None
    hops: tuple[Hop, ...] = ()

    def __post_init__(self) -> None:
        if all(stage.name == PREPROCESS for stage in self.stages):
            raise ValueError("a frame has a stage that counts")

    @property
    def sent(self) -> tuple[Hop, ...]:
        """What went over each hop."""
        if self.hops or not any(is_hop(stage.name) for stage in self.stages):
            return self.hops
        return Hop("uplink", self.encoded_bytes), Hop("downlink", self.result_bytes)

    def line(self) -> bytes:
        """As a line of samples.jsonl; there are many, so that it is made without detours."""
        return msgspec.json.encode(self)
