"""What the nodes of several users say of a frame, put together."""

from collections.abc import Sequence

from splitbed.node.delivery import ModelInfo
from splitbed.v1 import nodes_pb2
from splitbed.wire import tensors_of, whole_tensors


def together(records: Sequence[nodes_pb2.FrameRecord]) -> nodes_pb2.FrameRecord:
    """One record of at least one: stages way by way, those that ways have in common once."""
    found, *others = records
    for one in others:
        found.stages.extend(stage for stage in one.stages if stage not in found.stages)
        found.result_bytes += one.result_bytes
        found.result.extend(each for each in one.result if each.info.name not in found.results)
        found.results.update(one.results)
        if one.HasField("max_abs_diff"):
            found.max_abs_diff = max(found.max_abs_diff, one.max_abs_diff)
    return found


def result_of_heads(record: nodes_pb2.FrameRecord, model: ModelInfo) -> None:
    """Put in place of outputs, which heads tell, the result that the model's task makes of them.

    Where some were too large to be told there is none.
    """
    outputs = tensors_of(record.result)
    del record.result[:]
    if len(outputs) == len(model.outputs):
        result = model.result_of(outputs)
        record.result.extend(whole_tensors(result))
        record.results.clear()
        for name, array in result.items():
            record.results[name] = array.shape[0] if array.ndim else 1
