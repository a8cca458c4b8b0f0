"""A part to profile, what that gives, and what layers alone say of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbed.runtime.provider import OWN, Provider
from splitbed.tensors import TensorInfo


@dataclass(frozen=True)
class ProfiledPart:
    """A model file to profile, and the tensors that go in and come out."""

    path: Path
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    runtime: str
    provider: Provider = OWN


@dataclass(frozen=True)
class PartProfile:
    """What it took to open and to run a part.

    ``first_ms`` is the very first run.  Of those after the warm-up, ``steady_ms`` is the median in
    the quietest round, since what slows another round is not the part, and ``min_ms`` the fastest.
    ``paced_ms`` is the median of runs after a pause of 50 ms, as a node's are that waits for the
    network: caches are cold then, and processors asleep.  It and memory are None for a part that
    was not the first in its process.

    Memory is what the process grew by: resident once the file was open, and at the peak of the
    runs; a later part has memory to use that the first one freed.

    ``waited_share`` is what threads waited for a processor, all together, over the time of the runs
    by turns that count; None of other runs, and where the kernel does not tell.
    """

    init_ms: float
    first_ms: float
    steady_ms: float
    min_ms: float
    paced_ms: float | None
    init_memory_bytes: int | None
    overall_memory_bytes: int | None
    waited_share: float | None = None


def layer_times(whole: PartProfile, layers: Sequence[PartProfile]) -> list[float]:
    """Milliseconds that each layer takes in the whole model; they add up to its ``steady_ms``.

    A layer alone pays for a call, and for a boundary that its neighbours would share with it.
    What the layers' fastest runs together take more than the whole's is taken off each alike, and
    the rest is scaled.
    """
    alone = [layer.min_ms for layer in layers]
    call_ms = max(sum(alone) - whole.min_ms, 0) / len(alone)
    inside = [max(layer_ms - call_ms, 0.0) for layer_ms in alone]
    return [layer_ms * whole.steady_ms / sum(inside) for layer_ms in inside]
