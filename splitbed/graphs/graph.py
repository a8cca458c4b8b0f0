"""The words of a graph: layers in topological order, and the cuts between them.

    tensor      a  b  c  d
    layer 0   ──●
      cut 1     │              crosses a
    layer 1     ├──●
      cut 2     │  │           crosses a and b: the residual branch is live too
    layer 2     └──●──●
      cut 3           │        crosses c

Cut ``k`` leaves the first ``k`` of the ``n`` layers in part 1.  What crosses it is the *liveness
frontier*: the tensors fed, or produced by the first ``k`` layers, that a later layer still reads;
the graph's outputs count as read at the very end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from splitbed.tensors import TensorInfo

Described = TensorInfo | str
"""A tensor that can cross a cut, or the reason why it cannot."""


@dataclass(frozen=True)
class Layer:
    """A node of the graph, or a few that count as one: what it reads and writes, and what it costs.

    Weights are among ``inputs``.  ``macs`` are multiply-accumulates of convolutions and matrix
    products; every other operator counts 0, and so does one whose shapes depend on the data.
    """

    index: int
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int


@dataclass(frozen=True)
class Cut:
    """The place after layer ``k - 1`` and before layer ``k``, named ``k:n-k``.

    ``ue_params`` and ``edge_params`` are elements of the weights that each side uses, in floating
    point or, in TFLite, quantised (integers with a scale), so those shared by both count on both.
    Where ``obstacle`` is not empty, some tensor of the frontier has no static shape or no datatype
    of the wire: it is missing in ``tensors``, and the graph cannot be cut here.
    """

    k: int
    name: str
    tensors: tuple[TensorInfo, ...]
    ue_params: int
    edge_params: int
    ue_macs: int
    edge_macs: int
    obstacle: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of intermediate data, dense and uncompressed."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @property
    def crossable(self) -> bool:
        """Whether the graph can be cut here."""
        return not self.obstacle


@dataclass(frozen=True)
class Graph:
    """A model as ``n`` layers and its ``n + 1`` cuts.

    A dimension of -1 in ``outputs`` is one that depends on the data.  ``format`` names the format
    of its files (:mod:`splitbed.graphs.formats`), ``model`` is what that format's module made of
    them.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[Layer, ...]
    cuts: tuple[Cut, ...]
    format: str
    model: Any = field(repr=False, compare=False)

    @property
    def n(self) -> int:
        """Number of layers."""
        return len(self.layers)


def find_cuts(
    layers: tuple[Layer, ...],
    inputs: Iterable[str],
    outputs: Iterable[str],
    tensors: Mapping[str, Described],
    params: Mapping[str, int],
) -> tuple[Cut, ...]:
    """Every cut of ``layers``, in one pass.

    ``tensors`` describes whatever may cross; ``params`` gives the elements of each weight.
    """
    n = len(layers)
    first_use: dict[str, int] = {}
    last_use: dict[str, int] = {}
    for layer in layers:
        for name in layer.inputs:
            first_use.setdefault(name, layer.index)
            last_use[name] = layer.index
    last_use.update(dict.fromkeys(outputs, n))
    begun, ended = [0] * (n + 1), [0] * (n + 1)
    for name, elements in params.items():
        if name in first_use:
            begun[first_use[name] + 1] += elements
            ended[last_use[name] + 1] += elements
    params_begun, params_ended = list(accumulate(begun)), list(accumulate(ended))
    macs = list(accumulate((layer.macs for layer in layers), initial=0))

    cuts = []
    live = {name: None for name in inputs if name in last_use}
    for k in range(n + 1):
        if k:
            live.update(dict.fromkeys(t for t in layers[k - 1].outputs if t in last_use))
            live = {name: None for name in live if last_use[name] >= k}
        frontier = {name: tensors[name] for name in live}
        cuts.append(
            Cut(
                k=k,
                name=f"{k}:{n - k}",
                tensors=tuple(t for t in frontier.values() if isinstance(t, TensorInfo)),
                ue_params=params_begun[k],
                edge_params=params_ended[n] - params_ended[k],
                ue_macs=macs[k],
                edge_macs=macs[n] - macs[k],
                obstacle="; ".join(t for t in frontier.values() if isinstance(t, str)),
            )
        )
    return tuple(cuts)
