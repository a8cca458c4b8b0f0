"""One SSD300 for all its tests: it takes some seconds to draw."""

import os
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from orchestrator.testbed.cache import cache_folder
from splitbed.media.pictures import load_pictures, preprocess
from splitbed.tensors import Tensors
from splitbed.zoo import ZOO, ssd300


@pytest.fixture(scope="session")
def model() -> onnx.ModelProto:
    (folder := cache_folder()).mkdir(parents=True, exist_ok=True)
    if not (drawn := folder / "ssd300.onnx").exists():
        onnx.save(ssd300.build(seed=0), part := folder / f"ssd300.{os.getpid()}")
        part.rename(drawn)
    return onnx.load(drawn)


@pytest.fixture(scope="session")
def run(model: onnx.ModelProto) -> Callable[[np.ndarray], Tensors]:
    """Runs SSD300 on an input; gives what each ReLU and the model itself put out."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    relus = [node.output[0] for node in probed.graph.node if node.op_type == "Relu"]
    for name in relus:
        probed.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
    session = ort.InferenceSession(probed.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(names, {"image": image}), strict=True))


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """The default picture as SSD300's input."""
    recipe = ZOO["ssd300"].picture
    assert recipe
    return preprocess(load_pictures()[0].read(), recipe)


@pytest.fixture(scope="session")
def seen(run: Callable[[np.ndarray], Tensors], picture: np.ndarray) -> Tensors:
    """What the default picture makes of every ReLU."""
    return run(picture)
