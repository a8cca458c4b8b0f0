"""The residual block of ResNet-50, as torchvision has it: the stride is in the 3x3 convolution."""

from splitbed.zoo.layers import Conv


def bottleneck(
    module: str, node: str, source: str, channels: int, width: int, stride: int
) -> list[Conv]:
    """One residual block; the first of a stage has a convolution on its short cut."""
    rows = [
        Conv(
            f"{module}.conv1", f"{node}/conv1/Conv", source, channels, width,
            norm=f"{module}.bn1", relu=f"{node}/relu/Relu",
        ),
        Conv(
            f"{module}.conv2", f"{node}/conv2/Conv", f"{node}/relu/Relu", width, width,
            3, stride, 1, f"{module}.bn2", relu=f"{node}/relu_1/Relu",
        ),
    ]  # fmt: skip
    add, relu = f"{node}/Add", f"{node}/relu_2/Relu"
    last = f"{node}/conv3/Conv", f"{node}/relu_1/Relu", width, 4 * width
    if channels == 4 * width:
        rows.append(
            Conv(f"{module}.conv3", *last, norm=f"{module}.bn3", adds=source, add=add, relu=relu)
        )
        return rows
    rows.append(Conv(f"{module}.conv3", *last, norm=f"{module}.bn3"))
    rows.append(
        Conv(
            f"{module}.downsample.0", f"{node}/downsample/downsample.0/Conv", source, channels,
            4 * width, 1, stride, 0, f"{module}.downsample.1",
            adds=rows[-1].node, add=add, relu=relu,
        )
    )  # fmt: skip
    return rows
