"""What the whole model makes of inputs: outputs of a split model are compared with it."""

from collections.abc import Collection
from pathlib import Path

from splitbed.errors import NodeError
from splitbed.node.config import Limits
from splitbed.node.source.inputs import MAX_INPUTS
from splitbed.tensor_files import TensorFiles
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff


class References:
    """The whole model's outputs, by input, kept under `folder` within `limits`."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._outputs = TensorFiles(folder, limits.check_kept)

    def keep(self, input_: int, outputs: Tensors) -> None:
        """Keep what the whole model made of that input; NodeError where it cannot be one."""
        if input_ >= MAX_INPUTS:
            raise NodeError(f"refused the reference of an input {input_}: over {MAX_INPUTS}")
        self._outputs.put(input_, outputs)

    def __contains__(self, input_: int) -> bool:
        return input_ in self._outputs

    def __getitem__(self, input_: int) -> Tensors:
        try:
            return self._outputs[input_]
        except KeyError:  # never kept, or forgotten since
            raise NodeError(f"there is no reference of the input {input_}") from None

    def difference(self, input_: int, outputs: Tensors, names: Collection[str]) -> float:
        """Largest absolute difference of the outputs so called from an input's reference."""
        whole = self[input_]
        return max_abs_diff(outputs, {name: whole[name] for name in whole if name in names})

    def clear(self) -> None:
        """Forget them all."""
        self._outputs.clear()
