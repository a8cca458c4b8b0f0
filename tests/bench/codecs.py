"""What the codec int8+zstd costs on dense maps, in CPU time of its one thread, and how far its
bytes are from the entropy of the levels that it sends; and what klt costs beside it and AVC.

klt is held against both on SSD300, whose weights are seeded, and on ShapesNet; on a trained PoseNet
where the environment has POSENET, PEOPLE and OTHERS, as for `make codecs`.
"""

import io
import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zstandard
from PIL import Image

from orchestrator.api.asking import config_of
from orchestrator.measure.calibration import calibrate
from orchestrator.testbed.local import local_model
from splitbed.codecs import Coder, codec_named
from splitbed.codecs.calibration import calibrated
from splitbed.codecs.fitting import fit
from splitbed.codecs.stage import Setting
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import StoredModel, extract, store
from splitbed.graphs.splits import resolve
from splitbed.media.pictures import load_pictures, preprocess
from splitbed.runtime.session import PartSession
from splitbed.tensors import TensorInfo, Tensors, nbytes_of
from splitbed.zoo import Variant, anchor_model
from tests.bench.figure import Bar, Figure, median

_ROUNDS = 31
_BESIDE = ("split_node_3", "split_node_10", "split_node_39")  # where klt is tried, too
_NAMES = ("int8+zstd", "klt", "avc:32")

Map = npt.NDArray[np.float32]


def figures(folder: Path) -> Iterator[Figure]:
    """Each map is coded with the ranges of another frame."""
    for what, measured, calibration in _maps(folder):
        yield from _figures(what, measured, calibration)
        if what.split(" (")[0].removeprefix("SSD300 ") in _BESIDE:
            coders = [_fitted(name, calibration) for name in _NAMES]
            yield from _beside(what, {"map": measured}, coders)
    yield from _of_networks()


def _of_networks() -> Iterator[Figure]:
    """klt on maps of trained networks, fitted as a run fits it."""
    asked: list[tuple[str, dict[str, object]]] = [
        ("shapesnet", {"split": "stage2,stage3", "calibration": "shapes:101,shapes:102"})
    ]
    if posenet := shlex.split(os.environ.get("POSENET", "")):
        given = {
            word.removeprefix("--").replace("-", "_"): value
            for word, value in zip(posenet[::2], posenet[1::2], strict=True)
        }
        own = {"input": os.environ["PEOPLE"], "calibration": os.environ["OTHERS"]}
        asked.append(("posenet", {"split": "12:19,27:4", "runtime": "onnx", **given, **own}))
    for name, options in asked:
        config = config_of(name, {**options, "codec": ",".join(_NAMES), "runs": 3})
        with local_model(config) as local:
            model = local.model
            for split in resolve(model.graph, str(options["split"]), model.named_splits):
                known = calibrate(config, model, [(split.k, one) for one in _NAMES]).known
                coders = [model.coder(split.k, one, known) for one in _NAMES]
                part, _ = extract(model.stored, split.k)
                with local.session(part) as session:
                    crossing = session.run(model.inputs[0].tensors)
                yield from _beside(f"{name} {split.label}", crossing, coders)


def _figures(what: str, measured: Map, calibration: Map) -> Iterator[Figure]:
    setting = Setting(calibrated([{"map": calibration}]))
    infos = [TensorInfo("map", "FP32", measured.shape)]
    coder = codec_named("int8+zstd").bind(infos, setting)
    (levels,) = codec_named("int8").bind(infos, setting).encode({"map": measured}).values()
    plain = zstandard.ZstdCompressor(level=1)
    encoded = coder.encode({"map": measured})
    copy = np.empty_like(measured)
    turns = [
        lambda: coder.encode({"map": measured}),
        lambda: coder.decode(encoded),
        lambda: plain.compress(levels.tobytes()),
        lambda: np.copyto(copy, measured),
    ]
    rounds = [[_cpu_s(turn) for turn in turns] for _ in range(_ROUNDS)]
    encode_s, decode_s, plain_s, copy_s = zip(*rounds, strict=True)
    gigabytes = measured.nbytes / 1e9
    what = f"int8+zstd, {what}"
    yield median(f"{what}: encode", "GB/s", [gigabytes / s for s in encode_s], Bar(least=1))
    yield median(f"{what}: decode", "GB/s", [gigabytes / s for s in decode_s], Bar(least=2))
    yield median(
        f"{what}: encode / the library's level 1 alone",
        "",
        [ours / theirs for ours, theirs in zip(encode_s, plain_s, strict=True)],
    )
    yield median(f"{what}: a copy of the map", "GB/s", [gigabytes / s for s in copy_s])
    nbytes = encoded["map"].nbytes
    yield Figure(f"{what}: bytes / entropy", nbytes / _entropy_bytes(levels), bar=Bar(most=1.1))
    yield Figure(f"{what}: raw / bytes", measured.nbytes / nbytes)


def _beside(what: str, measured: Tensors, coders: Sequence[Coder]) -> Iterator[Figure]:
    """klt held against int8+zstd and AVC on the same map."""
    encoded = [coder.encode(measured) for coder in coders]
    turns: list[Callable[[], object]] = [
        *(partial(coder.encode, measured) for coder in coders),
        *(partial(coder.decode, one) for coder, one in zip(coders, encoded, strict=True)),
    ]
    rounds = [[_cpu_s(turn) for turn in turns] for _ in range(_ROUNDS)]
    times = list(zip(*rounds, strict=True))
    there, back = times[:3], times[3:]
    for verb, (plain, klt, avc), least, most in (
        ("encode", there, 0.25, 3),
        ("decode", back, 0.2, 6),
    ):
        speeds = [nbytes_of(measured) / 1e9 / s for s in klt]
        yield median(f"klt, {what}: {verb}", "GB/s", speeds, Bar(least=least))
        for other, theirs_s, bar in (
            ("int8+zstd", plain, Bar(most=most)),
            ("avc:32", avc, Bar(most=1)),
        ):
            ratios = [ours / theirs for ours, theirs in zip(klt, theirs_s, strict=True)]
            yield median(f"klt, {what}: {verb} / {other}", "", ratios, bar)
    yield Figure(f"klt, {what}: raw / bytes", nbytes_of(measured) / nbytes_of(encoded[1]))


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
    for split in resolve(stored.graph, "named", ssd300.named_splits):
        if stored.graph.cuts[split.k].count > 1:
            continue
        measured, calibration = (_crossing(stored, split.k, image) for image in inputs)
        sizes = "x".join(map(str, measured.shape))
        yield f"SSD300 {split.label} ({sizes})", measured, calibration
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
