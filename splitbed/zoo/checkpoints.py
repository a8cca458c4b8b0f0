"""Weights of a trained network, from a PyTorch state dict in a .pt, .safetensors or .npz file."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from splitbed.errors import MachineError, UsageError
from splitbed.zoo.layers import Floats, Learnt, Weights

State = Mapping[str, npt.NDArray[np.generic]]

EPSILON = 1e-5  # of PyTorch's batch norm
_NORM = ("weight", "bias", "running_mean", "running_var")
_DAMAGED = (
    OSError, ValueError, TypeError, AttributeError, EOFError, NotImplementedError, RuntimeError,
    MemoryError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise for an .npz file that is damaged or locked."""
LISTED = 20  # of a kind of misfit; one wrong architecture would name hundreds


def load(
    path: Path,
    layers: Sequence[Learnt],
    rename: Callable[[str], str] = str,
    frozen_epsilon: float = EPSILON,
) -> tuple[Weights, str]:
    """The checkpoint's weights with batch norm folded in, and a line that says what they are.

    Names are those of the public NVIDIA checkpoint (``additional_blocks.0.0.weight``
    and on), alone or behind the ``module.`` or ``module.1.`` that training on several GPUs
    leaves. A ``.pt`` file may hold the state dict itself, or keep it under ``model``. ``rename``
    gives the name in ``layers`` of one in the file. Batch norm whose file counts no batches was
    frozen in training, where its epsilon was ``frozen_epsilon``.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    state = {rename(plain(name)): values for name, values in read(path).items()}
    return fitted(path, state, layers, frozen_epsilon)


def fitted(
    path: Path, state: State, layers: Sequence[Learnt], frozen_epsilon: float = EPSILON
) -> tuple[Weights, str]:
    """What :func:`load` gives of ``state``, which was read from ``path``."""
    counts = any(name.endswith("num_batches_tracked") for name in state)
    epsilon = EPSILON if counts else frozen_epsilon
    expected = _shapes(layers)
    unexpected = sorted(n for n in state.keys() - expected if not n.endswith("num_batches_tracked"))
    check(path, misfits(state, expected, epsilon), unexpected)
    modules = {layer.module: layer for layer in layers}
    weights = {module: fold(state, layer, epsilon) for module, layer in modules.items()}
    return weights, origin(path, unexpected)


def exact(
    path: Path, state: State, expected: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Floats], str]:
    """The tensors of ``state`` that are ``expected``, as FP32, and a line that says what they are.

    ``state`` was read from ``path``. Raises UsageError where it does not fit; it names misfits.
    """
    unexpected = sorted(state.keys() - expected)
    check(path, misfits(state, expected), unexpected)
    return {name: state[name].astype(np.float32) for name in expected}, origin(path, unexpected)


def fold(state: State, layer: Learnt, epsilon: float = EPSILON) -> tuple[Floats, Floats]:
    """Weight and bias of the layer that does what ``layer`` and its batch norm do."""
    weight = state[f"{layer.module}.weight"].astype(np.float64)
    if layer.norm is None:
        bias = state[f"{layer.module}.bias"]
        return weight.astype(np.float32), bias.astype(np.float32)
    gain, shift, mean, variance = (
        state[f"{layer.norm}.{name}"].astype(np.float64) for name in _NORM
    )
    scale = gain / np.sqrt(variance + epsilon)
    folded = weight * scale[:, np.newaxis, np.newaxis, np.newaxis]
    return folded.astype(np.float32), (shift - mean * scale).astype(np.float32)


def _shapes(layers: Sequence[Learnt]) -> dict[str, tuple[int, ...]]:
    """What a checkpoint must hold."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        shapes[f"{layer.module}.weight"] = layer.shape
        if layer.norm is None:
            shapes[f"{layer.module}.bias"] = (layer.outputs,)
        else:
            shapes |= {f"{layer.norm}.{name}": (layer.outputs,) for name in _NORM}
    return shapes


