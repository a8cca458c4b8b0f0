"""Model data: the weights of a model, as named tensors out of its file and into one."""

import shutil
from pathlib import Path
from typing import Protocol

import numpy as np

from splitbed.errors import MachineError, UsageError
from splitbed.model_data.digest import digest
from splitbed.model_data.file import Layout, ModelFile, State, write_model

__all__ = [
    "ModelFile", "State", "copied", "digest", "model_of", "read_model", "write_model",
    "write_state",
]  # fmt: skip
_STATES = (".pt", ".pth", ".npz")


class _Kind(Protocol):
    """What the module of a kind of files offers."""

    def read(self, path: Path) -> ModelFile:
        """The file, taken apart."""

    def layout(self, path: Path) -> Layout | None:
        """Where the tensors are in the file, as they are; None where some are not."""


def read_model(path: Path) -> ModelFile:
    """The model file ``path``, taken apart.

    A ``.pt``, ``.pth`` or ``.npz`` file is read as the state dict that it holds, and becomes a
    ``.safetensors`` file.

    Raises:
        UsageError: it is missing, damaged or of another kind.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    if path.suffix.lower() in _STATES:
        from splitbed.zoo import checkpoints

        return model_of(checkpoints.read(path))
    return _kind(path).read(path)


def copied(path: Path, to: Path) -> Layout:
    """Write the model file ``path`` to another; where its tensors are there.

    None of them is in memory where all are in ``path`` as they are, which is so of what
    :func:`write_model` and decoders write.  Raises as :func:`read_model` and :func:`write_model`.
    """
    layout = None if path.suffix.lower() in _STATES else _kind(path).layout(path)
    if layout is None:
        model = read_model(path)
        write_model(model, to)
        return model.layout
    try:
        shutil.copyfile(path, to)
    except OSError as error:
        raise MachineError(f"cannot copy {path} to {to}: {error.strerror}") from error
    return layout


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


def _kind(path: Path) -> _Kind:
    # late, because each reads its files with a package that takes long to import
    from splitbed.graphs.formats import format_of

    if path.suffix.lower() == ".safetensors":
        from splitbed.model_data import safetensors

        return safetensors

    match format_of(path):
        case "onnx":
            from splitbed.model_data import onnx

            return onnx
        case "tflite":
            from splitbed.model_data import tflite

            return tflite
    raise UsageError(f"no weights can be taken out of {path}")
