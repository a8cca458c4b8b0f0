"""An ONNX model in FP16, by the converter that comes with ONNX Runtime.

What goes in and what comes out stays as it is: a cast stands behind the one and before the other.
"""

import warnings
from pathlib import Path

import onnx

from splitbed.errors import RunError


def halve(source: Path, target: Path) -> None:
    """Write the ONNX file ``source`` as ``target``, its weights and all between in 16 bits.

    What FP16 cannot hold becomes the nearest that it can. Raises RunError where the converter
    refuses it.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each value that is cut off
            made = convert_float_to_float16(onnx.load(source), keep_io_types=True)
    except Exception as error:  # it raises whatever a graph leads it to
        raise RunError(
            f"ONNX Runtime's converter cannot make FP16 of {source}: {type(error).__name__}: "
            f"{error}"
        ) from error
    onnx.save(made, target)
