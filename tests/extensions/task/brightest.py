"""A task: of a model whose output is a map, the place and the value of what is brightest."""

import numpy as np

from splitbed.tasks import Task
from splitbed.tensors import TensorInfo, Tensors


def _decode(outputs: Tensors, inputs: tuple[TensorInfo, ...]) -> Tensors:
    (found,) = outputs.values()
    place = np.unravel_index(found.argmax(), found.shape)
    return {
        "place": np.array(place, np.int64),
        "value": np.array([found.max()], np.float32),
    }


BRIGHTEST = Task(_decode, (TensorInfo("place", "INT64", (-1,)), TensorInfo("value", "FP32", (1,))))
