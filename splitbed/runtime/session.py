"""A session that runs a part on the CPU with ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from splitbed.errors import NodeError, UsageError
from splitbed.tensors import NUMPY_TYPES, TensorInfo, Tensors


class PartSession:
    """Runs one part: ``inputs`` go in, ``outputs`` come out, by name.

    Outputs named in ``passthrough`` are handed on as they came; without a ``part_file`` nothing
    else may be asked for.  ``threads`` compute; none of them spins between runs, which would cost
    whatever else runs here 10 to 19 %.  Raises UsageError for a file that ONNX Runtime refuses.
    """

    def __init__(
        self,
        part_file: Path | None,
        inputs: Sequence[TensorInfo],
        outputs: Sequence[TensorInfo],
        passthrough: Sequence[str] = (),
        threads: int = 1,
    ) -> None:
        self._inputs = tuple(inputs)
        self._outputs = tuple(tensor.name for tensor in outputs)
        self._computed = [name for name in self._outputs if name not in passthrough]
        self._session: Any = None
        self._fed: set[str] = set()
        if part_file is not None:
            self._session = _open(part_file, threads)
            self._fed = {info.name for info in self._session.get_inputs()}

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs for ``tensors``, in order.

        Raises NodeError where names, datatypes or shapes differ from the inputs', before running,
        and where ONNX Runtime fails.
        """
        self._check(tensors)
        computed: Tensors = {}
        if self._computed:
            if self._session is None:
                raise NodeError("Cannot run the part: its session is closed.")
            fed = {name: tensors[name] for name in self._fed}
            try:
                computed = dict(
                    zip(self._computed, self._session.run(self._computed, fed), strict=True)
                )
            except Exception as error:  # ONNX Runtime's errors share no other base
                raise NodeError(f"ONNX Runtime failed while running the part: {error}") from error
        return {
            name: computed[name] if name in computed else tensors[name] for name in self._outputs
        }

    def warm(self, runs: int) -> None:
        """Run ``runs`` times on zeros: maps the weights in, and fills the allocator's arena."""
        zeros: Tensors = {
            info.name: np.zeros([max(dim, 1) for dim in info.shape], NUMPY_TYPES[info.datatype])
            for info in self._inputs
        }
        for _ in range(runs):
            self.run(zeros)

    def close(self) -> None:
        """Free the session."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, tensors: Tensors) -> None:
        expected = {info.name: info for info in self._inputs}
        if tensors.keys() != expected.keys():
            raise NodeError(
                f"The part takes the tensors {sorted(expected)}, but got {sorted(tensors)}."
            )
        for name, info in expected.items():
            got, dtype = tensors[name], np.dtype(NUMPY_TYPES[info.datatype])
            if got.dtype != dtype or not info.fits(TensorInfo(name, info.datatype, got.shape)):
                raise NodeError(
                    f"The part takes {name!r} as {dtype} {list(info.shape)}, but got "
                    f"{got.dtype} {list(got.shape)}."
                )


def _open(part_file: Path, threads: int) -> Any:
    import onnxruntime as ort  # late: a quarter of a second, which --help has not

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        # The fallback is to the same provider, and prints to stdout.
        return ort.InferenceSession(
            part_file, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise UsageError(f"ONNX Runtime cannot run {part_file}: {error}") from error
