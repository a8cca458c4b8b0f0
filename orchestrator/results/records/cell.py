"""What became of a cell: a line of cells.jsonl, and what stands in it."""

import re
from typing import Annotated

from msgspec import Meta, field

from netem.spec import LinkSpec
from netem.wire import Segment
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import FLOWS, UPLINK, anchor_of
from orchestrator.ask.links import links_words, shared_words
from orchestrator.ask.split_point import layers_of
from orchestrator.results.clock import ClockModel, Offset
from orchestrator.results.json_record import Record
from orchestrator.results.node_clocks import NodeClocks
from orchestrator.results.records.dials import DialRecord
from orchestrator.results.records.proof import ProofRecord, segment_of
from orchestrator.results.records.resources import NodeResources
from splitbed.codecs import RAW
from splitbed.runtime.provider import Computed

_SPLIT = re.compile(r"\d{1,9}(:\d{1,9})+")


class CrossingTensor(Record, frozen=True, kw_only=True):
    """A tensor that crosses the cut."""

    name: str
    shape: tuple[int, ...]
    bytes: int


class ClockRecord(Record, frozen=True, kw_only=True):
    """How far a node's clock was ahead of the user's over a cell; all else follows from readings.

    ``ue_epoch_ns`` is what to add to the user's clock for the time since 1970.
    """

    offset_ms: float | None = None
    uncertainty_ms: float | None = None
    drift_ppm: float | None = None
    drift_uncertainty_ppm: float | None = None
    exchanges: int | None = None
    rtt_ms: float | None = None
    origin: Offset
    readings: Annotated[tuple[Offset, ...], Meta(min_length=1)]
    ue_epoch_ns: int | None = None

    @classmethod
    def of(cls, model: ClockModel, ue_epoch_ns: int) -> "ClockRecord":
        """The estimate at the first reading, the drift, and all readings."""
        drift = model.drift_ppm
        return cls(
            offset_ms=model.offset_ms,
            uncertainty_ms=model.uncertainty_ms,
            drift_ppm=drift[0] if drift else None,
            drift_uncertainty_ppm=drift[1] if drift else None,
            exchanges=model.exchanges,
            rtt_ms=model.rtt_ms,
            origin=model.origin,
            readings=model.readings,
            ue_epoch_ns=ue_epoch_ns,
        )

    @property
    def model(self) -> ClockModel:
        """What brings the node's times onto the user's clock."""
        return ClockModel(self.readings, self.origin)


class Accuracy(Record, frozen=True):
    """The metric that a row tells, and all others by name; None where there is nothing to judge.

    ``classes`` has the average precision of each class (clause 9.4), ``frames`` is over how many
    inputs these are; earlier runs did not say. ``drop`` is how much less than the whole model that
    is, on the same inputs, with its 95 % interval over pictures, where these are enough for one.
    ``link_diff`` is the largest difference of what came over the link from what was judged.
    """

    metric: str
    value: float | None = None
    more: dict[str, float | None] = field(default_factory=dict)
    classes: dict[str, float | None] = field(default_factory=dict)
    frames: int | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    link_diff: float | None = None


class UeRecord(Record, frozen=True, kw_only=True):
    """One of several UEs in a cell: what its frames went through, and over which way to the edge.

    ``pace`` and ``load`` are in words: nothing for its own, and for one frame after another.
    """

    name: str
    split: str
    split_name: str
    codec: str
    pace: str = ""
    load: str = ""
    link: LinkSpec

    @classmethod
    def of(cls, asked: Configuration) -> "UeRecord":
        """Of its configuration."""
        assert asked.link is not None
        return cls(
            name=asked.ue,
            split=asked.split,
            split_name=asked.split_name,
            codec=asked.codecs,
            pace=asked.pace.words,
            load=asked.load.words,
            link=asked.link,
        )


class MachineRecord(Record, frozen=True, kw_only=True):
    """What the machine of the orchestrator was at, from a cell's first proof to its last.

    ``others_share`` and ``steal_share`` are of the time of all its processors, used by other
    processes than the run's and given to other machines by a hypervisor; ``pressure_share`` is of
    that time, while some task waited for a processor, the nodes' own threads among them; the load
    at the end; how often a thread of the nodes was made to leave a processor. None where the
    kernel does not tell, or the nodes are elsewhere.
    """

    others_share: float | None = None
    steal_share: float | None = None
    pressure_share: float | None = None
    load_average: float | None = None
    mhz: float | None = None
    preemptions: int | None = None


