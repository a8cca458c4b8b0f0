"""What nodes are given before the first frame: the model, inputs, and what outputs must equal."""

from collections.abc import Iterator, Sequence

from orchestrator.testbed.loading.patience import Patience
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.node import Node
from splitbed.flow import Span
from splitbed.graphs.formats import format_named
from splitbed.graphs.parts import StoredModel
from splitbed.node.delivery import span_message, words
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc
from splitbed.wire import tensors_of

_PIECE_BYTES = 256 << 10


def give_model(holder: Node, model: SweptModel) -> None:
    """Give the whole model to the node that cuts it."""
    with holder.asked("take the model"):
        _deploy(holder, _pieces(model, model.stored))


def give_version(holder: Node, model: SweptModel, span: Span) -> None:
    """Give it a version of layers, which it keeps while it has their part; raises as that."""
    own = model.version(span)
    with holder.asked(f"take the layers {words(span)}"):
        _deploy(holder, _pieces(model, own, of=span))


def _deploy(holder: Node, pieces: Iterator[nodes_pb2.ModelPiece]) -> None:
    waiting = Patience(holder)
    waiting.answer(rpc.EdgeStub(holder.channel).Deploy.future(waiting.through(pieces)))


def _pieces(
    model: SweptModel, stored: StoredModel, *, of: Span | None = None
) -> Iterator[nodes_pb2.ModelPiece]:
    form = stored.graph.format
    told = span_message(of) if of else None
    yield nodes_pb2.ModelPiece(task=model.task, format=form, runtime=model.runtime, of=told)
    for index, name in enumerate(format_named(form).FILES):
        with (stored.folder / name).open("rb") as file:
            while data := file.read(_PIECE_BYTES):
                yield nodes_pb2.ModelPiece(file=index, data=data)


def give_input(sources: Sequence[Node], holder: Node, given: nodes_pb2.Input) -> Tensors:
    """Give an input to the nodes where frames begin; what the whole model makes of it."""
    for source in sources:
        with source.asked(f"take the input {given.name}"):
            stub = rpc.StationsStub(source.channel)
            tensors = Patience(source).answers(stub.AddInput(given))
    with holder.asked(f"run the whole model on {given.name}"):
        edge = rpc.EdgeStub(holder.channel)
        waiting = Patience(holder)
        reply = waiting.answer(edge.SetReference.future(waiting.through(tensors)))
    return tensors_of(reply.result)


def give_reference(holder: Node, judge: Node, place: int, name: str) -> None:
    """Give the outputs of the whole model for the input at `place` to one that compares its own."""
    with holder.asked(f"tell what the whole model makes of {name}"):
        request = nodes_pb2.ReadReferenceRequest(input=place)
        edge = rpc.EdgeStub(holder.channel)
        outputs = Patience(holder).answers(edge.ReadReference(request))
    with judge.asked(f"keep what the whole model makes of {name}"):
        stub = rpc.StationsStub(judge.channel)
        waiting = Patience(judge)
        waiting.answer(stub.KeepReference.future(waiting.through(outputs)))
