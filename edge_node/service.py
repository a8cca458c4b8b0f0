"""What only the edge node has: the whole model, its cuts, and what it makes of each input."""

import hashlib
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import grpc

from splitbed.errors import NodeError
from splitbed.flow import Span
from splitbed.graphs.apart import check_stored
from splitbed.graphs.formats import FORMATS, format_named
from splitbed.graphs.parts import StoredModel, extract_part, open_stored
from splitbed.logs import log
from splitbed.messages import packed, receive
from splitbed.node.answering import answering
from splitbed.node.delivery import CutPart, Parcel, kept, pack, span_of, words
from splitbed.node.host import NodeHost
from splitbed.node.model_info import info_of
from splitbed.node.parts.held import OpenPart
from splitbed.node.stations.references import References
from splitbed.runtime import RUNTIMES
from splitbed.runtime.session import PartSession
from splitbed.runtime.trial import expect
from splitbed.tasks import TASKS
from splitbed.telemetry import MODELS
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.tensors_pb2 import Packet
from splitbed.wire import check_expected, describe, whole_tensors


class ModelService(nodes_pb2_grpc.EdgeServicer):
    """The whole model: cut here, and run here on each input for what split outputs must equal."""

    def __init__(self, host: NodeHost, references: References) -> None:
        self._host = host
        self._stored: StoredModel | None = None
        self._versions: dict[Span, StoredModel] = {}
        """Of layers, each in a file of its own."""
        self._task = self._runtime = ""
        self._parcels: dict[Span, Parcel] = {}
        """Of those that are held, too."""
        self._whole: OpenPart | None = None
        self._references = references
        host.forget.append(self.forget)

    def forget(self) -> None:
        """Forget the model and what it made of the inputs."""
        self._stored = None
        self._drop()
        self._drop_versions()
        self._close_whole()
        self._references.clear()
        MODELS.set(0)

    @answering
    def Deploy(
        self, request: Iterator[nodes_pb2.ModelPiece], context: grpc.ServicerContext
    ) -> nodes_pb2.Deployed:
        """Store the model and check it before anything is run."""
        with self._host.turn(context):
            return self._deploy(request)

    def _deploy(self, request: Iterator[nodes_pb2.ModelPiece]) -> nodes_pb2.Deployed:
        first = next(request, nodes_pb2.ModelPiece())
        of = span_of(first.of) if first.HasField("of") else None
        if of is None:
            self._host.held.drop()
            self.forget()
        if first.task not in TASKS or first.format not in FORMATS or first.runtime not in RUNTIMES:
            raise NodeError(
                f"refused a model of format {first.format!r} for task {first.task!r} and runtime "
                f"{first.runtime!r}: what other packages add must be installed on this node, too"
            )
        expect(first.runtime)
        if of is not None:
            return nodes_pb2.Deployed(sha256=self._keep_version(of, request, first.format))
        digest, self._stored = self._checked(request, self._host.folder, first.format)
        self._task, self._runtime = first.task, first.runtime
        MODELS.set(1)
        log.info("model deployed", sha256=digest, layers=self._stored.graph.n)
        return nodes_pb2.Deployed(sha256=digest)

    def _keep_version(self, of: Span, pieces: Iterator[nodes_pb2.ModelPiece], form: str) -> str:
        """In place of one that was there, if the file is good."""
        self._host.limits.check_parcels(len({*self._versions, of}))
        # a folder of its own for each: a runtime may have the files of the one before mapped
        folder = Path(mkdtemp(dir=self._host.folder))
        try:
            digest, made = self._checked(pieces, folder, form)
        except BaseException:
            rmtree(folder, ignore_errors=True)
            raise
        self._drop_versions({*self._versions} - {of})
        self._versions[of] = made
        return digest

    def _checked(
        self, pieces: Iterator[nodes_pb2.ModelPiece], folder: Path, form: str
    ) -> tuple[str, StoredModel]:
        digest = self._receive(pieces, folder, format_named(form).FILES)
        check_stored(folder, form)
        return digest, open_stored(folder, form)

    def _receive(
        self, pieces: Iterator[nodes_pb2.ModelPiece], folder: Path, names: tuple[str, ...]
    ) -> str:
        digest, size = hashlib.sha256(), 0
        try:
            with ExitStack() as stack:
                files = [stack.enter_context((folder / name).open("wb")) for name in names]
                for piece in pieces:
                    size += len(piece.data)
                    self._host.limits.check_model(size)
                    if piece.file >= len(files):
                        raise NodeError(f"refused an unknown kind of model file: {piece.file}")
                    files[piece.file].write(piece.data)
                    digest.update(piece.data)
        except BaseException:
            for name in names:
                (folder / name).unlink(missing_ok=True)
            raise
        return digest.hexdigest()

    @answering
    def Load(
        self, request: nodes_pb2.LoadRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.Loaded:
        """Cut: open the session on the part that is run here, warm it up; have others ready."""
        with self._host.turn(context):
            return self._load(request)

    @answering
    def Ready(
        self, request: Iterator[nodes_pb2.PartPiece], context: grpc.ServicerContext
    ) -> nodes_pb2.ReadyReply:
        """Have a part ready that was encoded elsewhere, in place of all others."""
        with self._host.turn(context):
            self._drop()
            parcel = kept(request, self._host.folder, self._host.limits)
            self._parcels[span_of(parcel.header.span)] = parcel
        return nodes_pb2.ReadyReply()

    def _load(self, request: nodes_pb2.LoadRequest) -> nodes_pb2.Loaded:
        self._close_whole()
        keep = {*map(span_of, request.session.keep)}
        deliver = [*dict.fromkeys(map(span_of, request.deliver))]
        self._host.limits.check_parcels(len({*deliver} | keep & self._parcels.keys()))
        own = span_of(request.span) if request.HasField("span") else None
        self._host.held.drop(keep - {own})  # first, so that two parts are not in memory at once
        self._drop(keep)
        self._drop_versions(keep | {*deliver, *([own] if own else [])})
        loaded = nodes_pb2.Loaded()
        if own is not None:
            start_ns = time.monotonic_ns()
            part = self._cut(own)
            loaded = self._host.held.load(
                part, request.session, start_ns, lambda: self._crossing(own[0])
            )
            part.part.remove()
        for span in deliver:
            loaded.deliver_bytes.append(self._pack(span, request.coder, loaded))
        return loaded

    def _pack(self, span: Span, coder: str, loaded: nodes_pb2.Loaded) -> int:
        part = self._cut(span)
        ready_bytes = sum(one.header.bytes for one in self._parcels.values())
        self._host.limits.check_kept(ready_bytes + part.part.nbytes)
        if coder:
            from splitbed.node.parts.coded import pack_coded  # coders take a while to import

            self._parcels[span], coded = pack_coded(part, self._host.folder, coder)
            loaded.coded.append(coded)
        else:
            self._parcels[span] = pack(part, self._host.folder)
        part.part.remove()
        return part.part.nbytes

    def _cut(self, span: Span) -> CutPart:
        if self._stored is None:
            raise NodeError("the edge node has no model: deploy one first")
        model = info_of(self._stored.graph, self._task, self._runtime)
        own = self._versions.get(span)
        if span.version and own is None:
            raise NodeError(f"the edge node has no file of the layers {words(span)}")
        return CutPart(extract_part(self._stored, *span[:3], own), span, model)

    def _crossing(self, k: int) -> Tensors | None:
        """What the layers before a cut make of made-up inputs; None where there are none."""
        cut = self._cut(Span(0, k))
        part = cut.part
        if part.path is None:
            return None
        ends = part.inputs, part.outputs
        with PartSession(part.path, *ends, part.passthrough, runtime=cut.model.runtime) as session:
            part.remove()
            return session.run(session.made_up())

    @answering
    def SetReference(
        self, request: Iterator[Packet], context: grpc.ServicerContext
    ) -> nodes_pb2.ReferenceReply:
        """Run the whole model on an input and keep its outputs.

        The session stays open for the inputs that follow, until a part is loaded.
        """
        received = receive(packet.data for packet in request)
        given = received.tensors(most_bytes=self._host.limits.tensor_bytes)
        with self._host.turn(context):
            whole = self._whole = self._whole or self._opened_whole()
            check_expected(describe(given), whole.cut.model.inputs)
            outputs = whole.run(given)
            self._references.keep(received.header.frame.input, outputs)
        result = whole.cut.model.result_of(outputs)
        return nodes_pb2.ReferenceReply(result=whole_tensors(result))

    @answering
    def ReadReference(
        self, request: nodes_pb2.ReadReferenceRequest, context: grpc.ServicerContext
    ) -> Iterator[Packet]:
        """What the whole model made of an input."""
        if request.input not in self._references:
            raise NodeError(f"the whole model was not run on input {request.input}")
        yield from packed(request.input, self._references[request.input])

    def _opened_whole(self) -> OpenPart:
        layers = self._stored.graph.n if self._stored else 0
        return self._host.held.opened(self._cut(Span(0, layers)), threads=0)

    def _close_whole(self) -> None:
        if self._whole is not None:
            self._host.held.close(self._whole)
            self._whole.cut.part.remove()
            self._whole = None

    def parcel(self, span: Span, coder: str) -> Parcel:
        """The part of these layers, so encoded; NodeError unless it was made ready."""
        parcel = self._parcels.get(span)
        if parcel is None or parcel.header.coder not in ("", coder):
            as_what = f" as {coder}" if coder else ""
            raise NodeError(f"the part of the layers {words(span)} is not ready here{as_what}")
        return parcel

    def _drop_versions(self, keep: Collection[Span] = ()) -> None:
        for span in [*self._versions]:
            if span not in keep:
                rmtree(self._versions.pop(span).folder, ignore_errors=True)

    def _drop(self, keep: Collection[Span] = ()) -> None:
        for span in [*self._parcels]:
            if span not in keep:
                self._parcels.pop(span).remove()
