"""A whole model arrives on the UE: over the proved link, in a coder of model data.

    edge: encode ─▲─ link ─▼─ UE: decode as it comes, open, first inference, all other inputs

It travels as the part of all layers, as parts do for a sweep.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from netem.spec import LinkSpec
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.split_point import DEVICE_ANCHOR, NOTHING
from orchestrator.measure.cell import proved
from orchestrator.measure.frames import stages_of
from orchestrator.measure.machine import MachineMeter
from orchestrator.measure.time_limits import arrival_s, window_bytes
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import MachineRecord, ProofRecord
from orchestrator.testbed.loading.assignments import assignment_messages
from orchestrator.testbed.loading.loader import Loader, Placed
from orchestrator.testbed.model import Known
from orchestrator.testbed.testbed import Testbed
from splitbed.flow import Span
from splitbed.graphs.parts import Part
from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import rebuilt
from splitbed.model_coders.encoder import encode
from splitbed.model_data import ModelFile, write_model
from splitbed.node.delivery import CutPart, Parcel, pack
from splitbed.node.parts.coded import pack_carrying
from splitbed.tensors import Tensors
from splitbed.timeline import Timeline
from splitbed.v1 import nodes_pb2
from splitbed.wire import tensors_of


@dataclass(frozen=True)
class Arrival:
    """What the edge said of the bitstream, and the UE of its delivery and of what followed it."""

    link: LinkSpec
    coded: nodes_pb2.CodedPart
    received: nodes_pb2.PartReceived
    open_ms: float
    first_ms: float
    """Of the first inference."""
    proofs: Sequence[ProofRecord]
    machine: MachineRecord
    """From the request to the first result."""


class Arriving:
    """Has the model of a testbed arrive there; ``threads`` of sessions are by the node's name.

    With ``have``, another model that the UE had of each coder before, what that lacks arrives.
    Every method raises NodeError.
    """

    def __init__(
        self, bed: Testbed, threads: Mapping[str, int], have: ModelFile | None = None
    ) -> None:
        self._bed, self._threads, self._have = bed, threads, have
        self._loader = Loader(bed.pair, bed.model, threads)
        self._placed: Placed = bed.pair.user, Span(0, bed.model.graph.n)
        self._numbers = 0
        self._given_up = False
        self._warm()

    def give_up(self) -> None:
        """Have the nodes brought up again before anything else is :meth:`ready` on them."""
        self._bed.interruption.check()
        self._given_up = True

    def _warm(self) -> None:
        """Have the UE's runtime there before anything is timed: it has run the anchor model."""
        self._loader.coder = ""
        self._loader.load([self._placed], warmup=1)

    def _as_new(self) -> None:
        if self._given_up:
            self._bed.pair.restart()
            self._warm()
            self._given_up = False

    @property
    def _before(self) -> Path:
        """The file of what the UE has before anything is on its way."""
        assert self._have is not None
        return self._bed.model.stored.folder / f"before.{self._have.form}"

    def ready(self, coder: str) -> nodes_pb2.CodedPart:
        """What the edge says of the coder's bitstream, which it has ready from then on."""
        self._as_new()
        self._loader.coder = coder
        if self._have is not None:
            write_model(rebuilt(encode(self._have, coder_named(coder))), self._before)
        ready = self._loader.load([self._placed], 0, fetched=[self._placed])
        return ready[self._placed].coded[0]

    def ready_here(self, coder: str, bitstream: Path, encode_ms: float) -> nodes_pb2.CodedPart:
        """The same of a class that encoded here, and decodes on the UE."""
        model, (_, span) = self._bed.model, self._placed
        self._as_new()
        self._loader.coder = coder
        part = model.part(span)
        try:
            cut = CutPart(part, span, model.info)
            parcel, coded = pack_carrying(cut, model.stored.folder, coder, bitstream)
        finally:
            part.remove()
        try:
            self._loader.make_ready(parcel)
        finally:
            parcel.remove()
        coded.encode_ms = encode_ms
        return coded

    def memory(self, file: Path) -> int:
        """Bytes that the UE needs at most to open a model file and to run it, in a process."""
        user, _ = self._placed
        options = nodes_pb2.ProfileOptions(threads=self._threads[user], warmup=1, runs=1)
        with self._packed(file) as parcel:
            pieces = (nodes_pb2.ProfilePiece(piece=piece) for piece in parcel.pieces())
            asked = chain([nodes_pb2.ProfilePiece(options=options)], pieces)
            reply = self._bed.pair.profile(user, asked)
        return int(reply.parts[0].overall_memory_bytes)

    @contextmanager
    def _packed(self, file: Path) -> Iterator[Parcel]:
        """A model file, packed as the part of all layers."""
        model, (_, span) = self._bed.model, self._placed
        part = Part(file, model.graph.inputs, model.graph.outputs, (), file.stat().st_size)
        parcel = pack(CutPart(part, span, model.info), model.stored.folder)
        try:
            yield parcel
        finally:
            parcel.remove()

    def over(
        self,
        link: LinkSpec,
        coded: nodes_pb2.CodedPart,
        during: AbstractContextManager[None] | None = None,
    ) -> Arrival:
        """What is ready arrives over a link; `during` is open while it is on its way."""
        bed = self._bed
        if self._have is not None:
            with self._packed(self._before) as parcel:
                self._loader.give(self._placed, parcel)
        bed.shape([link])
        timeout_s = arrival_s(link, coded.bytes, bed.model.facts.bytes or 0)
        opening = min(coded.bytes, window_bytes(link, hop="downlink"))
        bed.pair.warm_link({"downlink": opening}, timeout_s)
        before = proved(bed, Watcher(), [link])
        meter = MachineMeter(bed.pair)
        with during or nullcontext():
            rest = self._have is not None
            received = self._loader.deliver(self._placed, timeout_s, rest=rest)
        loaded = self._loader.open(self._placed[0], warmup=0)
        self._assign(link)
        said = self._frame(0)
        machine = meter.read()
        after = proved(bed, Watcher(), [link])
        first_ms = Timeline(stages_of(said)).e2e_ms
        proofs = (*before, *after)
        return Arrival(link, coded, received, loaded.load_ms, first_ms, proofs, machine)

    def infer(self, place: int = 0) -> Tensors:
        """What the model that the UE has makes of an input."""
        result = tensors_of(self._frame(place).result)
        self._bed.interruption.check()
        return result

    def _frame(self, place: int) -> nodes_pb2.FrameRecord:
        return self._bed.pair.ways.run_alone(place, place, self._numbers)

    def _assign(self, link: LinkSpec) -> None:
        n = self._bed.model.graph.n
        asked = Configuration(n, n, DEVICE_ANCHOR, NOTHING, link)
        self._numbers += 1
        ways = assignment_messages(self._numbers, asked, self._bed.model, Known())
        self._bed.pair.ways.assign(ways, ())
