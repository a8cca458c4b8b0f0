"""RetinaNet is torchvision's: maps, boxes, names, numbers; and its cut is the clause's."""

import csv
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from splitbed.graphs.graph import Graph
from splitbed.graphs.onnx.graph import to_graph
from splitbed.graphs.parts import Part, extract, store
from splitbed.graphs.splits import resolve
from splitbed.media.pictures import load_pictures, preprocess
from splitbed.media.recipes import PictureRecipe
from splitbed.runtime.session import PartSession
from splitbed.tasks import TASKS
from splitbed.tensors import Tensors
from splitbed.zoo import ZOO
from splitbed.zoo.layers import Weights
from splitbed.zoo.onnx_writer import OPSET
from splitbed.zoo.retinanet import boxes as retinanet_boxes
from splitbed.zoo.retinanet import model as retinanet
from splitbed.zoo.retinanet import seeded as retinanet_seeded
from splitbed.zoo.retinanet.layers import convolutions, head_maps, level_node, rows

TABLE = Path(__file__).parents[3] / "shared/reference/tables/clause_10.3.9.1_retinanet.csv"
SEED_0 = "36f36e98485c7a82a8807c0ffe00d5312433dba7ecad5342f5b307033cd79542"
HEIGHT, WIDTH = 128, 160
LOGITS = [f"{node}_output_0" for node in head_maps("classification_head/cls_logits")]
OFFSETS = [f"{node}_output_0" for node in head_maps("regression_head/bbox_reg")]
MODEL = ZOO["retinanet"]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return retinanet_seeded.weights(rows(), seed=0)


@pytest.fixture(scope="module")
def graph(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """The whole model at its full size."""
    model = retinanet.to_onnx(weights, "seeded", 800, 1280)
    return to_graph(model, tmp_path_factory.mktemp("retinanet"))


@pytest.fixture(scope="module")
def parts(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> list[Part]:
    """Of a small picture: the whole, and the two parts of the cut at the pyramid."""
    folder = tmp_path_factory.mktemp("small")
    stored = store(to_graph(retinanet.to_onnx(weights, "", HEIGHT, WIDTH), folder), folder)
    (split,) = resolve(stored.graph, "fpn", MODEL.named_splits)
    return [extract(stored, stored.graph.n)[0], *extract(stored, split.k)]


def run(part: Part, tensors: Tensors) -> Tensors:
    with PartSession(part.path, part.inputs, part.outputs, part.passthrough, 2) as session:
        return session.run(tensors)


def probed(model: onnx.ModelProto, names: list[str], image: np.ndarray) -> dict[str, np.ndarray]:
    """What the model puts out, and the tensors called ``names``."""
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, 1, None))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": image}), strict=True))


