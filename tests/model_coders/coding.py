"""A small model, and what comes of it at the other end."""

from collections.abc import Iterable

import numpy as np

from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import Decoder
from splitbed.model_coders.encoder import encode
from splitbed.model_data import ModelFile, State, model_of


def weights(*shape: int, seed: int = 1) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, 0.02, shape)
    return drawn.astype(np.float32)


STATE: State = {
    "conv.weight": weights(8, 3, 5, 5),
    "conv.bias": weights(8),
    "depthwise": weights(1, 3, 3, 16),
    "half": weights(6, 7).astype(np.float16),
    "index": np.arange(6).reshape(2, 3),
    "empty": np.zeros((0, 4), np.float32),
    "one": np.array(2.5, np.float32),
}


def coded(coder: str, state: State = STATE, base: str = "") -> bytes:
    return b"".join(encode(model_of(state), coder_named(coder), base=base))


def decoded(chunks: Iterable[bytes]) -> ModelFile:
    decoder = Decoder()
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.finish()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[first : first + size] for first in range(0, len(data), size)]
