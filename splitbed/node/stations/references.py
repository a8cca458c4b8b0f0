"""What the whole model makes of inputs: outputs of a split model are compared with it."""

from collections.abc import Collection
from pathlib import Path

from splitbed.tensor_files import TensorFiles
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff


class References:
    """The whole model's outputs, by input, kept under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._outputs = TensorFiles(folder)

    def keep(self, input_: int, outputs: Tensors) -> None:
        """Keep what the whole model made of that input."""
        self._outputs.put(input_, outputs)

    def __contains__(self, input_: int) -> bool:
        return input_ in self._outputs

    def __getitem__(self, input_: int) -> Tensors:
        return self._outputs[input_]

    def difference(self, input_: int, outputs: Tensors, names: Collection[str]) -> float:
        """Largest absolute difference of the outputs so called from an input's reference."""
        whole = self._outputs[input_]
        return max_abs_diff(outputs, {name: whole[name] for name in whole if name in names})

    def clear(self) -> None:
        """Forget them all."""
        self._outputs.clear()