def misfits(
    state: State, expected: Mapping[str, tuple[int, ...]], epsilon: float = EPSILON
) -> list[str]:
    """A line for each tensor that is missing, or is not what ``expected`` gives the shape of."""
    missing = [f"{name} {shape}" for name, shape in expected.items() if name not in state]
    wrong = []
    for name, shape in expected.items():
        found = state.get(name)
        if found is None:
            continue
        if found.shape != shape:
            wrong.append(f"{name}: expected {shape}, got {found.shape}")
        elif found.dtype.kind != "f":
            wrong.append(f"{name}: expected floating point, got {found.dtype}")
        elif not np.isfinite(found).all():
            wrong.append(f"{name}: holds values that are not finite")
        elif name.endswith("running_var") and found.min() < 0:
            wrong.append(f"{name}: holds a negative variance")
        elif name.endswith("running_var") and found.min() + epsilon == 0:
            wrong.append(f"{name}: holds a variance of 0, by which nothing can be divided")
    return _listed("missing", missing) + _listed("wrong", wrong)


def _listed(kind: str, names: Sequence[str]) -> list[str]:
    more = [f"{kind}: … and {len(names) - LISTED} more"] if len(names) > LISTED else []
    return [f"{kind}: {name}" for name in names[:LISTED]] + more


def check(path: Path, misfits: Sequence[str], unexpected: Sequence[str]) -> None:
    """Raise UsageError, which names every misfit, where there are ``misfits``."""
    if misfits:
        lines = [f"the weights in {path} do not fit the model:", *misfits]
        lines += _listed("unexpected (would be ignored)", unexpected)
        raise UsageError("\n  ".join(lines))


def origin(path: Path, unused: Sequence[str]) -> str:
    """A line that says which file the weights are from, and what was left in it."""
    left = f", {len(unused)} tensors unused" if unused else ""
    return f"{path.name} {_named(path)}{left}"


def trained_on(data: str, seed: int, path: Path) -> str:
    """The line of weights that a script of ours trained on generated ``data``."""
    return f"trained on {data} (seed {seed}), {_named(path)}"


def _named(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def plain(name: str) -> str:
    """A tensor's name without what training on several GPUs puts before it."""
    return re.sub(r"^module\.(1\.)?", "", name)


def read(path: Path) -> State:
    """What a .pt, .safetensors or .npz file holds; raises as :func:`load`."""
    return _READERS[suffix(path, _READERS)](path)


def suffix(path: Path, readable: Iterable[str]) -> str:
    """The suffix of the file ``path``, which is one of ``readable``.

    Raises:
        UsageError: it is not, or there is no such file.
    """
    found = path.suffix.lower()
    if found not in readable:
        raise UsageError(f"cannot tell what {path} holds: expected {', '.join(readable)}")
    if not path.is_file():
        raise UsageError(f"cannot read weights from {path}: there is no such file")
    return found


def read_npz(path: Path) -> State:
    """The arrays of an .npz file by name."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except _DAMAGED as error:
        raise UsageError(f"cannot read {path} as .npz: {error}") from error


def _read_safetensors(path: Path) -> State:
    try:
        state: dict[str, npt.NDArray[np.generic]] = safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read {path} as .safetensors: {error}") from error
    return state


def write_torch(state: State, path: Path) -> None:
    """Write a state dict, as a .pt file; MachineError without torch, or where it cannot be."""
    torch = _torch(path)
    try:
        torch.save({name: torch.tensor(array) for name, array in state.items()}, path)
    except (OSError, RuntimeError) as error:
        raise MachineError(f"cannot write {path}: {error}") from error


def _torch(path: Path) -> ModuleType:
    try:
        import torch  # an optional extra, and seconds to import
    except ImportError as error:
        raise MachineError(
            f"the file {path} needs PyTorch: run \"pip install 'splitbed[torch]'\","
            " or have the state dict as .safetensors or .npz"
        ) from error
    return cast(ModuleType, torch)


def _read_torch(path: Path) -> State:
    torch = _torch(path)
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        state = held.get("model", held)
        exact = {
            name: values.float() if values.dtype is torch.bfloat16 else values
            for name, values in state.items()
        }
        return {name: values.detach().numpy() for name, values in exact.items()}
    except Exception as error:  # torch raises whatever a damaged or foreign file leads it to
        raise UsageError(
            f"cannot read a state dict from {path}: {type(error).__name__}: {error};"
            " save it again with torch.save(model.state_dict(), FILE)"
        ) from error


_READERS: dict[str, Callable[[Path], State]] = {
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".safetensors": _read_safetensors,
    ".npz": read_npz,
}
