"""Model data: the weights of a model, as named tensors out of its file and into one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from splitbed.errors import MachineError, UsageError
from splitbed.model_data.digest import digest
from splitbed.model_data.file import ModelFile, State, write_model

__all__ = ["ModelFile", "State", "digest", "model_of", "read_model", "write_model", "write_state"]


def read_model(path: Path) -> ModelFile:
    """The model file ``path``, taken apart.

    A ``.pt``, ``.pth`` or ``.npz`` file is read as the state dict that it holds, and becomes a
    ``.safetensors`` file.

    Raises:
        UsageError: it is missing, damaged or of another kind.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        from splitbed.model_data import safetensors

        return safetensors.read(path)
    if suffix in (".pt", ".pth", ".npz"):
        from splitbed.zoo import checkpoints

        return model_of(checkpoints.read(path))
    return _reader(path)(path)


def model_of(state: State) -> ModelFile:
    """A state as a ``.safetensors`` file; UsageError for a datatype that has no name there."""
    from splitbed.model_data import safetensors

    return safetensors.model_of(state)


def write_state(state: State, path: Path) -> None:
    """Write a state as a ``.safetensors``, ``.npz``, ``.pt`` or ``.pth`` file.

    Raises:
        UsageError: the suffix is another, or a datatype has no name.
        MachineError: it cannot be written; a ``.pt`` file, and torch is not installed.
    """
    match path.suffix.lower():
        case ".safetensors":
            write_model(model_of(state), path)
        case ".npz":
            try:
                with path.open("wb") as file:
                    np.savez(file, **dict(state))  # type: ignore[arg-type]
            except OSError as error:
                raise MachineError(f"cannot write {path}: {error.strerror}") from error
        case ".pt" | ".pth":
            from splitbed.zoo import checkpoints

            checkpoints.write_torch(state, path)
        case suffix:
            raise UsageError(
                f"no state is written as {suffix or path.name}: give .safetensors, .npz or .pt"
            )


def _reader(path: Path) -> Callable[[Path], ModelFile]:
    # late, because each reads its files with a package that takes long to import
    from splitbed.graphs.formats import format_of

    match format_of(path):
        case "onnx":
            from splitbed.model_data import onnx

            return onnx.read
        case "tflite":
            from splitbed.model_data import tflite

            return tflite.read
    raise UsageError(f"no weights can be taken out of {path}")
