"""The inputs of a node that has the source, and what preprocessing makes of each."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np

from splitbed.errors import NodeError
from splitbed.media.pictures import random_inputs
from splitbed.media.preprocessing import preprocess
from splitbed.media.recipes import Recipe
from splitbed.node.config import Limits
from splitbed.tensor_files import TensorFiles
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1 import nodes_pb2
from splitbed.wire import infos_of, recipe_of, sound_of, text_of

MAX_INPUTS = 100_000
_FILE = "file"


class Source:
    """Keeps inputs as they came, under `folder`; frames are preprocessed anew, each as it is.

    Within `limits`, whatever is made of an input.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._given = TensorFiles(folder, limits.check_kept)
        self._most_bytes = limits.tensor_bytes
        self._turn = Lock()
        """One is made at a time, which takes memory beside what comes of it; or all forgotten."""
        self._prepare: list[Callable[[Tensors], Tensors]] = []

    def add(self, given: nodes_pb2.Input) -> tuple[int, Tensors]:
        """Keep an input: its number, and what preprocessing makes of it.

        Raises NodeError for one too many or too large, UsageError for one that cannot be
        preprocessed.
        """
        infos = infos_of(given.tensors, open_sizes=False, most_bytes=self._most_bytes)
        with self._turn:
            if (number := len(self._prepare)) >= MAX_INPUTS:
                raise NodeError(f"refused another input: {MAX_INPUTS} are here already")
            kept, prepare = _read(given, infos, self._most_bytes)
            tensors = prepare(kept)
            self._given.put(number, kept)
            self._prepare.append(prepare)
        return number, tensors

    def tensors(self, number: int) -> Tensors:
        """What preprocessing makes of that input; NodeError where there is none."""
        try:
            prepare, given = self._prepare[number], self._given[number]
        except LookupError:  # never added, or forgotten since
            added = len(self._prepare)
            raise NodeError(f"there is no input {number}: {added} were added") from None
        return prepare(given)

    def clear(self) -> None:
        """Forget them all."""
        with self._turn:
            self._prepare.clear()
            self._given.clear()


def _read(
    given: nodes_pb2.Input, infos: tuple[TensorInfo, ...], most_bytes: int
) -> tuple[Tensors, Callable[[Tensors], Tensors]]:
    """What is kept of an input, and how a frame is made of it."""
    if given.WhichOneof("source") == "random":
        return random_inputs(infos, given.random.seed), lambda made_up: made_up
    called = given.name
    recipe: Recipe
    match given.WhichOneof("source"):
        case "sound":
            data, recipe = given.sound.data, sound_of(given.sound, most_bytes)
        case "text":
            data, recipe = given.text.data, text_of(given.text, infos)
        case _:
            data, recipe = given.picture.data, recipe_of(given.picture.recipe, most_bytes)
    return (
        {_FILE: np.frombuffer(data, np.uint8)},
        lambda kept: preprocess(kept[_FILE].tobytes(), recipe, infos, called, most_bytes),
    )
