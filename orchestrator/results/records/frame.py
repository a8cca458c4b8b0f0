"""A frame as it was measured: a line of samples.jsonl."""

import msgspec
from msgspec import UNSET, UnsetType, field

from orchestrator.results.json_record import Record
from orchestrator.results.statistics.offered import Fate, Outcome
from splitbed.codecs.releases import Release
from splitbed.timeline import PREPROCESS, WAIT, Stage, is_hop


class Hop(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a frame sent over a hop, by the name of its stage; in JSON, a list of the two."""

    name: str
    bytes: int


class Footprint(msgspec.Struct, frozen=True, gc=False):
    """What a node's process took since the frame before left it, and had as this one did."""

    voluntary_switches: int
    involuntary_switches: int
    rss_bytes: int | None


class FrameRecord(Record, frozen=True, kw_only=True, gc=False):
    """One measured frame: a line of samples.jsonl.

    ``stages`` are as their nodes saw them, each on the clock of the node that did the work.
    ``e2e_ms`` is on the UE's clock, as far as the clocks were known when the frame ended; rows are
    made of ``stages``, with all that the cell's clock record knows.
    ``ue`` is whose frame it is, where there are several UEs.
    ``input`` is the place of the frame's input in run.json, ``results`` the rows in each result
    tensor. ``max_abs_diff`` is None where the whole model's output was not to be had. ``hops`` is
    what was sent, encoded; earlier versions told it of the flow uplink alone, see :attr:`sent`.

    Of a frame that was offered under a load there is more: the ``outcome``, when it was due, when
    its preprocessing began and when it was done, on the clock of its source. One that was dropped,
    or failed, has no stages; why it failed is its ``reason``.
    """

    attempt: str
    ue: str = ""
    input: int = 0
    frame: int = 0
    e2e_ms: float | None = None
    stages: tuple[Stage, ...]
    intermediate_tensors: int = 0
    intermediate_bytes: int = 0
    encoded_bytes: int = 0
    result_bytes: int = 0
    results: dict[str, int] = field(default_factory=dict)
    max_abs_diff: float | None = None
    hops: tuple[Hop, ...] = ()
    outcome: Outcome | UnsetType = UNSET
    due_ns: int | UnsetType = UNSET
    start_ns: int | UnsetType = UNSET
    done_ns: int | UnsetType = UNSET
    heard_ns: int | UnsetType = UNSET
    """When its source heard that it had ended elsewhere."""
    reason: str | UnsetType = UNSET
    together: dict[str, int] | UnsetType = UNSET
    """Of each part that several UEs share, on how many frames it was run at once."""
    releases: dict[str, tuple[Release, ...]] | UnsetType = UNSET
    """Of hops, what was encoded meanwhile, as far as a link may have to wait for it."""
    cpu_ns: dict[str, dict[str, int]] | UnsetType = UNSET
    """CPU time of nodes by stage, or, between stages, `rest`; where frames come one at a time."""
    footprints: dict[str, Footprint] | UnsetType = UNSET
    """By node, likewise."""

    def __post_init__(self) -> None:
        if self.ended and all(stage.name == PREPROCESS for stage in self.stages):
            raise ValueError("a frame has a stage that counts")
        if self.outcome is not UNSET and (self.due_ns is UNSET or self.done_ns is UNSET):
            raise ValueError("a frame that was offered was due, and came to an end")

    @property
    def ended(self) -> bool:
        """Whether it came to its result: all do that are asked for one by one."""
        return self.outcome in (UNSET, "ok", "late")

    @property
    def fate(self) -> Fate | None:
        """What became of it, where it was offered."""
        if self.outcome is UNSET or self.due_ns is UNSET or self.done_ns is UNSET:
            return None
        waited = sum(stage.end_ns - stage.start_ns for stage in self.stages if stage.name == WAIT)
        start_ns = None if self.start_ns is UNSET else self.start_ns
        heard_ns = self.done_ns if self.heard_ns is UNSET else self.heard_ns
        return Fate(self.outcome, self.due_ns, start_ns, self.done_ns, waited, self.ue, heard_ns)

    @property
    def sent(self) -> tuple[Hop, ...]:
        """What went over each hop."""
        if self.hops or not any(is_hop(stage.name) for stage in self.stages):
            return self.hops
        return Hop("uplink", self.encoded_bytes), Hop("downlink", self.result_bytes)

    @property
    def released(self) -> tuple[tuple[str, tuple[Release, ...]], ...]:
        """Of each hop that has any, its releases."""
        return () if self.releases is UNSET else tuple(self.releases.items())

    def line(self) -> bytes:
        """As a line of samples.jsonl; there are many, so that it is made without detours."""
        return msgspec.json.encode(self)
