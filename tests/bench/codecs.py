"""What the codec int8+zstd costs on dense maps, in CPU time of its one thread, and how far its
bytes are from the entropy of the levels that it sends; and on each map the speeds of klt beside it
and AVC, with what of klt is its entropy coder, `constriction`.

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
from typing import Any
from unittest import mock

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
from splitbed.codecs.klt import coding
from splitbed.codecs.stage import Setting
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import StoredModel, extract, store
from splitbed.graphs.splits import resolve
from splitbed.media.pictures import load_pictures, preprocess
from splitbed.runtime.session import PartSession
from splitbed.tensors import TensorInfo, Tensors, nbytes_of
from splitbed.zoo import Variant, anchor_model
from tests.bench.figure import Bar, Figure, median

_ROUNDS = 15
_BESIDE = ("split_node_3", "split_node_10", "split_node_39")  # where klt is tried, too
_USUAL, _VIDEO = "int8+zstd", "avc:32"
_NAMES = (_USUAL, _VIDEO, "klt", "klt:250")
_FLOORS = {"encode": 250.0, "decode": 200.0}
"""MB/s of FP32 that klt is to reach."""
_MOST = {"encode": 3.0, "decode": 6.0}
"""Times int8+zstd's that klt is to take."""

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
    """Each codec's speeds, and how long klt takes for what int8+zstd and AVC take."""
    encoded = [coder.encode(measured) for coder in coders]
    turns: list[Callable[[], object]] = [
        *(partial(coder.encode, measured) for coder in coders),
        *(partial(coder.decode, one) for coder, one in zip(coders, encoded, strict=True)),
    ]
    rounds = [[_cpu_s(turn) for turn in turns] for _ in range(_ROUNDS)]
    times = list(zip(*rounds, strict=True))
    of = {
        "encode": dict(zip(_NAMES, times[: len(_NAMES)], strict=True)),
        "decode": dict(zip(_NAMES, times[len(_NAMES) :], strict=True)),
    }
    for name, coder, one in zip(_NAMES, coders, encoded, strict=True):
        is_klt = name.startswith("klt")
        for verb, all_s in of.items():
            speeds = [nbytes_of(measured) / 1e6 / s for s in all_s[name]]
            bar = Bar(least=_FLOORS[verb]) if is_klt else Bar()
            yield median(f"{what}, {name}: {verb}", "MB/s", speeds, bar)
            for other, most in ((_USUAL, _MOST[verb]), (_VIDEO, 1)) if is_klt else ():
                ratios = [own / its for own, its in zip(all_s[name], all_s[other], strict=True)]
                yield median(f"{what}, {name}: {verb} / {other}", "", ratios, Bar(most=most))
        if is_klt:
            shares = [
                _constriction_s(partial(coder.decode, one)) / its for its in of["decode"][_USUAL]
            ]
            yield median(f"{what}, {name}: constriction alone, decode / {_USUAL}", "", shares)
        yield Figure(f"{what}, {name}: raw / bytes", nbytes_of(measured) / nbytes_of(one))


class _Timed:
    """An ANS coder whose time is counted."""

    def __init__(self, ans: Any) -> None:
        self._ans, self.seconds = ans, 0.0

    def decode(self, *asked: Any) -> Any:
        start = time.thread_time()
        try:
            return self._ans.decode(*asked)
        finally:
            self.seconds += time.thread_time() - start

    def is_empty(self) -> bool:
        return bool(self._ans.is_empty())


def _constriction_s(decode: Callable[[], object]) -> float:
    """What `constriction` takes of a frame of klt."""
    made: list[_Timed] = []

    def timed(data: bytes, opened: Callable[[bytes], Any] = coding._ans_of) -> _Timed:
        made.append(_Timed(opened(data)))
        return made[-1]

    with mock.patch.object(coding, "_ans_of", timed):
        decode()
    return sum(one.seconds for one in made)


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
