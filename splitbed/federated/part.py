"""A UE's part in a round: it trains what came on its own samples, and codes the update."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from splitbed.errors import SplitbedError
from splitbed.federated.averaging import Answer, Gathered
from splitbed.federated.classifier import trained
from splitbed.federated.drawn import Samples
from splitbed.federated.travel import packed, unpacked


@dataclass(frozen=True)
class Training:
    """How a UE trains in a round, and the model coder of its update."""

    epochs: int
    rate: float
    seed: int
    coder: str


def part(ue: str, model: bytes, samples: Samples, how: Training) -> Gathered:
    """The UE's answer with its update, or with why there is none."""
    began_ns, start_s = time.time_ns(), time.perf_counter()
    try:
        state = unpacked(model)
        decoded_s = time.perf_counter()
        new = trained(state, samples, epochs=how.epochs, rate=how.rate, seed=how.seed)
        trained_s = time.perf_counter()
        update = packed({name: values - state[name] for name, values in new.items()}, how.coder)
        encoded_s = time.perf_counter()
    except SplitbedError as error:
        return Gathered((Answer(ue, missing=str(error)),))
    answer = Answer(
        ue,
        samples=len(samples.labels),
        began_ns=began_ns,
        ended_ns=time.time_ns(),
        decode_ms=(decoded_s - start_s) * 1e3,
        train_ms=(trained_s - decoded_s) * 1e3,
        encode_ms=(encoded_s - trained_s) * 1e3,
        update_bytes=len(update),
    )
    return Gathered((answer,), coded=update)


def reduced(parts: Iterable[Gathered]) -> Gathered:
    """All of them, here."""
    whole = Gathered()
    for one in parts:
        whole = whole.plus(one)
    return whole
