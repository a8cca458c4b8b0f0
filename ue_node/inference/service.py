"""The Open Inference Protocol on a UE node: a client's tensors go through the assigned split."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from threading import Condition

import grpc

from splitbed.errors import NodeError, shorten
from splitbed.node.answering import answering, given_up
from splitbed.node.config import Limits
from splitbed.node.stations.assignment import Assignment
from splitbed.node.stations.passing import Passing
from splitbed.telemetry import REQUEST_SECONDS
from splitbed.tensors import TensorInfo
from splitbed.v1 import inference_pb2 as oip
from splitbed.v1.inference_pb2_grpc import GRPCInferenceServiceServicer
from splitbed.workers.wanted import LOOK_S, WANTED, check_wanted
from ue_node.inference.tensors import answer_of, outputs_of, tensors_of

SERVICE = "inference.GRPCInferenceService"
_VERSION = "1"
"""Of every model: which split of it is assigned is the orchestrator's to say."""


class InferenceService(GRPCInferenceServiceServicer):
    """Answers clients with what the split makes of their tensors that was assigned for them.

    As many requests are taken through at a time as frames of it may be under way, one where it has
    no queues; the others wait. Who gives up leaves those of others alone; his own goes to its end,
    unless nobody wants any of them.
    """

    def __init__(self, passing: Passing, limits: Limits) -> None:
        self._passing = passing
        self._limits = limits
        self._changed = Condition()
        self._under_way = 0
        self._wanted: set[grpc.ServicerContext] = set()
        """Of those under way, the callers who have not given up."""

    def ServerLive(
        self, request: oip.ServerLiveRequest, context: grpc.ServicerContext
    ) -> oip.ServerLiveResponse:
        """Who asks is answered."""
        return oip.ServerLiveResponse(live=True)

    def ServerReady(
        self, request: oip.ServerReadyRequest, context: grpc.ServicerContext
    ) -> oip.ServerReadyResponse:
        """Whether a split is there for clients."""
        return oip.ServerReadyResponse(ready=self._passing.frames.served is not None)

    def ModelReady(
        self, request: oip.ModelReadyRequest, context: grpc.ServicerContext
    ) -> oip.ModelReadyResponse:
        """Whether a split of that model is there for clients."""
        served = self._passing.frames.served
        ready = served is not None and _is_meant(served, request.name, request.version)
        return oip.ModelReadyResponse(ready=ready)

    def ServerMetadata(
        self, request: oip.ServerMetadataRequest, context: grpc.ServicerContext
    ) -> oip.ServerMetadataResponse:
        """What this is; it has no extensions of the protocol."""
        return oip.ServerMetadataResponse(name="splitbed", version=version("splitbed"))

    @answering
    def ModelMetadata(
        self, request: oip.ModelMetadataRequest, context: grpc.ServicerContext
    ) -> oip.ModelMetadataResponse:
        """What the model takes, and what comes out of the split."""
        model = self._served(request.name, request.version).model
        return oip.ModelMetadataResponse(
            name=model.name,
            versions=[_VERSION],
            platform=f"splitbed_{model.runtime}",
            inputs=map(_metadata, model.inputs),
            outputs=map(_metadata, model.results),
        )

    @answering
    def ModelInfer(
        self, request: oip.ModelInferRequest, context: grpc.ServicerContext
    ) -> oip.ModelInferResponse:
        """Take a request's tensors through the split."""
        with REQUEST_SECONDS.time():
            served = self._served(request.model_name, request.model_version)
            tensors = tensors_of(request, served.model.inputs, self._limits.tensor_bytes)
            wanted = outputs_of(request, [info.name for info in served.model.results])
            with self._place(served, context):
                record = self._passing.infer(served, tensors)
            if not record.result:
                raise NodeError(
                    f"the outputs of frame {record.frame} have {record.result_bytes} bytes, more "
                    "than a message: give a model or a task with smaller ones"
                )
            answer = answer_of(request, wanted, record.result)
            answer.model_name, answer.model_version = served.model.name, _VERSION
            return answer

    @contextmanager
    def _place(self, served: Assignment, context: grpc.ServicerContext) -> Iterator[None]:
        """Inside, the request is one of those that are taken through."""
        most = served.queues.in_flight if served.queues else 1
        with self._changed:
            while self._under_way >= most:
                self._changed.wait(LOOK_S)
                check_wanted()
            self._under_way += 1
            self._wanted.add(context)
        # they share a stream, which the end of one would be
        token = WANTED.set(lambda: bool(self._wanted))
        try:
            with given_up(context, lambda: self._give_up(context)):
                yield
        finally:
            WANTED.reset(token)
            with self._changed:
                self._wanted.discard(context)
                self._under_way -= 1
                self._changed.notify()

    def _give_up(self, context: grpc.ServicerContext) -> None:
        with self._changed:
            last = self._wanted == {context}
            self._wanted.discard(context)  # first: a frame that begins to wait asks whether it is
            if last:  # or it would hold its place while a node is silent
                self._passing.cancel()

    def _served(self, name: str, asked: str) -> Assignment:
        if (served := self._passing.frames.served) is None:
            raise NodeError(
                "no split is here for clients: `orchestrate serve` has one while it runs"
            )
        if not _is_meant(served, name, asked):
            raise NodeError(
                f"there is no model {shorten(name)!r} of version {shorten(asked)!r} here, but "
                f"{served.model.name!r} of version {_VERSION!r}"
            )
        return served


def _is_meant(served: Assignment, name: str, asked: str) -> bool:
    return name == served.model.name and asked in ("", _VERSION)


def _metadata(info: TensorInfo) -> oip.ModelMetadataResponse.TensorMetadata:
    return oip.ModelMetadataResponse.TensorMetadata(
        name=info.name, datatype=info.datatype, shape=info.shape
    )
