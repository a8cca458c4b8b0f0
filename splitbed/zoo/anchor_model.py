"""What an anchor model is; saying so imports neither onnx nor numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from splitbed.media.recipes import PictureRecipe, Recipe, SoundRecipe, TokenRecipe

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """Which of the files of an anchor model is meant: its weights seeded, or a checkpoint's.

    Without a ``seed`` what would be drawn is zeros, which is quick and has the same layers.
    """

    format: str
    seed: int | None = 0
    weights: Path | None = None
    width: float = 1.0


@dataclass(frozen=True)
class AnchorModel:
    """A model of the 3GPP document, with what is needed to cut, feed and read it."""

    name: str
    title: str
    source: str
    """Clause of the document and the public code that the model follows."""
    build: Callable[[Variant], tuple[bytes, str]]
    """The file of a variant, and a line that says which weights are in it."""
    formats: tuple[str, ...]
    """Of the files that ``build`` can make, the usual one first."""
    named_splits: Mapping[str, str]
    """Label of a split point in the clause's table -> ``NODE:before``."""
    picture: PictureRecipe | None
    """How a picture becomes its input; None where it takes none."""
    task: str
    """Key of :data:`splitbed.tasks.TASKS`."""
    parameters: int
    """As the clause counts them: what training learns, before batch norm is folded."""
    dataset: str | None = None
    """What it is fed where nothing is given; None is the default picture."""
    widths: tuple[float, ...] = (1.0,)
    """Multipliers of the channels that the model comes in; the clause's is 1."""
    shape: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """What its inputs measure without ``--shape``, where its file leaves sizes open."""
    sound: SoundRecipe | None = None
    """How a sound becomes its input; None where it takes none."""
    tokens: TokenRecipe | None = None
    """How a text becomes its input; None where it takes none."""
    most_tokens: int = 0
    """That its input may have, where it takes a text."""
    any_outputs: bool = False
    """Whether a checkpoint may have other outputs than the clause's, and so other parameters."""
    reads_graphs: bool = False
    """Whether ``build`` takes weights out of model files, which else are the whole model."""

    @property
    def recipe(self) -> Recipe | None:
        """What preprocessing does for it."""
        return self.tokens or self.sound or self.picture
