"""Brings parts to the nodes that run them, beside the link or over it, and has them opened."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack

import grpc

from orchestrator.testbed.loading.given import give_version
from orchestrator.testbed.loading.patience import Patience
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.pair import Pair
from splitbed.flow import Span
from splitbed.node.delivery import CutPart, Parcel, pack, span_message, words
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc

Placed = tuple[str, Span]
"""A part, by its layers, on a node."""


class Loader:
    """Loads parts on nodes; ``threads`` of sessions are by the node's name.

    Every method raises NodeError, and UsageError for a cut that cannot be made.
    """

    def __init__(self, pair: Pair, model: SweptModel, threads: Mapping[str, int]) -> None:
        self.coder = ""
        """Of model data, in which parts are delivered; none: as model files."""
        self._pair = pair
        self._holder = pair.holder
        self._model = model
        self._threads = threads

    def load(
        self,
        placed: Sequence[Placed],
        warmup: int,
        keep: Collection[Placed] = (),
        fetched: Sequence[Placed] = (),
    ) -> dict[Placed, nodes_pb2.Loaded]:
        """Have parts open and warm, each on its node, beside those to `keep`.

        They go to their nodes beside the link, while the one that cuts loads its own; those that
        are to be `fetched` from there over a link are made ready for that.
        """
        every = [one for one in placed if one[0] == self._holder]
        own = every[0] if every else None
        spans = [*dict.fromkeys(span for _, span in fetched)]
        self._give_versions([*spans, *(span for _, span in every[:1])])
        loading = self._loading(own, spans, warmup, keep)
        try:
            loaded = {
                one: self._bring(*one, warmup, keep)
                for one in placed
                if one[0] != self._holder and one not in fetched
            }
        except BaseException:
            loading.cancel()  # or it would end in the midst of what comes next
            raise
        reply = self._loaded(loading)
        coded = reply.coded or [None] * len(spans)
        ready = {
            span: nodes_pb2.Loaded(part_bytes=nbytes, coded=[each] if each else [])
            for span, nbytes, each in zip(spans, reply.deliver_bytes, coded, strict=True)
        }
        for one in fetched:
            loaded[one] = ready[one[1]]
        if own:
            loaded[own] = reply
        for another in every[1:]:  # UEs are cut at several places
            beside = [*keep, *placed]
            self._give_versions([another[1]])  # with the one before, it would be dropped by that
            loaded[another] = self._loaded(self._loading(another, [], warmup, beside))
        return loaded

    def _give_versions(self, spans: Sequence[Span]) -> None:
        """Give the node that cuts the files that it needs at its next load, and keeps from then."""
        for span in dict.fromkeys(spans):
            if span.version:
                give_version(self._pair.nodes[self._holder], self._model, span)

    def _bring(
        self, name: str, span: Span, warmup: int, keep: Collection[Placed]
    ) -> nodes_pb2.Loaded:
        with ExitStack() as stack:
            part = self._model.part(span)
            stack.callback(part.remove)
            parcel = pack(CutPart(part, span, self._model.info), self._model.stored.folder)
            stack.callback(parcel.remove)
            self.give((name, span), parcel)
        return self.open(name, warmup, keep)

    def give(self, placed: Placed, parcel: Parcel) -> None:
        """Give a node a part beside the link, which is not opened by that."""
        name, span = placed
        node = self._pair.nodes[name]
        with node.asked(f"take the part of the layers {words(span)}"):
            waiting, stub = Patience(node), rpc.PartsStub(node.channel)
            waiting.answer(stub.Take.future(waiting.through(parcel.pieces())))

    def make_ready(self, parcel: Parcel) -> None:
        """Have the node that cuts have a part ready that was encoded here, and no other."""
        holder = self._pair.nodes[self._holder]
        with holder.asked("have a part ready"):
            waiting, stub = Patience(holder), rpc.EdgeStub(holder.channel)
            waiting.answer(stub.Ready.future(waiting.through(parcel.pieces())))

    def _loading(
        self,
        own: Placed | None,
        deliver: Sequence[Span],
        warmup: int,
        keep: Collection[Placed],
    ) -> "grpc.Future[nodes_pb2.Loaded]":
        request = nodes_pb2.LoadRequest(
            span=span_message(own[1]) if own else None,
            session=self._session(self._holder, warmup, keep),
            deliver=[*map(span_message, deliver)],
            coder=self.coder if deliver else "",
        )
        stub = rpc.EdgeStub(self._pair.nodes[self._holder].channel)
        return stub.Load.future(request)

    def _loaded(self, loading: "grpc.Future[nodes_pb2.Loaded]") -> nodes_pb2.Loaded:
        holder = self._pair.nodes[self._holder]
        with holder.asked("cut the model, and load its part"):
            return Patience(holder).answer(loading)

    def deliver(
        self, placed: Placed, timeout_s: float, *, rest: bool = False
    ) -> nodes_pb2.PartReceived:
        """Let a node fetch its part over the link; the `rest`: what it lacks of its tensors."""
        name, span = placed
        what = f"receive the part of the layers {words(span)} in {timeout_s:.0f} s"
        request = nodes_pb2.Delivery(span=span_message(span), coder=self.coder, rest=rest)
        return self._pair.ask(
            name,
            lambda node: rpc.PartsStub(node.channel).Receive(request, timeout=timeout_s),
            what,
        )

    def open(self, name: str, warmup: int, keep: Collection[Placed] = ()) -> nodes_pb2.Loaded:
        """Open a session on the part that came to a node last, and warm it up."""
        request = self._session(name, warmup, keep)
        return self._pair.ask(
            name,
            lambda node: Patience(node).answer(rpc.PartsStub(node.channel).Open.future(request)),
            "load its part",
        )

    def warm(self, placed: Placed, warmup: int) -> None:
        """Come back to a part that is held, and warm it up again."""
        name, span = placed
        request = nodes_pb2.WarmRequest(span=span_message(span), warmup=warmup)
        node = self._pair.nodes[name]
        with node.asked(f"come back to its part of the layers {words(span)}"):
            Patience(node).answer(rpc.PartsStub(node.channel).Warm.future(request))

    def _session(
        self, name: str, warmup: int, keep: Collection[Placed]
    ) -> nodes_pb2.SessionOptions:
        # the one that cuts keeps those ready, too, that others have open
        kept = [span_message(span) for node, span in keep if name in (node, self._holder)]
        return nodes_pb2.SessionOptions(threads=self._threads[name], warmup=warmup, keep=kept)
