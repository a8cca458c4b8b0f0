"""ShapesNet finds what is in the generated video, whole and cut, and less in worse pictures."""

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from PIL import Image

from splitbed.errors import UsageError
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import Part, StoredModel, extract, store
from splitbed.graphs.splits import resolve
from splitbed.media.pictures import preprocess
from splitbed.media.shapes import HEIGHT, WIDTH, sequence
from splitbed.metrics.detection import DetectionAccuracy, detection_accuracy
from splitbed.runtime.session import PartSession
from splitbed.tasks import TASKS
from splitbed.tasks.boxes import Box, boxes_of
from splitbed.zoo import ZOO, Variant, shapesnet

MODEL = ZOO["shapesnet"]
assert MODEL.picture
RECIPE = MODEL.picture
SPLITS = {
    "stem": (16, 96, 128),
    "stage1": (32, 48, 64),
    "stage2": (64, 24, 32),
    "stage3": (96, 12, 16),
    "fuse": (64, 24, 32),
}
Video = list[tuple[np.ndarray, list[Box]]]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    folder = tmp_path_factory.mktemp("shapesnet")
    built, _ = MODEL.build(Variant("onnx"))
    (folder / "shapesnet.onnx").write_bytes(built)
    return store(load_graph(folder / "shapesnet.onnx"), folder)


@pytest.fixture(scope="module")
def video() -> Video:
    return [frame for seed in range(100, 110) for frame in sequence(seed, 4, step=30)]


def opened(part: Part) -> PartSession:
    return PartSession(part.path, part.inputs, part.outputs, part.passthrough)


def encoded(picture: np.ndarray, form: str, **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def measured(stored: StoredModel, video: Video) -> Callable[..., DetectionAccuracy]:
    """How well the whole model finds the objects in encoded pictures."""
    session, task = opened(extract(stored, 0)[1]), TASKS[MODEL.task]

    def measure(form: str, **options: int) -> DetectionAccuracy:
        found = {}
        for number, (picture, _) in enumerate(video):
            image = preprocess(encoded(picture, form, **options), RECIPE)
            results = task.decode(session.run({"image": image}), stored.graph.inputs)
            found[str(number)] = boxes_of(results, task.classes, WIDTH, HEIGHT)
        truth = {str(number): boxes for number, (_, boxes) in enumerate(video)}
        return detection_accuracy(truth, found)

    return measure


@pytest.fixture(scope="module")
def clean(measured: Callable[..., DetectionAccuracy]) -> DetectionAccuracy:
    return measured("PNG")


def test_it_finds_the_objects_of_videos_that_it_was_not_trained_on(
    clean: DetectionAccuracy,
) -> None:
    assert clean.ap50 is not None
    assert clean.ap is not None
    assert clean.ap50 > 0.9
    assert clean.ap > 0.6


def test_it_finds_each_of_the_six_shapes(clean: DetectionAccuracy) -> None:
    assert len(clean.classes) == 6
    for label, scores in clean.classes.items():
        assert scores.ap50 is not None
        assert scores.ap50 > 0.8, label


def test_coarser_pictures_cost_accuracy(
    clean: DetectionAccuracy, measured: Callable[..., DetectionAccuracy]
) -> None:
    falling = [clean.ap, *(measured("JPEG", quality=quality).ap for quality in (20, 5))]
    first, second, third = (ap for ap in falling if ap is not None)
    assert first > second + 0.01
    assert second > third + 0.05


@pytest.mark.parametrize(("label", "shape"), SPLITS.items())
def test_one_map_crosses_each_named_split(
    stored: StoredModel, label: str, shape: tuple[int, ...]
) -> None:
    (split,) = resolve(stored.graph, label, MODEL.named_splits)
    (tensor,) = stored.graph.cuts[split.k].tensors
    assert tensor.shape == (1, *shape)


def test_the_named_splits_are_those_tested() -> None:
    assert list(MODEL.named_splits) == list(SPLITS)


@pytest.mark.parametrize("label", SPLITS)
def test_the_parts_give_what_the_whole_gives(stored: StoredModel, video: Video, label: str) -> None:
    image = preprocess(encoded(video[0][0], "PNG"), RECIPE)
    whole = opened(extract(stored, 0)[1]).run({"image": image})
    (split,) = resolve(stored.graph, label, MODEL.named_splits)
    first, second = map(opened, extract(stored, split.k))
    crossing = first.run({"image": image})
    for name, values in second.run(crossing).items():
        assert np.array_equal(values, whole[name])
    (crossed,) = crossing.values()
    assert crossed.min() == 0
    assert 0.1 < np.mean(crossed == 0) < 0.9


def test_the_picture_is_not_resized() -> None:
    assert (RECIPE.width, RECIPE.height) == (WIDTH, HEIGHT)


def test_training_learns_632_410_parameters() -> None:
    learnt = sum(
        math.prod(row.shape) + row.outputs * (2 if row.norm else 1) for row in shapesnet.layers()
    )
    assert learnt == MODEL.parameters == 632_410


def test_the_graph_is_valid_onnx_and_holds_no_batch_norm() -> None:
    model = onnx.load_from_string(shapesnet.build()[0])
    onnx.checker.check_model(model, full_check=True)
    kinds = {node.op_type for node in model.graph.node}
    assert kinds == {"Conv", "Relu", "Add", "DepthToSpace"}


def test_the_model_says_what_its_weights_are() -> None:
    built, origin = shapesnet.build()
    assert origin.startswith("trained on shapes (seed 1), sha256:")
    properties = onnx.load_from_string(built).metadata_props
    assert {entry.key: entry.value for entry in properties} == {"weights": origin}


def test_the_weights_are_small_enough_to_be_kept_with_the_code() -> None:
    assert shapesnet.TRAINED.stat().st_size < 1.5e6


def test_other_weights_of_the_same_names_are_taken(tmp_path: Path) -> None:
    state = safetensors.numpy.load_file(shapesnet.TRAINED)
    state["heat.1.bias"] = state["heat.1.bias"] + 1
    safetensors.numpy.save_file(state, tmp_path / "mine.safetensors")
    built, origin = shapesnet.build(tmp_path / "mine.safetensors")
    assert origin.startswith("mine.safetensors sha256:")
    held = {value.name: value for value in onnx.load_from_string(built).graph.initializer}
    bias = onnx.numpy_helper.to_array(held["heat.1.bias"])
    assert np.array_equal(bias, state["heat.1.bias"])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    state = safetensors.numpy.load_file(shapesnet.TRAINED)
    del state["neck.weight"]
    safetensors.numpy.save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"neck\.weight"):
        shapesnet.build(tmp_path / "other.safetensors")
