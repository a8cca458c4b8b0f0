"""What part 2 is sensitive to: how far its outputs move with each channel of what crosses the cut.

One channel at a time is perturbed, at all places at once, up or down at random, by the same signs
for all channels; of the differences of the outputs, each over its standard deviation, the Gram
matrix is W. No gradients are needed, so that any runtime will do. White noise in W^1/2 times the
map is white noise in the outputs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from splitbed.codecs.calibration import folded, refuse_not_finite
from splitbed.codecs.stage import Array, Floats
from splitbed.errors import NodeError
from splitbed.tensors import Tensors

SHARE = 0.1
"""Of a map's standard deviation, that its channels are perturbed by."""
MOST_VALUES = 1 << 16
"""Of the outputs, that differences are taken of: of larger ones, so many drawn at random."""

MOST_KEPT = 1 << 26
"""Differences of all channels together, which are in memory at once."""

Run = Callable[[Tensors], Tensors]
Differences = npt.NDArray[np.float32]
Keep = Callable[[str, Callable[[], Floats]], Floats]


def runs_of(frames: Sequence[Tensors], axes: Mapping[str, int]) -> int:
    """How often part 2 will be run."""
    channels = sum(_channels(frames[0][name], axis) for name, axis in axes.items())
    return len(frames) * (1 + channels)


def sensitivity(
    run: Run,
    frames: Sequence[Tensors],
    axes: Mapping[str, int],
    ran: Callable[[], None] = lambda: None,
    keep: Keep = lambda _, measure: measure(),
) -> dict[str, Floats]:
    """W of each tensor of ``axes``, which says where its channels are, measured at ``frames``.

    FP32 of shape (channels, channels), symmetric, in squared standard deviations of the outputs for
    each squared unit of the map.  ``run`` is part 2; ``ran`` is called after each of its runs, of
    which there are :func:`runs_of`.  ``keep`` is given, under a name, what
    measures a tensor at a frame, and gives what that found, now or before.

    Raises:
        NodeError: part 2 cannot be run, has no output that is a number, or outputs of other sizes
            each time; or no output depends on a tensor.
    """
    for name in axes:
        for frame in frames:
            refuse_not_finite(frame[name])
    most = max(_channels(frames[0][name], axis) for name, axis in axes.items())
    outputs = _Outputs(run, frames, ran, min(MOST_VALUES, max(1, MOST_KEPT // most)))
    found: dict[str, Floats] = {}
    for name, axis in axes.items():
        step = _step([frame[name] for frame in frames])
        gram = np.zeros(2 * (_channels(frames[0][name], axis),))
        for place in range(len(frames)):
            measure = partial(_gram, outputs, frames, place, name, axis, step)
            gram += keep(f"{list(axes).index(name)}-{place}", measure)
        gram /= len(frames) * step**2
        if not np.isfinite(gram).all() or not gram.any():
            raise NodeError(f"no output of part 2 depends on {name}, as far as it can be measured")
        found[name] = gram.astype(np.float32)
    return found


def _gram(
    outputs: "_Outputs", frames: Sequence[Tensors], place: int, name: str, axis: int, step: float
) -> Floats:
    """The Gram matrix of the differences at one frame."""
    frame = frames[place]
    differences = np.empty((_channels(frame[name], axis), outputs.size), np.float32)
    for channel, moved in enumerate(_perturbed(frame[name], axis, step)):
        differences[channel] = outputs.moved(place, {**frame, name: moved})
    return differences @ differences.T


def _channels(array: Array, axis: int) -> int:
    return folded(array.shape, axis)[1]


def _step(arrays: Sequence[Array]) -> float:
    """What a map is perturbed by: of integers, a whole number."""
    step = SHARE * float(np.std(np.stack(arrays).astype(np.float64)))
    return max(round(step), 1) if arrays[0].dtype.kind in "iu" else step or 1.0


def _perturbed(array: Array, axis: int, step: float) -> Iterator[Array]:
    """The map with one channel after another perturbed."""
    before, channels, after = folded(array.shape, axis)
    signs = np.random.default_rng(0).choice([-step, step], (before, after))
    for channel in range(channels):
        moved = array.reshape(before, channels, after).copy()
        values = moved[:, channel] + signs
        if array.dtype.kind in "iu":
            limits = np.iinfo(array.dtype)
            values = values.clip(limits.min, limits.max)
        moved[:, channel] = values
        yield moved.reshape(array.shape)


class _Outputs:
    """Part 2's outputs at each frame, and how far they move."""

    def __init__(
        self, run: Run, frames: Sequence[Tensors], ran: Callable[[], None], most: int
    ) -> None:
        self._run, self._ran = run, ran
        still = [self._numbers(frame) for frame in frames]
        self._shapes = {name: array.shape for name, array in still[0].items()}
        if not self._shapes:
            raise NodeError("part 2 has no output that is a number, of which differences are taken")
        if any(self._shapes_of(one) != self._shapes for one in still):
            raise NodeError(_OTHER_SIZES)
        self._by = {name: _spread([one[name] for one in still]) for name in self._shapes}
        size = sum(map(int, (np.prod(shape) for shape in self._shapes.values())))
        self._taken = (
            np.sort(np.random.default_rng(0).choice(size, most, replace=False))
            if size > most
            else slice(None)
        )
        self._still = [self._vector(one) for one in still]
        self.size = len(self._still[0])
        """How many differences there are."""

    def moved(self, place: int, tensors: Tensors) -> Differences:
        """The difference to the outputs of the frame at that place."""
        outputs = self._numbers(tensors)
        if self._shapes_of(outputs) != self._shapes:
            raise NodeError(_OTHER_SIZES)
        return self._vector(outputs) - self._still[place]

    def _numbers(self, tensors: Tensors) -> dict[str, Array]:
        outputs = self._run(tensors)
        self._ran()
        return {name: array for name, array in outputs.items() if array.dtype.kind in "fiu"}

    @staticmethod
    def _shapes_of(outputs: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in outputs.items()}

    def _vector(self, outputs: Mapping[str, Array]) -> Differences:
        every = [
            np.nan_to_num(array.astype(np.float32).ravel()) * self._by[name]
            for name, array in outputs.items()
        ]
        taken: Differences = np.concatenate(every)[self._taken]
        return taken


_OTHER_SIZES = "part 2 gives outputs of other sizes each time, of which no differences are taken"


def _spread(outputs: Sequence[Array]) -> float:
    """One over their standard deviation; 0 where they never vary."""
    deviation = float(np.std(np.stack(outputs).astype(np.float64)))
    return 1 / deviation if np.isfinite(deviation) and deviation > 0 else 0.0
