"""A session that runs a part on several frames together, their tensors one after another.

frames ── on the first axis, one after another ──> the part, once ── taken apart again ──> of each
"""

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from splitbed.errors import NodeError, UsageError
from splitbed.media.pictures import random_inputs
from splitbed.runtime import runtime_on
from splitbed.runtime.session import PartSession
from splitbed.tensors import TensorInfo, Tensors

TOLERANCE = 1e-5
"""How far a part may be off together from what it gives alone, of the largest value there is."""


class BatchSession:
    """What ``alone`` runs on a frame, run on several at once, of the same file.

    Raises UsageError where the runtime cannot open the first axis of what goes in.
    """

    def __init__(self, alone: PartSession, file: Path, runtime: str) -> None:
        self._alone = alone
        if (load := runtime_on(runtime, alone.provider).load_batch) is None:
            raise UsageError(f"the runtime {runtime} runs frames one at a time")
        self._runner = load()(file, alone.threads)

    def run(self, frames: Sequence[Tensors]) -> list[Tensors]:
        """The outputs for each of ``frames``; raises NodeError as of one."""
        alone = self._alone
        for tensors in frames:
            alone.check(tensors)
        fed = {name: np.concatenate([one[name] for one in frames]) for name in self._runner.inputs}
        made = self._runner.run(fed, [info.name for info in alone.made])
        apart = {info.name: _apart(info, made[info.name], len(frames)) for info in alone.made}
        return [
            alone.in_order({name: each[place] for name, each in apart.items()}, tensors)
            for place, tensors in enumerate(frames)
        ]

    def prove(self, most: int) -> float:
        """Run two made-up frames together, and as often as ``most``: how far is each from alone.

        That is the largest difference, of the largest value. Raises UsageError where it is over
        TOLERANCE, and for a part that has no room for frames on its first axes.
        """
        infos = [info.least for info in self._alone.inputs]
        both = [random_inputs(infos, seed) for seed in range(2)]
        alone, worst = [self._alone.run(one) for one in both], 0.0
        for count in sorted({2, most}):
            try:
                together = self.run(list(islice(cycle(both), count)))
            except NodeError as error:
                raise UsageError(str(error)) from None
            for one, other in zip(cycle(alone), together, strict=False):
                worst = max([worst, *(_off(one[name], other[name], name) for name in one)])
        return worst


def most_together(alone: PartSession, most_bytes: int) -> int:
    """On how many frames at once it may be run, so that neither end takes more."""
    ends = alone.inputs, alone.made
    return most_bytes // max(1, *(sum(abs(info.nbytes) for info in infos) for infos in ends))


def _apart(
    info: TensorInfo, made: npt.NDArray[np.generic], count: int
) -> list[npt.NDArray[np.generic]]:
    """What is each frame's of an output; NodeError where that cannot be told."""
    what = f"its output {info.name!r} of {count} frames together"
    if not info.shape or info.shape[0] < 1:
        raise NodeError(f"{what} has no first axis of a known size")
    if not made.ndim or made.shape[0] != count * info.shape[0]:
        sizes = "x".join(map(str, made.shape))
        raise NodeError(
            f"{what} is {sizes}, not {count} times {info.shape[0]} on its first axis: an operator "
            "fixes that, such as a Reshape to a constant batch"
        )
    return np.split(made, count)


def _off(alone: npt.NDArray[np.generic], together: npt.NDArray[np.generic], name: str) -> float:
    """How far a frame's output is from what it is alone; UsageError over TOLERANCE."""
    if np.array_equal(alone, together, equal_nan=alone.dtype.kind == "f"):
        return 0.0
    off = np.inf
    if alone.shape == together.shape and alone.dtype.kind == "f":
        one, other = alone.astype(np.float64), together.astype(np.float64)
        off = float(np.abs(one - other).max() / np.abs(one).max())
    if not off <= TOLERANCE:
        raise UsageError(
            f"its output {name!r} of a frame among others is off by {off:.2g} of the largest value "
            "from what it is alone: an operator mixes them, or fixes the batch"
        )
    return off
