"""The anchor models that Splitbed knows by name. Listing them imports neither onnx nor numpy."""

from dataclasses import replace

from splitbed.extensions import Extensible
from splitbed.media.recipes import PictureRecipe, TokenRecipe
from splitbed.zoo.anchor_model import AnchorModel, Variant
from splitbed.zoo.classifiers.catalogue import CLASSIFIERS
from splitbed.zoo.wav2vec2.catalogue import RECOGNISERS

__all__ = ["ZOO", "AnchorModel", "Variant", "anchor_model"]


def anchor_model(name: str) -> AnchorModel:
    """The model called ``name``.

    Raises:
        UsageError: no such model; the message lists the choices.
    """
    return ZOO.named(name, or_else=", or give the path of an .onnx or .tflite file")


def _build_ssd300(variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo import ssd300  # it imports onnx, which listing the models must not

    model = ssd300.build(variant.seed, variant.weights)
    return model.SerializeToString(), model.metadata_props[0].value


def _build_posenet(variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo.posenet import model as posenet

    return posenet.build(variant.seed, variant.weights, variant.width, variant.format)


def _build_retinanet(variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo.retinanet import model as retinanet

    model = retinanet.build(variant.seed, variant.weights)
    return model.SerializeToString(), model.metadata_props[0].value


def _build_shapesnet(variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo import shapesnet

    return shapesnet.build(variant.weights)


def _build_espcn(variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo import espcn

    return espcn.build(variant.weights)


def _build_bicubic(variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo import bicubic

    return bicubic.build(variant.weights)


def _build_unscaled(variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo import unscaled

    return unscaled.build(variant.weights)


def _build_textnet(variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo import textnet

    return textnet.build(variant.seed, variant.weights)


def _ssd300_splits() -> dict[str, str]:
    """The 15 split points of the table in clause 10.3.9.2, each before its node."""
    root = "/feature_extractor/feature_extractor/feature_extractor"
    nodes = {1: f"{root}.2/Relu"}
    for index, block, op in (
        (3, "4.0", "conv1/Conv"),
        (10, "4.0", "relu_2/Relu"),
        (17, "4.1", "relu_2/Relu"),
        (24, "4.2", "relu_2/Relu"),
        (25, "5.0", "conv1/Conv"),
        (39, "5.1", "relu_2/Relu"),
        (46, "5.2", "relu_2/Relu"),
        (54, "6.0", "conv1/Conv"),
        (62, "6.1", "conv1/Conv"),
        (68, "6.1", "relu_2/Relu"),
        (69, "6.2", "conv1/Conv"),
        (75, "6.2", "relu_2/Relu"),
        (76, "6.3", "conv1/Conv"),
        (82, "6.3", "relu_2/Relu"),
    ):
        nodes[index] = f"{root}.{block[0]}/feature_extractor.{block}/{op}"
    return {f"split_node_{index}": f"{node}:before" for index, node in nodes.items()}


def _retinanet_splits() -> dict[str, str]:
    """The cut of clause 10.3.8.1 at the pyramid's four maps, and those at the backbone's stages."""
    body, fpn = "/backbone/body", "/backbone/fpn"
    stages = {
        f"layer{stage}": f"{body}/layer{stage}/layer{stage}.{block}/relu_2/Relu:after"
        for stage, block in ((1, 2), (2, 3), (3, 5), (4, 2))
    }
    return {
        "stem": f"{body}/maxpool/MaxPool:after",
        **stages,
        "top_down": f"{fpn}/layer_blocks.0/layer_blocks.0.0/Conv:before",
        "fpn": f"{fpn}/extra_blocks/p6/Conv:after",
    }


_ESPCN = AnchorModel(
    name="espcn",
    title="ESPCN x2, super-resolution of luma from 480x270, trained",
    source="clause 10.5, which names no model; Shi et al., CVPR 2016; scripts/train-espcn",
    build=_build_espcn,
    formats=("onnx",),
    named_splits={"conv1": "/conv1/Relu:after", "conv2": "/conv2/Relu:after"},
    picture=PictureRecipe(height=270, width=480, mean=(0.0,), std=(1.0,)),
    task="super-resolution",
    parameters=21_284,
    dataset="shapes:0@960x540",
    shape={"luma": (1, 1, 270, 480)},
)
_OWN: dict[str, AnchorModel] = {
    "ssd300": AnchorModel(
        name="ssd300",
        title="SSD300 with ResNet-50, 81 classes of COCO",
        source="clause 10.3.4; NVIDIA DeepLearningExamples, PyTorch/Detection/SSD",
        build=_build_ssd300,
        formats=("onnx",),
        named_splits=_ssd300_splits(),
        picture=PictureRecipe(height=300, width=300),
        task="ssd",
        parameters=22_894_902,
    ),
    "posenet": AnchorModel(
        name="posenet",
        title="PoseNet with MobileNetV1, output stride 16, 257x257, 17 key points",
        source="clause 10.2.4, whose count of 1,180,147 parameters is wrong; tfjs-models/posenet",
        build=_build_posenet,
        formats=("tflite", "onnx"),
        named_splits={},
        picture=PictureRecipe(height=257, width=257, mean=(0.5,) * 3, std=(0.5,) * 3),
        task="pose",
        parameters=3_313_907,
        widths=(1.0, 0.75, 0.5),
        reads_graphs=True,
    ),
    "retinanet": AnchorModel(
        name="retinanet",
        title="RetinaNet with ResNet-50 and a feature pyramid, 800x1280, 91 classes of COCO",
        source="clause 10.3.8.1; torchvision retinanet_resnet50_fpn",
        build=_build_retinanet,
        formats=("onnx",),
        named_splits=_retinanet_splits(),
        picture=PictureRecipe(height=800, width=1280),
        task="detections",
        parameters=34_014_999,
    ),
    "shapesnet": AnchorModel(
        name="shapesnet",
        title="ShapesNet, Splitbed's own small detector of generated shapes, trained",
        source="none of the document: for accuracy without a download; scripts/train-shapesnet",
        build=_build_shapesnet,
        formats=("onnx",),
        named_splits={
            "stem": "/stem/Relu:after",
            "stage1": "/stage1/0/relu_2/Relu:after",
            "stage2": "/stage2/1/relu_2/Relu:after",
            "stage3": "/stage3/1/relu_2/Relu:after",
            "fuse": "/fuse/relu_2/Relu:after",
        },
        picture=PictureRecipe(height=192, width=256, mean=(0.5,) * 3, std=(0.5,) * 3),
        task="centres",
        parameters=632_410,
        dataset="shapes",
    ),
    "espcn": _ESPCN,
    "bicubic": replace(
        _ESPCN,
        name="bicubic",
        title="bicubic upsampling x2 of luma from 480x270, computed: what espcn is held against",
        source="clause 10.5, without super-resolution; Keys, 1981, a = -0.5",
        build=_build_bicubic,
        named_splits={},
        parameters=0,
    ),
    "unscaled": replace(
        _ESPCN,
        name="unscaled",
        title="luma of 960x540 as it is, nothing computed: what needs no super-resolution",
        source="clause 10.5, without super-resolution",
        build=_build_unscaled,
        named_splits={},
        picture=PictureRecipe(height=540, width=960, mean=(0.0,), std=(1.0,)),
        parameters=0,
        shape={"luma": (1, 1, 540, 960)},
    ),
    "textnet": AnchorModel(
        name="textnet",
        title="TextNet, Splitbed's own small language model of bytes, trained",
        source="clause 6's metrics of language, which name no model; scripts/train-textnet",
        build=_build_textnet,
        formats=("onnx",),
        named_splits={
            "embedding": "/embedding/Add:after",
            **{f"layer{at}": f"/layers/{at - 1}/Add_2:after" for at in (1, 2, 3, 4)},
        },
        picture=None,
        tokens=TokenRecipe(64, vocabulary=256),
        most_tokens=128,
        task="next-token",
        parameters=875_520,
        dataset="sentences",
        shape={"tokens": (1, 64)},
    ),
    **CLASSIFIERS,
    **RECOGNISERS,
}
ZOO = Extensible(
    "splitbed.models",
    "anchor model",
    _OWN,
    kind="AnchorModel of splitbed.zoo",
    needs=("name", "build", "formats", "named_splits", "picture", "task"),
)
"""Of installed packages, too, by the entry points ``splitbed.models``."""