def boxes_of(logits: list[np.ndarray], offsets: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What the last layer alone makes of the heads' maps."""
    maps = dict(zip([*LOGITS, *OFFSETS], [*logits, *offsets], strict=True))
    nodes, constants = retinanet_boxes.nodes(LOGITS, OFFSETS, HEIGHT, WIDTH)
    given = [helper.make_tensor_value_info(n, 1, v.shape) for n, v in maps.items()]
    named = zip(("boxes", "labels", "scores"), (1, 7, 1), strict=True)
    made = [helper.make_tensor_value_info(name, datatype, None) for name, datatype in named]
    model = helper.make_model(
        helper.make_graph(nodes, "boxes", given, made, constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=retinanet.IR_VERSION,
    )
    session = ort.InferenceSession(model.SerializeToString())
    names = ["boxes", "labels", "scores"]
    return dict(zip(names, session.run(names, maps), strict=True))


def random_maps(rng: np.random.Generator, channels: int, mean: float) -> list[np.ndarray]:
    sides = [(16, 20), (8, 10), (4, 5), (2, 3), (1, 2)]
    return [rng.normal(mean, 1, (1, channels, *side)).astype(np.float32) for side in sides]


def test_no_layer_or_cut_depends_on_the_weights(graph: Graph, tmp_path: Path) -> None:
    assert to_graph(retinanet.build(seed=None), tmp_path) == graph


def test_training_learns_34_014_999_parameters() -> None:
    assert retinanet.parameters(convolutions()) == MODEL.parameters == 34_014_999


def test_the_four_maps_of_the_clause_cross_the_cut_at_the_pyramid(graph: Graph) -> None:
    (split,) = resolve(graph, "fpn", MODEL.named_splits)
    cut = graph.cuts[split.k]
    shapes = {tensor.shape for tensor in cut.tensors}
    assert shapes == {(1, 256, *s) for s in ((100, 160), (50, 80), (25, 40), (13, 20))}
    assert cut.nbytes == 21_770_240
    if not TABLE.is_file():
        pytest.skip(f"the clause's table is not at {TABLE}")
    with TABLE.open(newline="") as file:
        published = sorted(int(row["bytes_fp32"]) for row in csv.DictReader(file))
    assert sorted(tensor.nbytes for tensor in cut.tensors) == published


def test_every_named_split_can_be_cut(graph: Graph) -> None:
    assert {s.label for s in resolve(graph, "named", MODEL.named_splits)} == set(MODEL.named_splits)


def test_all_that_follows_the_heads_is_one_layer(graph: Graph) -> None:
    assert graph.layers[-1].name == "postprocess_detections"
    crossing = {tensor.name for tensor in graph.cuts[graph.n - 1].tensors}
    assert crossing == {*LOGITS, *OFFSETS}
    assert [cut.name for cut in graph.cuts if not cut.crossable] == [f"{graph.n}:0"]


def test_outputs_are_as_many_as_there_are_boxes(graph: Graph) -> None:
    described = [(t.name, t.datatype, t.shape) for t in graph.outputs]
    assert described == [
        ("boxes", "FP32", (-1, 4)), ("labels", "INT64", (-1,)), ("scores", "FP32", (-1,))
    ]  # fmt: skip


def test_the_parts_give_the_wholes_boxes_bit_by_bit(parts: list[Part]) -> None:
    whole, part1, part2 = parts
    picture = load_pictures()[0].read()
    image = {"images": preprocess(picture, PictureRecipe(HEIGHT, WIDTH))}
    expected, found = run(whole, image), run(part2, run(part1, image))
    assert len(expected["scores"]) > 0
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_part_2_takes_the_maps_and_no_picture(parts: list[Part]) -> None:
    names = {tensor.name for tensor in parts[2].inputs}
    assert names == {f"{level_node(level)}_output_0" for level in (3, 4, 5, 6)}


def test_a_blank_picture_has_no_box(parts: list[Part]) -> None:
    blank: Tensors = {"images": np.zeros((1, 3, HEIGHT, WIDTH), np.float32)}
    found = TASKS["detections"].decode(run(parts[0], blank), parts[0].inputs)
    assert {name: value.shape for name, value in found.items()} == {
        "boxes": (0, 4), "labels": (0,), "scores": (0,)
    }  # fmt: skip


def test_a_seed_gives_the_same_weights_on_every_machine(weights: Weights) -> None:
    digest = hashlib.sha256()
    for held in weights.values():
        for values in held:
            digest.update(values.tobytes())
    assert digest.hexdigest() == SEED_0


def test_seeded_activations_are_sparse_and_boxes_few(weights: Weights) -> None:
    recipe = PictureRecipe(256, 416)
    model = retinanet.to_onnx(weights, "", recipe.height, recipe.width)
    relus = [n.output[0] for n in model.graph.node if n.op_type == "Relu"]
    seen = probed(model, relus, preprocess(load_pictures()[0].read(), recipe))
    shares = [float((seen[name] == 0).mean()) for name in relus]
    assert min(shares) > 0.4
    assert max(shares) < 0.8
    assert max(np.abs(seen[name]).max() for name in relus) < 100
    assert 3 <= len(seen["scores"]) <= 100


def test_anchors_are_rounded_as_torchvision_rounds_them() -> None:
    assert retinanet_boxes.anchor_sizes(3).tolist() == [
        [46, 22], [56, 28], [70, 36], [32, 32], [40, 40], [50, 50], [22, 46], [28, 56], [36, 70]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mean", "least", "most"), [(-5.5, 300, 300), (-6.5, 10, 299), (-30, 0, 0)]
)
def test_boxes_are_those_of_torchvision(mean: float, least: int, most: int) -> None:
    """More candidates than a level may have, few, and none."""
    reference = pytest.importorskip("tests.zoo.torch_retinanet", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    logits, offsets = random_maps(rng, 9 * 91, mean), random_maps(rng, 9 * 4, 0)
    found = boxes_of(logits, offsets)
    expected = reference.detect(*_to_torch(logits, offsets), HEIGHT, WIDTH)
    assert least <= len(expected["scores"]) <= most
    assert (np.diff(found["scores"]) <= 0).all()
    # scores that differ in their last bit only may change places
    ours, theirs = (np.lexsort((all_["boxes"][:, 0], all_["labels"])) for all_ in (found, expected))
    assert found["labels"][ours].tolist() == expected["labels"][theirs].tolist()
    np.testing.assert_allclose(found["scores"][ours], expected["scores"][theirs], rtol=1e-5)
    np.testing.assert_allclose(found["boxes"][ours], expected["boxes"][theirs], atol=1e-3)


def _to_torch(*columns: list[np.ndarray]) -> Iterator[list[object]]:
    import torch

    for column in columns:
        yield [torch.from_numpy(value) for value in column]


def test_the_network_is_torchvisions_under_its_names(tmp_path: Path) -> None:
    """Weights go in through a checkpoint; maps and boxes come out as PyTorch makes them."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from tests.zoo import torch_retinanet as reference

    torch.manual_seed(0)
    network = reference.RetinaNet().eval()
    for name, values in network.state_dict().items():
        if name.endswith(("bn3.weight", "downsample.1.weight")):
            values.uniform_(0.3, 0.6)  # or maps grow from block to block
        elif name.endswith(("running_mean", "running_var")):
            values.uniform_(0.5, 1.5)
        elif name.endswith("conv1.weight") or ".conv" in name:
            values.mul_(1.5)
    path = tmp_path / "retinanet.pth"
    torch.save(reference.state_dict(network), path)
    image = np.random.default_rng(0).normal(size=(1, 3, HEIGHT, WIDTH)).astype(np.float32)
    with torch.no_grad():
        maps, logits, offsets = network(torch.from_numpy(image))

    model = retinanet.build(weights=path, height=HEIGHT, width=WIDTH)
    assert model.metadata_props[0].value.startswith("retinanet.pth sha256:")
    names = [f"{level_node(level)}_output_0" for level in (3, 4, 5, 6, 7)] + LOGITS + OFFSETS
    seen = probed(model, names, image)
    for name, value in zip(names, [*maps, *logits, *offsets], strict=True):
        scale = float(value.abs().max())
        np.testing.assert_allclose(seen[name], value, atol=1e-4 * scale, err_msg=name)
    assert math.isfinite(float(seen["boxes"].sum()))
