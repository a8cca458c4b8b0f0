"""The classifiers that Splitbed knows by name. Listing them imports neither onnx nor numpy."""

from collections.abc import Mapping
from functools import partial

from splitbed.media.recipes import PictureRecipe
from splitbed.zoo.anchor_model import AnchorModel, Variant

HALF = (0.5,) * 3


def _build(name: str, variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo.classifiers import model  # it imports onnx, which listing must not

    built = model.build(name, variant.seed, variant.weights)
    return built.SerializeToString(), built.metadata_props[0].value


def _build_small(name: str, variant: Variant) -> tuple[bytes, str]:
    from splitbed.zoo.classifiers import small

    return small.build(name, variant.weights)


def _classifier(
    name: str, title: str, network: str, parameters: int, splits: Mapping[str, str]
) -> AnchorModel:
    return AnchorModel(
        name=name,
        title=title,
        source=f"clause 10.6.4; torchvision {network}",
        build=partial(_build, network),
        formats=("onnx",),
        named_splits=splits,
        picture=PictureRecipe(height=224, width=224),
        task="classification",
        parameters=parameters,
        any_outputs=True,
    )


def _small(name: str, network: str, parameters: int, splits: Mapping[str, str]) -> AnchorModel:
    return AnchorModel(
        name=name,
        title=f"{network} with fewer channels, 24 classes of generated emblems, trained",
        source="none of the document: for accuracy without a download; scripts/train-emblems",
        build=partial(_build_small, network),
        formats=("onnx",),
        named_splits=splits,
        picture=PictureRecipe(height=64, width=64, mean=HALF, std=HALF),
        task="classification",
        parameters=parameters,
        dataset="emblems",
    )


_VGG16 = {
    f"layer{layer}": f"/features/features.{place}/MaxPool:after"
    for layer, place in enumerate((4, 9, 16, 23, 30), start=1)
}
_RESNET18 = {
    "stem": "/maxpool/MaxPool:after",
    **{f"layer{stage}": f"/layer{stage}/layer{stage}.1/relu_1/Relu:after" for stage in range(1, 5)},
}
_MOBILENET_V2 = {
    "stem": "/features/features.0/features.0.2/Clip:after",
    "stage1": "/features/features.1/conv/conv.1/Conv:after",
    **{
        f"stage{stage}": f"/features/features.{place}/Add:after"
        for stage, place in ((2, 3), (3, 6), (4, 10), (5, 13), (6, 16))
    },
    "stage7": "/features/features.17/conv/conv.2/Conv:after",
}
CLASSIFIERS: dict[str, AnchorModel] = {
    one.name: one
    for one in (
        _classifier(
            "vgg16", "VGG16 with the two fully connected layers of clause 10.6.4, 2 classes",
            "vgg16", 16_721_970, _VGG16,
        ),
        _classifier(
            "resnet18", "ResNet18, 20 classes of PASCAL VOC", "resnet18", 11_186_772, _RESNET18
        ),
        _classifier(
            "mobilenet_v2", "MobileNetV2, 20 classes of PASCAL VOC", "mobilenet_v2", 2_249_492,
            _MOBILENET_V2,
        ),
        _small("small-resnet18", "resnet18", 705_192, _RESNET18),
        _small("small-mobilenet_v2", "mobilenet_v2", 426_872, _MOBILENET_V2),
    )
}  # fmt: skip
"""By name; the count of VGG16's parameters is of the width that its classifier is taken to have."""
