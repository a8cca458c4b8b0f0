"""Layers as rows of data: what the graph, the weights and the checkpoints agree on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, tuple[Floats, Floats]]
"""Module of a layer -> (weight OxIxKxK or OxI, bias O), batch norm folded in."""
Shape = tuple[int, ...]
BLANK = "zeros"
"""Where the weights come from that :func:`blank` gives."""


@dataclass(frozen=True)
class Conv:
    """One convolution, with the sum and the ReLU that may follow it.

    ``source`` and ``adds`` are names of the ONNX nodes (or of the model's input) whose output is
    read; the row's own output is that of :attr:`last`.
    """

    module: str
    """Where a PyTorch state dict keeps its weight."""
    node: str
    source: str
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    pad: int = 0
    norm: str | None = None
    """Module of the batch norm after it; None if the convolution has a bias of its own."""
    adds: str | None = None
    add: str | None = None
    relu: str | None = None
    capped: bool = False
    """Whether the ReLU ends at 6, as MobileNet's do."""
    groups: int = 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the weight."""
        return (self.outputs, self.inputs // self.groups, self.kernel, self.kernel)

    @property
    def last(self) -> str:
        """The last node of the row."""
        return self.relu or self.add or self.node


@dataclass(frozen=True)
class Linear:
    """A fully connected layer, with the ReLU that may follow it; it has a bias."""

    module: str
    node: str
    source: str
    inputs: int
    outputs: int
    relu: str | None = None
    norm: None = None

    @property
    def shape(self) -> Shape:
        """Shape of the weight."""
        return (self.outputs, self.inputs)

    @property
    def last(self) -> str:
        """The last node of the row."""
        return self.relu or self.node


@dataclass(frozen=True)
class Weightless:
    """A node that learns nothing, such as a MaxPool or a Resize."""

    op: str
    node: str
    source: str

    @property
    def last(self) -> str:
        """The node itself."""
        return self.node


Learnt = Conv | Linear


def blank(shapes: Iterable[tuple[str, Shape]]) -> Weights:
    """Zeros for each module, for whom only the layers matter: drawing weights takes seconds."""
    return {
        module: (np.zeros(shape, np.float32), np.zeros(shape[0], np.float32))
        for module, shape in shapes
    }
