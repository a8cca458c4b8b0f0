"""What the codec int8+zstd costs on dense maps, in CPU time of its one thread, and how far its
bytes are from the entropy of the levels that it sends; and what klt costs beside it and AVC."""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zstandard
from PIL import Image

from splitbed.codecs import Coder, codec_named
from splitbed.codecs.calibration import calibrated
from splitbed.codecs.fitting import fit
from splitbed.codecs.stage import Setting
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import StoredModel, extract, store
from splitbed.media.pictures import load_pictures, preprocess
from splitbed.runtime.session import PartSession
from splitbed.tensors import TensorInfo, Tensors
from splitbed.zoo import Variant, anchor_model
from tests.bench.figure import Bar, Figure, median

_ROUNDS = 31
_CUTS = (3, 10)  # after the first pooling, and before the first block's last Relu: 360 kB, 1.44 MB

Map = npt.NDArray[np.float32]


def figures(folder: Path) -> Iterator[Figure]:
    """Each map is coded with the ranges of another frame."""
    for what, measured, calibration in _maps(folder):
        yield from _figures(what, measured, calibration)
        if what.startswith("SSD300"):  # noise has nothing that a transform could gather
            yield from _beside(what, measured, calibration)


def _figures(what: str, measured: Map, calibration: Map) -> Iterator[Figure]:
    setting = Setting(calibrated([{"map": calibration}]))
    infos = [TensorInfo("map", "FP32", measured.shape)]
    coder = codec_named("int8+zstd").bind(infos, setting)
    (levels,) = codec_named("int8").bind(infos, setting).encode({"map": measured}).values()
    plain = zstandard.ZstdCompressor(level=1)
    encoded = coder.encode({"map": measured})
    turns = [
        lambda: coder.encode({"map": measured}),
        lambda: coder.decode(encoded),
        lambda: plain.compress(levels.tobytes()),
    ]
    rounds = [[_cpu_s(turn) for turn in turns] for _ in range(_ROUNDS)]
    encode_s, decode_s, plain_s = zip(*rounds, strict=True)
    gigabytes = measured.nbytes / 1e9
    what = f"int8+zstd, {what}"
    yield median(f"{what}: encode", "GB/s", [gigabytes / s for s in encode_s], Bar(least=1))
    yield median(f"{what}: decode", "GB/s", [gigabytes / s for s in decode_s], Bar(least=2))
    yield median(
        f"{what}: encode / the library's level 1 alone",
        "",
        [ours / theirs for ours, theirs in zip(encode_s, plain_s, strict=True)],
    )
    nbytes = encoded["map"].nbytes
    yield Figure(f"{what}: bytes / entropy", nbytes / _entropy_bytes(levels), bar=Bar(most=1.1))
    yield Figure(f"{what}: raw / bytes", measured.nbytes / nbytes)


def _beside(what: str, measured: Map, calibration: Map) -> Iterator[Figure]:
    """klt held against int8+zstd and AVC on the same map."""
    coders = [_fitted(name, calibration) for name in ("int8+zstd", "klt", "avc:32")]
    encoded = [coder.encode({"map": measured}) for coder in coders]
    turns: list[Callable[[], object]] = [
        *(partial(coder.encode, {"map": measured}) for coder in coders),
        *(partial(coder.decode, one) for coder, one in zip(coders, encoded, strict=True)),
    ]
    rounds = [[_cpu_s(turn) for turn in turns] for _ in range(_ROUNDS)]
    times = list(zip(*rounds, strict=True))
    there, back = times[:3], times[3:]
    for verb, (plain, klt, avc), least, most in (
        ("encode", there, 0.25, 3),
        ("decode", back, 0.2, 6),
    ):
        speeds = [measured.nbytes / 1e9 / s for s in klt]
        yield median(f"klt, {what}: {verb}", "GB/s", speeds, Bar(least=least))
        for other, theirs_s, bar in (
            ("int8+zstd", plain, Bar(most=most)),
            ("avc:32", avc, Bar(most=1)),
        ):
            ratios = [ours / theirs for ours, theirs in zip(klt, theirs_s, strict=True)]
            yield median(f"klt, {what}: {verb} / {other}", "", ratios, bar)
    yield Figure(f"klt, {what}: raw / bytes", measured.nbytes / encoded[1]["map"].nbytes)


def _fitted(name: str, calibration: Map) -> Coder:
    codec, infos = codec_named(name), [TensorInfo("map", "FP32", calibration.shape)]
    frames: list[Tensors] = [{"map": calibration}]
    setting = Setting(calibrated(frames))
    return codec.bind(infos, replace(setting, tables=fit(codec, infos, frames, setting)))


def _cpu_s(turn: Callable[[], object]) -> float:
    start = time.thread_time()
    turn()
    return time.thread_time() - start


def _entropy_bytes(levels: npt.NDArray[np.generic]) -> float:
    """Of order 0, each channel's by itself."""
    bits = 0.0
    for channel in levels[0]:
        counts = np.bincount(channel.ravel(), minlength=256)
        shares = counts[counts > 0] / channel.size
        bits -= float((shares * np.log2(shares)).sum() * channel.size)
    return bits / 8


def _maps(folder: Path) -> Iterator[tuple[str, Map, Map]]:
    """What each is, the map to code, and the one to calibrate with."""
    ssd300 = anchor_model("ssd300")
    file = folder / "ssd300.onnx"
    file.write_bytes(ssd300.build(Variant("onnx"))[0])
    stored = store(load_graph(file), folder)
    assert ssd300.picture
    inputs = [preprocess(data, ssd300.picture) for data in _two_pictures()]
    for k in _CUTS:
        measured, calibration = (_crossing(stored, k, image) for image in inputs)
        sizes = "x".join(map(str, measured.shape))
        yield f"SSD300 split_node_{k} ({sizes})", measured, calibration
    rng = np.random.default_rng(0)
    scales = np.exp(rng.normal(0, 1, (1, 256, 1, 1)))
    made = (rng.standard_normal((1, 256, 75, 75)) * scales for _ in range(2))
    measured, calibration = (values.astype(np.float32) for values in made)
    yield "normal values, a scale to each channel (1x256x75x75)", measured, calibration


def _two_pictures() -> Iterator[bytes]:
    data = load_pictures()[0].read()
    yield data
    turned, file = Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_90), io.BytesIO()
    turned.save(file, "PNG")
    yield file.getvalue()


def _crossing(stored: StoredModel, k: int, image: npt.NDArray[np.generic]) -> Map:
    part1, _ = extract(stored, k)
    session = PartSession(part1.path, part1.inputs, part1.outputs, part1.passthrough)
    (crossing,) = session.run({part1.inputs[0].name: image}).values()
    session.close()
    return crossing.astype(np.float32, copy=False)
