"""The inputs of a node, added, taken and forgotten at once: each is there, or told to be gone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

from splitbed.errors import NodeError
from splitbed.node.config import Limits
from splitbed.node.source.inputs import Source
from splitbed.node.stations.references import References
from splitbed.tensors import Tensors
from splitbed.v1.nodes_pb2 import Input, RandomTensors
from splitbed.v1.tensors_pb2 import TensorHeader

INPUT = Input(
    random=RandomTensors(seed=1), tensors=[TensorHeader(name="x", datatype="FP32", shape=[4])]
)
TIMES = 300


def at_once(*steps: Callable[[], object]) -> None:
    """Each step many times, all beside one another; what is refused may be."""

    def repeat(step: Callable[[], object]) -> None:
        for _ in range(TIMES):
            with suppress(NodeError):
                step()

    with ThreadPoolExecutor(len(steps)) as pool:
        list(pool.map(repeat, steps))


def test_inputs_are_there_or_told_to_be_gone_whatever_happens_at_once(tmp_path: Path) -> None:
    source = Source(tmp_path, Limits())
    at_once(lambda: source.add(INPUT), source.clear, lambda: source.tensors(0))
    source.clear()
    number, tensors = source.add(INPUT)
    assert number == 0
    assert source.tensors(0)["x"].tobytes() == tensors["x"].tobytes()


def test_references_are_there_or_told_to_be_gone_whatever_happens_at_once(tmp_path: Path) -> None:
    references = References(tmp_path, Limits())
    outputs: Tensors = {"x": np.ones(4, np.float32)}
    at_once(
        lambda: references.keep(0, outputs),
        references.clear,
        lambda: references.difference(0, outputs, ["x"]),
    )
    references.keep(0, outputs)
    assert references.difference(0, outputs, ["x"]) == 0
