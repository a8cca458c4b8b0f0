"""Writes corpus/run.jsonl: what an orchestrator sends both nodes in a small run of each kind.

``python -m tests.hostile.record``, when the messages have changed.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from netem.spec import symmetric
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.profiling.taking import take_profile
from orchestrator.testbed.loading.assignments import assignment_messages
from orchestrator.testbed.nodes.node import prove
from splitbed.v1 import inference_pb2, nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc
from tests.hostile.calls import CORPUS, INFERENCE, QUEUED, Call, as_line
from tests.node.loopback import FRAME_S, Splits, loopback_pair

LINK = symmetric(rate_mbit=100, delay_ms=1)


class Recorder(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Keeps each call that goes to a node in `calls`, once."""

    def __init__(self, node: str, calls: dict[Call, None]) -> None:
        self._node, self._calls = node, calls

    def _one(self, continuation: Callable[..., Any], details: Any, request: Message) -> Any:
        self._keep(details.method, [request])
        return continuation(details, request)

    def _many(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        sent = [*requests]
        self._keep(details.method, sent)
        return continuation(details, iter(sent))

    def _keep(self, path: str, sent: list[Message]) -> None:
        messages = tuple(one.SerializeToString(deterministic=True) for one in sent)
        self._calls[Call(self._node, path, messages)] = None

    intercept_unary_unary: Any = _one
    intercept_unary_stream: Any = _one
    intercept_stream_unary: Any = _many
    intercept_stream_stream: Any = _many


def recorded() -> dict[Call, None]:
    """The calls of a run on loopback."""
    calls: dict[Call, None] = {}
    plain = grpc.insecure_channel

    def recording(address: str, *asked: Any, **options: Any) -> grpc.Channel:
        channel = plain(address, *asked, **options)
        return grpc.intercept_channel(channel, Recorder(Path(address).stem, calls))

    vars(grpc)["insecure_channel"] = recording
    with tempfile.TemporaryDirectory() as folder, loopback_pair(Path(folder)) as (pair, model):
        splits = Splits(pair, model, warmup=1)
        for layers, codec in ((3, "raw"), (0, "zstd"), (6, "raw")):
            splits.load(layers, codec)
            splits.run()
        delivered = Splits(pair, model, delivery=True)
        delivered.parts.load(delivered.asked(2))
        delivered.parts.deliver(LINK, timeout_s=60)
        take_profile(sweep_config({"model": model.name, "split": "3:3"}), model, pair)
        ue, edge = pair.nodes["ue"], pair.nodes["edge"]
        prove(ue, edge, LINK, 60)
        pair.limit_ue(nodes_pb2.LimitRequest(slowdown=2, measure=True), 2)
        pair.warm_link({"uplink": 1000, "downlink": 1000}, 5)
        offer(splits)
        calls[inferred(splits)] = None
    return calls


def offer(splits: Splits) -> None:
    """Frames of a split with queues, on shared work, several under way; encoded: also in pieces."""
    splits.load(4, "zstd")  # which no other has, so that it is recorded here
    pair, asked = splits.pair, splits.asked(4, "zstd")
    (way,) = assignment_messages(QUEUED, asked, splits.model, splits.parts.known)
    way.queues.CopyFrom(
        nodes_pb2.Queues(in_flight=2, most=4, drop="oldest", workers=1, batch=2, batch_wait_ms=1)
    )
    pair.ways.assign([way], ())
    pair.ways.run_frame(0, 0, FRAME_S, QUEUED)
    request = nodes_pb2.OfferRequest(
        assignment=QUEUED, first=1, inputs=[0], due_ns=[0, 1, 1, 10**7]
    )
    stub = rpc.StationsStub(pair.nodes["ue"].channel)
    told = [one for some in stub.Offer(request, timeout=FRAME_S) for one in some.outcomes]
    assert {one.frame for one in told} == {1, 2, 3, 4}


def inferred(splits: Splits) -> Call:
    """What a client would ask, on a port that the nodes of a test do not have."""
    info = splits.model.info
    request = inference_pb2.ModelInferRequest(model_name=info.name, id="1")
    for one in info.inputs:
        request.inputs.add(name=one.name, datatype=one.datatype, shape=one.shape)
        request.raw_input_contents.append(bytes(one.nbytes))
    return Call("ue", f"{INFERENCE}GRPCInferenceService/ModelInfer", (request.SerializeToString(),))


if __name__ == "__main__":
    lines = [as_line(call) for call in recorded()]
    (CORPUS / "run.jsonl").write_text("\n".join(lines) + "\n")
