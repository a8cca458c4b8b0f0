"""Runs ``.onnx`` files on the CPU with ONNX Runtime."""

import re
from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from splitbed.errors import NodeError, UsageError
from splitbed.tensors import Tensors
from splitbed.workers.wanted import check_wanted, ended_by

_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


class OnnxRunner:
    """One file, ready to run; see :class:`splitbed.runtime.session.Runner`."""

    def __init__(self, file: Path, threads: int, model: bytes | None = None) -> None:
        """``model`` is what is run in place of the file's content; weights may lie beside that."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        # spinning would cost whatever else runs here 10 to 19 %
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        if model is not None:
            options.add_session_config_entry(_WEIGHTS_FOLDER, str(file.parent))
        try:
            # The fallback is to the same provider, and prints to stdout.
            self._session = ort.InferenceSession(
                model or file, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # ONNX Runtime's errors share no other base
            raise UsageError(f"ONNX Runtime cannot run {file}: {reason(error)}") from error
        self.inputs = tuple(info.name for info in self._session.get_inputs())

    def run(self, fed: Tensors, wanted: Sequence[str]) -> Tensors:
        """The tensors ``wanted``; NodeError where ONNX Runtime fails, or nobody waits any more."""
        options = ort.RunOptions()

        def end() -> None:
            options.terminate = True

        try:
            with ended_by(end):
                made = self._session.run(list(wanted), fed, options)
            return dict(zip(wanted, made, strict=True))
        except Exception as error:  # ONNX Runtime's errors share no other base
            check_wanted()
            raise NodeError(
                f"ONNX Runtime failed while running the part: {reason(error)}"
            ) from error


def batch_runner(file: Path, threads: int) -> OnnxRunner:
    """A file that is fed several frames, one after another on the first axis."""
    from splitbed.graphs.onnx.batch import open_batch  # few nodes need it, and it takes a while

    return OnnxRunner(file, threads, open_batch(file))


def reason(error: Exception) -> str:
    """What ONNX Runtime says, without its codes and the name of a temporary file."""
    return re.sub(
        r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from \S+ failed:)?", "", str(error)
    )
