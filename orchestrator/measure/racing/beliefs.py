"""What is believed of each cell's time: as a profile predicts it, corrected by what was measured.

log(measured / predicted) is a Gaussian process over the cells, as in kriging (Rasmussen and
Williams, Gaussian Processes for Machine Learning, 2006, 2.2):

    share of the nodes   * (error of the run at this pace + error of the split and codec at it)
  + share of the network * error of the link
  + noise of one cell

so that a cell teaches most of those with its split or its link, and something of every other. All
errors are scaled by how large they turn out to be.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z = 1.6449
"""Between this many standard deviations on either side lie 90 % of a normal distribution."""
NOISE = 0.03
"""Of a cell's median from one visit to the next, as a share."""
TRUSTED = 6.0
"""As many measured cells count as much as what was said of errors before."""


@dataclass(frozen=True)
class Errors:
    """Measured over predicted, from and to in 90 % of cases."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """As a logarithm."""
        return (math.log(self.low) + math.log(self.high)) / 2

    @property
    def sd(self) -> float:
        """Of the logarithm."""
        return (math.log(self.high) - math.log(self.low)) / 2 / Z


@dataclass(frozen=True)
class Prediction:
    """What a profile says of a cell: the nodes' time, the network's, and how wrong each may be.

    Cells of one `pace` share the half of the nodes' error, those of one `work` (split, codec and
    pace) the other half, too; those of one `link` share that of the network.
    """

    nodes_ms: float
    network_ms: float
    nodes: Errors
    network: Errors
    pace: Hashable
    work: Hashable
    link: Hashable

    @property
    def e2e_ms(self) -> float:
        """Not corrected."""
        return self.nodes_ms + self.network_ms


@dataclass(frozen=True)
class Belief:
    """A cell's time, the median of what may be, with its interval of 90 %."""

    ms: float
    low_ms: float
    high_ms: float

    @property
    def sd(self) -> float:
        """Of its logarithm."""
        return math.log(self.high_ms / self.low_ms) / 2 / Z

    def beats(self, ms: float) -> float:
        """How likely it takes less than `ms`."""
        return 0.5 * math.erfc(math.log(self.ms / ms) / self.sd / math.sqrt(2))


class Beliefs:
    """Of cells by their keys, all of which are predicted."""

    def __init__(self, predicted: Mapping[str, Prediction]) -> None:
        every = [*predicted.values()]
        self._places = {key: place for place, key in enumerate(predicted)}
        self._e2e_ms = np.array([one.e2e_ms for one in every])
        share = np.array([one.nodes_ms for one in every]) / self._e2e_ms
        nodes = share * [one.nodes.middle for one in every]
        self._middle = nodes + (1 - share) * [one.network.middle for one in every]
        self._covariance = _covariance(every, share)

    def given(self, measured: Mapping[str, float]) -> dict[str, Belief]:
        """Of every cell, once some have been measured: their times by their keys, in ms."""
        middle, variance = self._middle, np.diag(self._covariance)
        if measured:
            seen = [self._places[key] for key in measured]
            late = np.log([*measured.values()] / self._e2e_ms[seen]) - middle[seen]
            among = self._covariance[np.ix_(seen, seen)] + NOISE**2 * np.eye(len(seen))
            weights = np.linalg.solve(among, self._covariance[seen])
            middle = middle + late @ weights
            variance = variance - np.einsum("ij,ij->j", self._covariance[seen], weights)
            surprise = float(late @ np.linalg.solve(among, late))
            variance = variance * (TRUSTED + surprise) / (TRUSTED + len(seen))
        sd = np.sqrt(np.maximum(variance, 0.0) + NOISE**2)
        ms = self._e2e_ms * np.exp(middle)
        told = np.stack([ms, ms * np.exp(-Z * sd), ms * np.exp(Z * sd)], axis=1).tolist()
        return {key: Belief(*one) for key, one in zip(self._places, told, strict=True)}


def _covariance(every: Sequence[Prediction], share: Floats) -> Floats:
    nodes = share * [one.nodes.sd for one in every]
    network = (1 - share) * [one.network.sd for one in every]
    shared = (_same([one.pace for one in every]) + _same([one.work for one in every])) / 2
    on_link = _same([one.link for one in every])
    return np.asarray(np.outer(nodes, nodes) * shared + np.outer(network, network) * on_link)


def _same(values: Sequence[Hashable]) -> Floats:
    """1 where two of them are equal, else 0."""
    number = {value: place for place, value in enumerate(dict.fromkeys(values))}
    places = np.array([number[value] for value in values])
    return np.asarray(places[:, None] == places, np.float64)
