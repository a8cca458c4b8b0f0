"""Files of wav2vec 2.0 and HuBERT: of seeded weights, of a checkpoint, or SpeechNet's trained ones.

A checkpoint is torchaudio's state dict (``wav2vec2_fairseq_base_ls960_asr_ls960.pth``,
``hubert_fairseq_large_ll60k_asr_ls960.pth``, or what ``bundle.get_model()`` holds), or one that
training saved under the same names.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from splitbed.tasks.transcripts import LABELS
from splitbed.zoo import checkpoints
from splitbed.zoo.layers import BLANK, Floats
from splitbed.zoo.transformer import Shape
from splitbed.zoo.wav2vec2.graph import Weights, to_onnx
from splitbed.zoo.wav2vec2.layout import DIRECTION, GAIN, POSITIONS, SMALL, Layout

TRAINED = Path(__file__).with_name("speechnet.safetensors")
SEED = 1
"""Of the training that made ``TRAINED``."""
UNUSED = (1, 2, 3)
"""Rows of torchaudio's 32 labels that stand for no letter; its pipelines leave them out."""
OLD_NAMES = {f"{POSITIONS}.weight_g": GAIN, f"{POSITIONS}.weight_v": DIRECTION}
"""Of weight normalisation, before PyTorch 2."""


def build(layout: Layout, seed: int | None = 0, weights: Path | None = None) -> tuple[bytes, str]:
    """The model file, and a line that says which weights it holds.

    Without ``weights``, SpeechNet has its trained ones; the others are drawn of ``seed``, or zeros
    where that is None, and recognise nothing: they are for size and time.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    if weights is not None or layout is SMALL:
        state, origin = load(layout, weights or TRAINED)
        if weights is None:
            origin = checkpoints.trained_on("made speech", SEED, TRAINED)
    elif seed is None:
        state, origin = _zeros(layout.shapes), BLANK
    else:
        state, origin = drawn(layout.shapes, seed), f"seeded (seed {seed})"
    return to_onnx(layout, folded(state), origin).SerializeToString(), origin


def load(layout: Layout, path: Path) -> tuple[dict[str, Floats], str]:
    """The state dict in a file, as FP32, and a line that says which file it is.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    state = {_plain(name): values for name, values in checkpoints.read(path).items()}
    for name in ("aux.weight", "aux.bias"):
        if name in state and len(state[name]) == len(LABELS) + len(UNUSED):
            state[name] = np.delete(state[name], UNUSED, axis=0)
    return checkpoints.exact(path, state, layout.shapes)


def folded(state: Mapping[str, Floats]) -> Weights:
    """The weights as the graph reads them: a convolution's gain and direction made its weight."""
    held = dict(state)
    gain, direction = held.pop(GAIN), held.pop(DIRECTION)
    length = np.sqrt(np.square(direction, dtype=np.float64).sum((0, 1), keepdims=True))
    held[f"{POSITIONS}.weight"] = (gain * direction / np.maximum(length, 1e-12)).astype(np.float32)
    return held


def drawn(shapes: Mapping[str, Shape], seed: int) -> dict[str, Floats]:
    """Weights of a seed, the same on every machine, whose activations neither grow nor fade."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return {name: _drawn(name, shape, rng) for name, shape in shapes.items()}


def _drawn(name: str, shape: Shape, rng: np.random.Generator) -> Floats:
    if len(shape) == 1 or name == GAIN:
        return np.full(shape, 0 if name.endswith("bias") else 1, np.float32)
    spread = (3 / math.prod(shape[1:])) ** 0.5  # uniform numbers of unit variance reach sqrt(3)
    levels = rng.integers(-128, 128, shape, np.int8)
    return (levels + np.float32(0.5)) * np.float32(spread / 128)


def _zeros(shapes: Mapping[str, Shape]) -> dict[str, Floats]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _plain(name: str) -> str:
    plain = name.removeprefix("module.").removeprefix("model.")
    return OLD_NAMES.get(plain, plain)
