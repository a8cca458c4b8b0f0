"""A runtime: ONNX Runtime that runs a graph as it is written, node by node."""

from collections.abc import Callable, Sequence
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.runtime import Runner, Runtime
from splitbed.tensors import Tensors


def _load() -> Callable[[Path, int], Runner]:
    import onnxruntime as ort  # takes a while, which only who runs a part should wait

    class Unoptimised:
        def __init__(self, file: Path, threads: int) -> None:
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            try:
                self._session = ort.InferenceSession(file, options)
            except Exception as error:  # its errors share no other base
                raise UsageError(f"cannot run {file}: {error}") from error
            self.inputs = tuple(info.name for info in self._session.get_inputs())

        def run(self, fed: Tensors, wanted: Sequence[str]) -> Tensors:
            return dict(zip(wanted, self._session.run(list(wanted), fed), strict=True))

    return Unoptimised


UNOPTIMISED = Runtime("onnx", _load)
