"""A model run here, in this process: for what needs neither nodes nor a link."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.model import Known, SweptModel, load_model
from orchestrator.testbed.scratch import scratch
from splitbed.codecs.coder import joined
from splitbed.codecs.releases import Release, releases_of
from splitbed.graphs.parts import Part, extract
from splitbed.runtime.session import PartSession
from splitbed.tensors import Tensors, nbytes_of


@dataclass(frozen=True)
class LocalModel:
    """A model on disk and its inputs, all of them."""

    model: SweptModel
    inputs: tuple[ModelInput, ...]
    threads: int

    def session(self, part: Part) -> PartSession:
        """A session on one of its parts, whose file is not needed afterwards."""
        return self.model.session(part, self.threads)

    def whole(self) -> PartSession:
        """A session on all of it."""
        return self.session(extract(self.model.stored, 0)[1])


@dataclass(frozen=True)
class Crossed:
    """What crossed a cut, as it was encoded and as that was decoded, and what either took.

    Of a node's encoding, ``releases`` would be there while the first of it is on its way.
    """

    encoded: Tensors
    decoded: Tensors
    encode_ms: float
    decode_ms: float
    releases: tuple[Release, ...] = ()

    @property
    def nbytes(self) -> int:
        """What crosses a link."""
        return nbytes_of(self.encoded)


class Ends:
    """Both ends of a codec at a cut; frames go through them in their order.

    Each end waits for `pause_s` before it works. Raises UsageError for a codec that cannot code
    what crosses there.
    """

    def __init__(
        self, model: SweptModel, k: int, codec: str, known: Known, pause_s: float = 0.0
    ) -> None:
        self._pause_s = pause_s
        self._encoder, self._decoder = (model.coder(k, codec, known) for _ in range(2))

    def cross(self, tensors: Tensors) -> Crossed:
        """Encode and decode a frame; SplitbedError where that cannot be done."""
        made: list[tuple[int, int]] = []

        def in_pieces(tensors: Tensors) -> Tensors:
            pieces = []
            for piece in self._encoder.pieces(tensors):
                made.append((time.perf_counter_ns(), piece.data.nbytes))
                pieces.append(piece)
            return joined(pieces)

        encoder = self._encoder
        encoded, encode_ms = self._timed(
            in_pieces if encoder.in_pieces else encoder.encode, tensors
        )
        releases = releases_of([(ns - made[0][0], nbytes) for ns, nbytes in made])
        decoded, decode_ms = self._timed(self._decoder.decode, encoded)
        return Crossed(encoded, decoded, encode_ms, decode_ms, releases)

    def _timed(self, work: Callable[[Tensors], Tensors], given: Tensors) -> tuple[Tensors, float]:
        if self._pause_s:
            time.sleep(self._pause_s)
        start = time.perf_counter()
        made = work(given)
        return made, (time.perf_counter() - start) * 1e3


@contextmanager
def local_model(config: SweepConfig) -> Iterator[LocalModel]:
    """The model and the inputs that `config` asks for; UsageError for what cannot be read."""
    with scratch() as space:
        model = load_model(config, space.folder)
        yield LocalModel(model, (*model.inputs, *model.others), threads=config.ue_threads)


@contextmanager
def opened_once(config: SweepConfig) -> Iterator[Callable[[], LocalModel]]:
    """Gives what opens the model when it is first asked for, and the same one from then on."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(local_model(config)))
