"""A model as its nodes know it, which have parts of it: what it takes, and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from splitbed.errors import NodeError
from splitbed.graphs.graph import Graph
from splitbed.runtime import RUNTIMES
from splitbed.tasks import TASKS
from splitbed.tensors import MAX_TENSORS_BYTES, TensorInfo, Tensors
from splitbed.v1 import nodes_pb2
from splitbed.wire import infos_of, tensor_headers


@dataclass(frozen=True)
class ModelInfo:
    """What a node must know of the whole model to feed it and to read it.

    ``layers`` is how many it has, ``task`` a key of :data:`splitbed.tasks.TASKS`,
    ``runtime`` one of :data:`splitbed.runtime.RUNTIMES`, which runs its parts.
    """

    layers: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    task: str
    runtime: str
    name: str = ""
    """That clients ask for it by, where it is known."""

    @property
    def results(self) -> tuple[TensorInfo, ...]:
        """What a result looks like; a size of -1 depends on the input."""
        return TASKS[self.task].results or self.outputs

    def result_of(self, outputs: Tensors) -> Tensors:
        """What the model's task makes of its outputs."""
        return TASKS[self.task].decode(outputs, self.inputs)

    def head(self, outputs: Sequence[int]) -> "ModelInfo":
        """The same model to a node that has but these of its outputs: they are the result.

        Raises NodeError where it has no such.
        """
        if any(place >= len(self.outputs) for place in outputs):
            raise NodeError(f"a model of {len(self.outputs)} outputs has no head of {outputs}")
        if len(outputs) in (0, len(self.outputs)):
            return self
        return replace(self, outputs=tuple(self.outputs[p] for p in outputs), task="tensors")


def model_message(model: ModelInfo) -> nodes_pb2.ModelInfo:
    """What is known of a model, as it travels."""
    return nodes_pb2.ModelInfo(
        layers=model.layers,
        inputs=tensor_headers(model.inputs),
        outputs=tensor_headers(model.outputs),
        task=model.task,
        runtime=model.runtime,
        name=model.name,
    )


def model_of(message: nodes_pb2.ModelInfo, most_bytes: int = MAX_TENSORS_BYTES) -> ModelInfo:
    """The model of :func:`model_message`; NodeError for one that this node cannot run or read.

    Nor may its inputs, or its outputs, have more than `most_bytes`.
    """
    if message.task not in TASKS:
        raise NodeError(f"unknown task {message.task!r}; one of {', '.join(TASKS)}")
    if message.runtime not in RUNTIMES:
        raise NodeError(
            f"no runtime is called {message.runtime!r} here, but {', '.join(RUNTIMES)}: "
            "install its package on this node"
        )
    return ModelInfo(
        message.layers,
        infos_of(message.inputs, open_sizes=False, most_bytes=most_bytes),
        infos_of(message.outputs, open_sizes=True, most_bytes=most_bytes),
        message.task,
        message.runtime,
        message.name,
    )


def info_of(graph: Graph, task: str, runtime: str, name: str = "") -> ModelInfo:
    """What a node must know of ``graph``, whose outputs mean what ``task`` says."""
    return ModelInfo(graph.n, graph.inputs, graph.outputs, task, runtime, name)
