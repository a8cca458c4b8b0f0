"""ESPCN doubles pictures better than bicubic upsampling does, of any size, whole and cut."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.numpy
from PIL import Image

from splitbed.errors import UsageError
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import Part, extract, store
from splitbed.graphs.splits import resolve
from splitbed.media.shapes import sequence
from splitbed.metrics.images import image_quality
from splitbed.runtime.session import PartSession
from splitbed.tasks import TASKS
from splitbed.tensors import Tensors
from splitbed.zoo import ZOO, Variant, bicubic, espcn, unscaled

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared/reference/models/ESPCN_x2.onnx"
MODEL = ZOO["espcn"]
Pixels = np.ndarray
Doubled = Callable[[Pixels], Pixels]


def opened(part: Part) -> PartSession:
    return PartSession(part.path, part.inputs, part.outputs, part.passthrough)


def doubler(folder: Path, name: str, width: int, height: int) -> Doubled:
    """The model of the zoo as users have it: pixels to pixels twice as large."""
    file = folder / f"{name}.onnx"
    file.write_bytes(ZOO[name].build(Variant("onnx"))[0])
    graph = load_graph(file, {"luma": (1, 1, height, width)})
    session = opened(extract(store(graph, folder), 0)[1])

    def doubled(low: Pixels) -> Pixels:
        tensor = low[np.newaxis, np.newaxis] / np.float32(255)
        results = TASKS[MODEL.task].decode(session.run({"luma": tensor}), graph.inputs)
        return results["pixels"][..., 0]

    return doubled


def luma(picture: Pixels) -> Image.Image:
    return Image.fromarray(picture).convert("L")


def halved(image: Image.Image) -> Pixels:
    """As preprocessing makes it of a picture twice as large."""
    size = image.width // 2, image.height // 2
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


@pytest.mark.parametrize(("width", "height"), [(320, 180), (200, 150)])
def test_it_is_nearer_to_videos_it_was_not_trained_on_than_bicubic_upsampling(
    tmp_path: Path, width: int, height: int
) -> None:
    """Seeds below 1000 are not trained on; 20 log10 of what is left of the error is the gain."""
    (tmp_path / "plain").mkdir()
    network = doubler(tmp_path, "espcn", width, height)
    plain = doubler(tmp_path / "plain", "bicubic", width, height)
    gains, likeness = [], []
    for seed in (3, 4, 105):
        for picture, _ in sequence(seed, 2, 2 * width, 2 * height, step=20):
            high, low = np.asarray(luma(picture)), halved(luma(picture))
            made, usual = (image_quality(high, double(low)) for double in (network, plain))
            assert made.psnr_db and usual.psnr_db and made.ssim and usual.ssim
            gains.append(made.psnr_db - usual.psnr_db)
            likeness.append(made.ssim - usual.ssim)
    assert min(gains) > 0.5
    assert np.mean(gains) > 1
    assert np.mean(likeness) > 0


def test_bicubic_is_what_pillow_makes() -> None:
    (picture, _), *_ = sequence(5, 1, 256, 192)
    low = np.asarray(luma(picture), np.float32) / np.float32(255)
    usual = np.asarray(Image.fromarray(low).resize((512, 384), Image.Resampling.BICUBIC))
    session = onnxruntime.InferenceSession(bicubic.build()[0])
    (made,) = session.run(None, {"luma": low[np.newaxis, np.newaxis]})
    inside = np.s_[4:-4, 4:-4]  # at the edges Pillow weighs what is there, here the last repeats
    assert np.abs(made[0, 0] - usual)[inside].max() < 1e-5
    assert np.abs(made[0, 0] - usual).max() < 0.1


def test_bicubic_has_no_weights_to_choose(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bicubic has none"):
        bicubic.build(tmp_path / "some.npz")


def test_what_is_unscaled_is_handed_on_as_it_is_at_any_size(tmp_path: Path) -> None:
    luma = np.random.default_rng(0).random((1, 1, 30, 40)).astype(np.float32)
    (made,) = onnxruntime.InferenceSession(unscaled.build()[0]).run(None, {"luma": luma})
    assert np.array_equal(made, luma)
    with pytest.raises(UsageError, match="unscaled has none"):
        unscaled.build(tmp_path / "some.npz")


@pytest.mark.parametrize("label", MODEL.named_splits)
def test_the_parts_give_what_the_whole_gives(tmp_path: Path, label: str) -> None:
    file = tmp_path / "espcn.onnx"
    file.write_bytes(espcn.build()[0])
    stored = store(load_graph(file, {"luma": (1, 1, 30, 40)}), tmp_path)
    given: Tensors = {"luma": np.random.default_rng(0).random((1, 1, 30, 40)).astype(np.float32)}
    whole = opened(extract(stored, 0)[1]).run(given)
    (split,) = resolve(stored.graph, label, MODEL.named_splits)
    first, second = map(opened, extract(stored, split.k))
    crossing = first.run(given)
    assert len(crossing) == 1
    assert np.array_equal(second.run(crossing)["luma_x2"], whole["luma_x2"])


def test_it_has_the_layers_of_public_models() -> None:
    ours = onnx.load_from_string(espcn.build()[0])
    onnx.checker.check_model(ours, full_check=True)
    kinds = [node.op_type for node in ours.graph.node]
    assert kinds == ["Conv", "Relu", "Conv", "Relu", "Conv", "DepthToSpace"]
    if REAL.exists():
        assert kinds == [node.op_type for node in onnx.load(REAL).graph.node][:6]  # then a tanh


def test_training_learns_21_284_parameters() -> None:
    learnt = sum(math.prod(row.shape) + row.outputs for row in espcn.LAYERS)
    assert learnt == MODEL.parameters == 21_284


def test_the_model_says_what_its_weights_are() -> None:
    built, origin = espcn.build()
    assert origin.startswith("trained on shapes (seed 1), sha256:")
    properties = onnx.load_from_string(built).metadata_props
    assert {entry.key: entry.value for entry in properties} == {"weights": origin}


def test_the_weights_are_small_enough_to_be_kept_with_the_code() -> None:
    assert espcn.TRAINED.stat().st_size < 150e3


def test_other_weights_of_the_same_names_are_taken_and_others_refused(tmp_path: Path) -> None:
    state = safetensors.numpy.load_file(espcn.TRAINED)
    safetensors.numpy.save_file(state, tmp_path / "mine.safetensors")
    assert espcn.build(tmp_path / "mine.safetensors")[1].startswith("mine.safetensors sha256:")
    del state["conv2.weight"]
    safetensors.numpy.save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"conv2\.weight"):
        espcn.build(tmp_path / "other.safetensors")