class CellRecord(Record, frozen=True, kw_only=True):
    """What became of a cell: a line of cells.jsonl, written when it ends.

    ``attempt`` names the frames that are its own, ``frames`` is how many these were; the first
    runs did not say. ``error`` is why it failed, None where it did not; ``error_kind`` the name of
    its class. ``predictions`` is its folder of what was found in each picture. ``block`` says how
    often the grid had been measured before; earlier runs did so once. ``measured`` says how often
    the cell was, with this time, and ``failed_again`` what went wrong at a later one, which then
    does not count. ``codec`` names all that is encoded, as a configuration does, and
    ``precision`` in which parts compute, where not as the model does. ``links``
    has those of a flow of several, in its order, and what follows the last is as that; ``link`` is
    the first, and where they are ``shared``, all of them. ``load`` says when frames were due,
    ``in_flight`` how many could be under way; of those asked for one by one nothing. ``clocks`` has
    each node's that is not the user's; earlier versions, with two nodes, had the edge's as
    ``clock``. ``ues`` are those that share the link, where there are several.
    ``dial`` is how the codec's number was found, where it was searched for. ``measured_on`` names
    the machine, of a run on several.
    """

    key: str
    attempt: str
    block: int = 0
    measured: int = 1
    failed_again: str = ""
    split: str
    split_name: str
    codec: str = RAW
    precision: str = ""
    flow: str = UPLINK
    lossless: bool = True
    ue: str = ""
    ues: tuple[UeRecord, ...] = ()
    load: str = ""
    in_flight: int = 1
    intermediate_tensors: int = 0
    intermediate_bytes: int = 0
    tensors: tuple[CrossingTensor, ...] = ()
    link: LinkSpec
    links: tuple[LinkSpec, ...] = ()
    shared: bool = False
    link_backend: str = ""
    measured_on: str = ""
    predictions: str = ""
    frames: int | None = None
    error: str | None = None
    error_kind: str | None = None
    part1_bytes: int | None = None
    part2_bytes: int | None = None
    further_bytes: tuple[int, ...] = ()
    """Of the parts after these."""
    load_ms: float | None = None
    computed: dict[str, Computed] = field(default_factory=dict)
    """Who computed the parts of each node."""
    part1_delivery_ms: float | None = None
    delivered_coded_bytes: int | None = None
    batch_off: float | None = None
    ue_cpus: float | None = None
    ue_slowdown: float | None = None
    ue_slowdown_asked: float | None = None
    link_read_back: LinkSpec | None = None
    links_read_back: tuple[LinkSpec, ...] = ()
    proofs: tuple[ProofRecord, ...] = ()
    accuracy: Accuracy | None = None
    dial: DialRecord | None = None
    clock: ClockRecord | None = None
    clocks: dict[str, ClockRecord] = field(default_factory=dict)
    machine: MachineRecord | None = None
    resources: dict[str, NodeResources] = field(default_factory=dict)
    """What each node took while its frames went through."""
    wall_ms: float | None = None

    def __post_init__(self) -> None:
        if not _SPLIT.fullmatch(self.split):
            raise ValueError(f"{self.split!r} is no split k:n-k")
        if self.flow not in FLOWS:
            raise ValueError(f"{self.flow!r} is no flow")
        if len(self.layers) != FLOWS[self.flow].parts:
            raise ValueError(f"{self.split!r} is no split of the flow {self.flow}")

    @property
    def fault(self) -> str:
        """Why it failed, or in what its link was not as asked; nothing where all went well."""
        return self.error or next((proof.fault for proof in self.proofs if proof.fault), "")

    @property
    def layers(self) -> tuple[int, ...]:
        """How many layers are in each part."""
        return layers_of(self.split)

    @property
    def every_link(self) -> tuple[LinkSpec, ...]:
        """Those of its flow, in their order; what follows the last is as that."""
        return self.links or (self.link,)

    @property
    def link_words(self) -> str:
        """These in words, and how many UEs share one."""
        sharing = self.ues or (FLOWS[self.flow].links if self.shared else ())
        return links_words(self.every_link) + shared_words(len(sharing))

    def proofs_of(self, number: int) -> tuple[ProofRecord, ...]:
        """Those of a link of its flow, the first of which is 1."""
        ends = FLOWS[self.flow].links[number - 1]
        return tuple(
            proof
            for proof in self.proofs
            if proof.ends == ends or (number == 1 and (self.ues or not proof.ends))
        )

    @property
    def node_clocks(self) -> NodeClocks:
        """How far each clock was ahead of the user's."""
        records = self.clocks or ({"edge": self.clock} if self.clock else {})
        return NodeClocks(self.flow, {node: one.model for node, one in records.items()})

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The TCP segments of each link."""
        numbers = range(1, len(FLOWS[self.flow].links) + 1)
        return tuple(segment_of(self.proofs_of(number)) for number in numbers)

    @property
    def is_anchor(self) -> bool:
        """Whether it is what splits are held against."""
        return anchor_of(self.flow, self.split, self.split_name) is not None
