"""Pruning: the weights, or the output channels, of least magnitude become zero.

It is done to whole tensors, before their blocks are coded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from splitbed.codecs.stage import Array, Setting, Stage, StageKind, Unchanged, UsualKind
from splitbed.errors import NodeError, UsageError
from splitbed.model_coders.integers import axis_of
from splitbed.model_data.file import ModelFile
from splitbed.tensors import TensorInfo


@runtime_checkable
class Preparing(Protocol):
    """A kind of stage that makes another model of the whole, and leaves its blocks alone."""

    def prepared(self, model: ModelFile, parameter: int | None) -> ModelFile:
        """The model to code in place of ``model``; NodeError for content that cannot be."""


@dataclass(frozen=True)
class _Kind(UsualKind):
    prune: Callable[[Array, int], Array]
    summary: str

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        del setting
        if parameter is None or not 0 <= parameter < 100:
            raise UsageError(f"it takes a percent from 0 to 99, such as prune:30, not {parameter}")
        return Unchanged(info)

    def prepared(self, model: ModelFile, parameter: int | None) -> ModelFile:
        assert parameter is not None
        return model.replaced(
            {name: self._pruned(name, array, parameter) for name, array in model.state.items()}
        )

    def _pruned(self, name: str, array: Array, percent: int) -> Array:
        if array.ndim < 2 or array.dtype.kind != "f" or not array.size:
            return array
        if np.isnan(array.max()):
            raise NodeError(f"cannot prune {name}: some of its values are NaN, of no magnitude")
        return self.prune(array, percent)


def _weights(array: Array, percent: int) -> Array:
    magnitude = np.abs(array)
    return np.where(_more(magnitude, percent), array, array.dtype.type(0))


def _channels(array: Array, percent: int) -> Array:
    """By the sum of a channel's squares."""
    axis = axis_of(array.shape)
    others = tuple(place for place in range(array.ndim) if place != axis)
    energy = np.square(array, dtype=np.float64).sum(axis=others, keepdims=True)
    return np.where(_more(energy, percent), array, array.dtype.type(0))


def _more(magnitude: Array, percent: int) -> Array:
    """Where it is none of the least so many percent."""
    if not (least := magnitude.size * percent // 100):
        return np.ones_like(magnitude, bool)
    last = np.partition(magnitude, least - 1, axis=None)[least - 1]
    more: Array = magnitude > last
    return more


KINDS: dict[str, StageKind] = {
    "prune": _Kind(_weights, "the given percent of a weight, the least in magnitude, made zero"),
    "prune-channels": _Kind(_channels, "the given percent of a weight's output channels, the same"),
}
