"""What coders of model data cost on one core, how far their bytes are from the entropy of the
levels that they send, and how much memory a decoder takes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import Decoder, Reader
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.increments import at, encoded
from splitbed.model_coders.integers import Levels, quantised
from splitbed.model_coders.worker import DecodingWorker
from splitbed.model_data import ModelFile, read_model, write_model
from splitbed.model_data.file import Array
from splitbed.zoo import Variant, anchor_model
from tests.bench.figure import Bar, Figure, median

_ROUNDS = 5
_BITS = {
    "int8+zstd": 8,
    "int4+zstd": 4,
    "int16+zstd": 16,
    "prune:30+int8+zstd": 8,
    "prune:80+int8+sparse+zstd": 8,
}
_CODERS = ("dummy", "fp16", "bf16", "shuffle+zstd", *_BITS)


def figures(folder: Path) -> Iterator[Figure]:
    """Of SSD300, all weights together."""
    file = folder / "ssd300.onnx"
    file.write_bytes(anchor_model("ssd300").build(Variant("onnx"))[0])
    model = read_model(file)
    for coder in _CODERS:
        yield from _speeds(model, coder)
    for coder, bits in _BITS.items():
        sent, decoder = 0, Decoder()
        for piece in encode(model, coder_named(coder)):
            sent += len(piece)
            decoder.feed(piece)
        least = sum(_least_bytes(array, bits) for array in decoder.finish().state.values())
        yield Figure(f"{coder}: bytes / entropy", sent / least, bar=Bar(most=1.1))
    with DecodingWorker(folder / "idle.onnx") as worker:
        for chunk in encode(model, coder_named("int8+zstd")):
            worker.feed(chunk)
        peak = worker.finish().peak_bytes
    yield Figure(
        "int8+zstd: the worker's memory / the model", peak / model.nbytes, bar=Bar(most=1.3)
    )
    write_model(at(model, 8, 8), file)
    with DecodingWorker(folder / "fine.onnx", update_of=file) as worker:
        for chunk in encoded(model, "update:8:16"):
            worker.feed(chunk)
        peak = worker.finish().peak_bytes
    yield Figure(
        "update:8:16: the worker's memory / the model", peak / model.nbytes, bar=Bar(most=1.3)
    )


def _speeds(model: ModelFile, name: str) -> Iterator[Figure]:
    coder, megabytes = coder_named(name), model.nbytes / 1e6
    encoding, decoding = list[float](), list[float]()
    for _ in range(_ROUNDS):
        pieces: list[bytes] = []
        encoding.append(_cpu_s(lambda: pieces.extend(encode(model, coder))))  # noqa: B023
        decoding.append(_cpu_s(lambda: _decode(pieces)))  # noqa: B023
    yield median(f"{name}: encode", "MB/s", [megabytes / s for s in encoding], Bar(least=200))
    yield median(f"{name}: decode", "MB/s", [megabytes / s for s in decoding], Bar(least=200))


def _decode(pieces: list[bytes]) -> None:
    reader = Reader()
    for piece in pieces:
        for _ in reader.feed(piece):
            pass
    reader.finish()


def _cpu_s(turn: Callable[[], object]) -> float:
    start = time.thread_time()
    turn()
    return time.thread_time() - start


def _least_bytes(array: Array, bits: int) -> float:
    """Of order 0: of a weight's levels, all channels together; of the rest, as it is."""
    if array.ndim < 2 or array.dtype.kind != "f":
        return array.nbytes
    levels: Levels = quantised(array, bits)[0]
    planes = levels.view(np.uint8).reshape(-1, levels.itemsize).T
    return sum(_entropy_bytes(plane) for plane in planes)


def _entropy_bytes(plane: Array) -> float:
    counts = np.bincount(plane, minlength=256)
    shares = counts[counts > 0] / plane.size
    return -float((shares * np.log2(shares)).sum() * plane.size) / 8
