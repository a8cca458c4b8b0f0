"""Weights of a classifier from a torchvision state dict, of as many classes as that has."""

import re
from collections.abc import Sequence
from pathlib import Path

from splitbed.zoo import checkpoints
from splitbed.zoo.classifiers.networks import Row, learnt, network
from splitbed.zoo.layers import Weights

_CLASSIFIER = re.compile(r"classifier\.(\d+)\.weight")


def load(name: str, path: Path) -> tuple[Sequence[Row], Weights, str]:
    """The rows that fit the file, its weights with batch norm folded in, and what they are.

    The last layer has as many outputs as in the file.  VGG16 has any number of fully connected
    layers: those of torchvision, or the two of clause 10.6.4, whatever lies between them.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    held = checkpoints.read(path)
    state: checkpoints.State = {checkpoints.plain(key): values for key, values in held.items()}
    if name == "vgg16":
        state = _numbered(state)
    layers = sorted(key for key in state if key.startswith(("fc.", "classifier.")))
    outputs = [len(state[key]) for key in layers if state[key].ndim == 2]
    rows = tuple(network(name, outputs))
    return rows, *checkpoints.fitted(path, state, learnt(rows))


def _numbered(state: checkpoints.State) -> checkpoints.State:
    """Fully connected layers under the numbers 0, 1, …: ReLU and dropout take some, too."""
    found = sorted(int(match[1]) for match in map(_CLASSIFIER.fullmatch, state) if match)
    places = {f"classifier.{number}.": f"classifier.{at}." for at, number in enumerate(found)}
    return {_renamed(key, places): values for key, values in state.items()}


def _renamed(name: str, places: dict[str, str]) -> str:
    start = next((one for one in places if name.startswith(one)), "")
    return places.get(start, "") + name.removeprefix(start)
