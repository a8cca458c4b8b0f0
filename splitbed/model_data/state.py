"""A model file whose tensors can be had and changed, as those of modules of torch can."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from splitbed.errors import UsageError
from splitbed.model_data.file import ModelFile
from splitbed.tensors import Tensors


class StateModel:
    """One; what is written into its tensors is in :attr:`file`."""

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._state = {name: np.array(array) for name, array in file.state.items()}

    def state_dict(self) -> Tensors:
        """Its tensors by name; whoever writes into one changes the model."""
        return self._state

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Have these tensors instead; UsageError where names or shapes are others."""
        for name, array in self._state.items():
            if name not in state or np.shape(state[name]) != array.shape:
                raise UsageError(f"the model has a tensor {name} of {list(array.shape)}: give it")
            array[...] = np.asarray(state[name])

    @property
    def suffix(self) -> str:
        """Of its file."""
        return f".{self._file.form}"

    @property
    def file(self) -> ModelFile:
        """With the tensors as they are now."""
        return self._file.replaced(self._state)
