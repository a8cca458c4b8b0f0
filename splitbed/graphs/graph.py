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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import accumulate
from operator import itemgetter

from splitbed.errors import UsageError
from splitbed.tensors import MAX_TENSORS_BYTES, TensorInfo

_MOST_DRAWING = 5

Described = TensorInfo | str
"""A tensor that can cross a cut, or the reason why it cannot."""


@dataclass(frozen=True)
class Layer:
    """A node of the graph, or a few that count as one: what it reads and writes, and what it costs.

    Weights are among ``inputs``.  ``macs`` are multiply-accumulates of convolutions and matrix
    products; every other operator counts 0, and so does one whose shapes depend on the data.
    ``joined`` names the nodes behind its first one, where it has several.
    """

    index: int
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int
    joined: tuple[str, ...] = ()


@dataclass(frozen=True)
class Liveness:
    """What is live at each cut, kept so that a cut costs no more than what crosses it.

    A segment tree: cut ``k`` of ``m`` is the leaf ``m + k``, node ``i // 2`` the parent of ``i``,
    and a tensor is kept, with its rank, at the fewest nodes whose leaves are the cuts that it
    crosses.  To list every frontier instead would take the square of the layers in a graph where
    much stays live.
    """

    nodes: tuple[list[tuple[int, Described]], ...]

    @classmethod
    def of(cls, cuts: int) -> "Liveness":
        """Nothing live at any of so many cuts."""
        return cls(tuple([] for _ in range(2 * cuts)))

    def add(self, rank: int, tensor: Described, first: int, last: int) -> None:
        """``tensor`` crosses the cuts ``first`` to ``last``; ranks rise from one to the next."""
        low, high = (cut + len(self.nodes) // 2 for cut in (first, last + 1))
        while low < high:
            if low % 2:
                self.nodes[low].append((rank, tensor))
                low += 1
            if high % 2:
                high -= 1
                self.nodes[high].append((rank, tensor))
            low, high = low // 2, high // 2

    def at(self, k: int) -> Iterator[Described]:
        """What crosses cut ``k``, by rank; what is not taken costs nothing."""
        above = []
        node = k + len(self.nodes) // 2
        while node:
            above.append(self.nodes[node])
            node //= 2
        return map(itemgetter(1), merge(*filter(None, above), key=itemgetter(0)))


@dataclass(frozen=True)
class Cut:
    """The place after layer ``k - 1`` and before layer ``k``, named ``k:n-k``.

    ``ue_params`` and ``edge_params`` are elements of the weights that each side uses, in floating
    point or, in TFLite, quantised (integers with a scale), so those shared by both count on both.
    Across go ``count`` tensors, which are ``nbytes`` bytes of intermediate data, dense and
    uncompressed.  The ``stuck`` ones of the frontier, with no static shape or no datatype of the
    wire, are not among them: where there are any, the graph cannot be cut.
    """

    k: int
    name: str
    live: Liveness = field(repr=False, hash=False)
    ue_params: int
    edge_params: int
    ue_macs: int
    edge_macs: int
    count: int
    nbytes: int
    stuck: int

    @property
    def crossable(self) -> bool:
        """Whether the graph can be cut here."""
        return not self.stuck

    @property
    def crossing(self) -> Iterator[Described]:
        """The frontier, the graph's inputs first, then in the order of the layers."""
        return self.live.at(self.k)

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """The tensors that cross, in the order of ``crossing``; made anew at each call."""
        return tuple(tensor for tensor in self.crossing if isinstance(tensor, TensorInfo))

    @property
    def obstacle(self) -> str:
        """Why the graph cannot be cut here; empty where it can."""
        return "; ".join(reason for reason in self.crossing if isinstance(reason, str))


@dataclass(frozen=True)
class Graph:
    """A model as ``n`` layers and its ``n + 1`` cuts.

    A dimension of -1 in ``outputs`` is one that depends on the data.  ``format`` names the format
    of its files (:mod:`splitbed.graphs.formats`), ``model`` is what that format's module made of
    them.  ``conversion`` says what of the file was converted, ``drawing`` names the nodes that draw
    random numbers.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[Layer, ...]
    cuts: tuple[Cut, ...]
    format: str
    model: object = field(repr=False, compare=False)
    conversion: str = field(default="", compare=False)
    drawing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise UsageError for inputs or outputs that no frame could have."""
        for does, tensors in (("takes", self.inputs), ("gives", self.outputs)):
            if (total := sum(abs(one.nbytes) for one in tensors)) > MAX_TENSORS_BYTES:
                largest = max(tensors, key=lambda one: abs(one.nbytes))
                raise UsageError(
                    f"the model {does} {total} bytes, most of them as {largest.name} "
                    f"{list(largest.shape)}: a frame has {MAX_TENSORS_BYTES} at most"
                )

    @property
    def n(self) -> int:
        """Number of layers."""
        return len(self.layers)

    def layers_for(self, outputs: Sequence[int] = ()) -> frozenset[int]:
        """The layers that these outputs need, by their places among all; none told are all."""
        needed = {self.outputs[place].name for place in outputs or range(len(self.outputs))}
        found = set()
        for index in reversed(range(self.n)):
            if not needed.isdisjoint(self.layers[index].outputs):
                found.add(index)
                needed.update(self.layers[index].inputs)
        return frozenset(found)


def why_runs_differ(drawing: Sequence[str]) -> str:
    """What nodes that draw random numbers mean for a comparison; empty where there are none."""
    if not drawing:
        return ""
    names = ", ".join(map(repr, drawing[:_MOST_DRAWING]))
    more = f" and {rest} more" if (rest := len(drawing) - _MOST_DRAWING) > 0 else ""
    return f"random numbers are drawn by {names}{more}, so that no two runs give the same"


def find_cuts(
    layers: tuple[Layer, ...],
    inputs: Iterable[str],
    outputs: Iterable[str],
    tensors: Mapping[str, Described],
    params: Mapping[str, int],
) -> tuple[Cut, ...]:
    """Every cut of ``layers``, in time that grows with the layers and not with what crosses.

    ``tensors`` describes whatever may cross; ``params`` gives the elements of each weight.
    """
    n = len(layers)
    first_use: dict[str, int] = {}
    last_use: dict[str, int] = {}
    made = dict.fromkeys(inputs, 0)  # the first cut that a tensor may cross
    for layer in layers:
        for name in layer.inputs:
            first_use.setdefault(name, layer.index)
            last_use[name] = layer.index
        for name in layer.outputs:
            made.setdefault(name, layer.index + 1)
    last_use.update(dict.fromkeys(outputs, n))
    held = [(params[name], first_use[name], last_use[name]) for name in params if name in first_use]
    crossing = [(tensors[name], made[name], last_use[name]) for name in made if name in last_use]
    live = Liveness.of(n + 1)
    for rank, (tensor, first, last) in enumerate(crossing):
        live.add(rank, tensor, first, last)
    moved = [(t.nbytes, first, last) for t, first, last in crossing if isinstance(t, TensorInfo)]
    sums = (
        _sums(n, ((elements, first + 1, n) for elements, first, _ in held)),
        _sums(n, ((elements, 0, last) for elements, _, last in held)),
        _sums(n, ((layer.macs, layer.index + 1, n) for layer in layers)),
        _sums(n, ((layer.macs, 0, layer.index) for layer in layers)),
        _sums(n, ((1, first, last) for _, first, last in moved)),
        _sums(n, moved),
        _sums(n, ((1, first, last) for t, first, last in crossing if isinstance(t, str))),
    )
    each = enumerate(zip(*sums, strict=True))
    return tuple(Cut(k, f"{k}:{n - k}", live, *counts) for k, counts in each)


def _sums(n: int, amounts: Iterable[tuple[int, int, int]]) -> Iterable[int]:
    """At each cut 0 to ``n`` the sum of the amounts that count from one cut to another."""
    steps = [0] * (n + 2)
    for amount, first, last in amounts:
        steps[first] += amount
        steps[last + 1] -= amount
    return accumulate(steps[:-1])
