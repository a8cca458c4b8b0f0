"""The inputs of a node that has the source, and what preprocessing makes of each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from splitbed.errors import NodeError, UsageError
from splitbed.media.pictures import random_inputs
from splitbed.media.preprocessing import preprocess
from splitbed.media.recipes import Recipe
from splitbed.tensor_files import TensorFiles
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1 import nodes_pb2
from splitbed.wire import infos_of, recipe_of, sound_of

MAX_INPUTS = 100_000
_FILE = "file"


class Source:
    """Keeps inputs as they came, under `folder`; frames are preprocessed anew, each as it is."""

    def __init__(self, folder: Path) -> None:
        self._given = TensorFiles(folder)
        self._prepare: list[Callable[[Tensors], Tensors]] = []

    def add(self, given: nodes_pb2.Input) -> tuple[int, Tensors]:
        """Keep an input: its number, and what preprocessing makes of it.

        Raises NodeError for one too many, UsageError for one that cannot be preprocessed.
        """
        if (number := len(self._prepare)) >= MAX_INPUTS:
            raise NodeError(f"refused another input: {MAX_INPUTS} are here already")
        kept, prepare = _read(given, infos_of(given.tensors, open_sizes=False))
        tensors = prepare(kept)
        self._given.put(number, kept)
        self._prepare.append(prepare)
        return number, tensors

    def tensors(self, number: int) -> Tensors:
        """What preprocessing makes of that input; NodeError where there is none."""
        if number >= len(self._prepare):
            raise NodeError(f"there is no input {number}: {len(self._prepare)} were added")
        return self._prepare[number](self._given[number])

    def clear(self) -> None:
        """Forget them all."""
        self._prepare.clear()
        self._given.clear()


def _read(
    given: nodes_pb2.Input, infos: tuple[TensorInfo, ...]
) -> tuple[Tensors, Callable[[Tensors], Tensors]]:
    """What is kept of an input, and how a frame is made of it."""
    if given.WhichOneof("source") == "random":
        return random_inputs(infos, given.random.seed), lambda made_up: made_up
    if len(infos) != 1:
        raise UsageError(f"a picture or sound is one input, the model takes {len(infos)}")
    name, called = infos[0].name, given.name
    recipe: Recipe
    if given.WhichOneof("source") == "sound":
        data, recipe = given.sound.data, sound_of(given.sound)
    else:
        data, recipe = given.picture.data, recipe_of(given.picture.recipe)
    return (
        {_FILE: np.frombuffer(data, np.uint8)},
        lambda kept: {name: preprocess(kept[_FILE].tobytes(), recipe, called)},
    )
