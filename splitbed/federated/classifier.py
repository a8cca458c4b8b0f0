"""A small classifier, in numpy: 400 pixels, a hidden layer behind a ReLU, six classes.

Its state is named as that of torch's would be; it is trained by plain gradient descent on the
cross-entropy, in FP32.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from splitbed.federated.drawn import SIDE, Samples
from splitbed.tasks.classes import SHAPES

Floats = npt.NDArray[np.float32]
State = Mapping[str, Floats]

FIRST, SECOND = "hidden", "classes"
BATCH = 32
_GREY = np.float32(128)


def fresh(hidden: int, seed: int) -> dict[str, Floats]:
    """The state before any training (He et al., 2015)."""
    rng = np.random.default_rng(seed)
    sizes = {FIRST: (hidden, SIDE * SIDE), SECOND: (len(SHAPES), hidden)}
    state: dict[str, Floats] = {}
    for name, shape in sizes.items():
        spread = np.sqrt(2 / shape[1])
        state[f"{name}.weight"] = (spread * rng.standard_normal(shape)).astype(np.float32)
        state[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    return state


def trained(state: State, samples: Samples, *, epochs: int, rate: float, seed: int) -> State:
    """The state after so many epochs over the samples, in batches of 32 in an order of ``seed``."""
    rng = np.random.default_rng(seed)
    new = {name: np.array(values) for name, values in state.items()}
    pixels, labels = _pixels(samples), samples.labels
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            for name, slope in _slopes(new, pixels[batch], labels[batch]).items():
                new[name] -= np.float32(rate) * slope
    return new


def accuracy(state: State, samples: Samples) -> float:
    """Of the samples, the share whose class it names."""
    _, scores = _forward(state, _pixels(samples))
    return float((scores.argmax(axis=1) == samples.labels).mean())


def _pixels(samples: Samples) -> Floats:
    """-1 to 1, each picture's mean taken away: how light it is says nothing of its class."""
    flat = samples.pictures.reshape(len(samples.labels), -1).astype(np.float32)
    centred: Floats = (flat - flat.mean(axis=1, keepdims=True)) / _GREY
    return centred


def _forward(state: State, pixels: Floats) -> tuple[Floats, Floats]:
    hidden: Floats = pixels @ state[f"{FIRST}.weight"].T + state[f"{FIRST}.bias"]
    np.maximum(hidden, 0, out=hidden)
    scores: Floats = hidden @ state[f"{SECOND}.weight"].T + state[f"{SECOND}.bias"]
    return hidden, scores


def _slopes(state: State, pixels: Floats, labels: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Of the mean cross-entropy of a batch."""
    hidden, scores = _forward(state, pixels)
    scores -= scores.max(axis=1, keepdims=True)
    wrong = np.exp(scores)
    wrong /= wrong.sum(axis=1, keepdims=True)
    wrong[np.arange(len(labels)), labels] -= 1
    wrong /= np.float32(len(labels))
    back = (wrong @ state[f"{SECOND}.weight"]) * (hidden > 0)
    return {
        f"{SECOND}.weight": wrong.T @ hidden,
        f"{SECOND}.bias": wrong.sum(axis=0),
        f"{FIRST}.weight": back.T @ pixels,
        f"{FIRST}.bias": back.sum(axis=0),
    }
