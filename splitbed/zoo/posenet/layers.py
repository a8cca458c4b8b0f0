"""PoseNet's 31 layers as rows of a table: what both files, the weights and the seeds agree on.

MobileNetV1 with output stride 16: where the classifier of that name goes on to stride 32, in its
twelfth pair, the stride stays 1.  At width 1 the next depthwise filter is dilated by 2 instead; the
published narrow models neither stride nor widen there (tfjs-models/posenet, mobileNet75Architecture
and mobileNet50Architecture), so they have nothing to make up for.  Names of
tensors and weights are those of the published model.  Every padding is TensorFlow's SAME, which at
these odd sizes puts as much before a map as behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from splitbed.errors import UsageError

IMAGE = "image"
SIDE = 257
WIDTHS = (1.0, 0.75, 0.5)
HEADS = {"heatmap_2": 17, "offset_2": 34, "displacement_fwd_2": 32, "displacement_bwd_2": 32}
"""Output -> channels: 17 key points, their x and y, and both ends of the 16 limbs of a skeleton."""

_BLOCKS = (
    *((64, 1, 1), (128, 2, 1), (128, 1, 1), (256, 2, 1), (256, 1, 1), (512, 2, 1)),
    *((512, 1, 1),) * 5,
)
_END, _NARROW_END = ((1024, 1, 1), (1024, 1, 2)), ((512, 1, 1), (512, 1, 1))
"""Channels at width 1, stride and dilation of each pair of a depthwise and a pointwise layer."""


@dataclass(frozen=True)
class PoseLayer:
    """A convolution and, unless it is a head, the ReLU6 fused with it.

    ``source`` and ``output`` are names of tensors; ``side`` is the output's height and width.
    """

    name: str
    source: str
    output: str
    inputs: int
    outputs: int
    side: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    depthwise: bool = False
    relu6: bool = True

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the weight: outputs, inputs seen by each, height, width."""
        return (self.outputs, 1 if self.depthwise else self.inputs, self.kernel, self.kernel)

    @property
    def pad(self) -> int:
        """Zeros before and behind the map in both directions."""
        return self.kernel // 2 * self.dilation


def layers(width: float) -> tuple[PoseLayer, ...]:
    """The layers in the order of the file: 27 of the trunk, then the four parallel heads.

    Raises:
        UsageError: there is no such width.
    """
    if width not in WIDTHS:
        choices = ", ".join(map(str, WIDTHS))
        raise UsageError(f"there is no PoseNet of width {width:g}: choose {choices}")
    trunk = tuple(_trunk(width))
    last = trunk[-1]
    heads = (
        PoseLayer(
            f"MobilenetV1/{name}", last.output, name, last.outputs, outputs, last.side, relu6=False
        )
        for name, outputs in HEADS.items()
    )
    return (*trunk, *heads)


def _trunk(width: float) -> Iterator[PoseLayer]:
    channels, side, output = int(32 * width), _halved(SIDE), "MobilenetV1/Relu6"
    yield PoseLayer("Conv2d_0", IMAGE, output, 3, channels, side, kernel=3, stride=2)
    blocks = (*_BLOCKS, *(_END if width == 1 else _NARROW_END))
    for number, (full, stride, dilation) in enumerate(blocks, 1):
        side = _halved(side) if stride == 2 else side
        source, output = output, f"MobilenetV1/Relu6_{2 * number - 1}"
        yield PoseLayer(
            f"Conv2d_{number}_depthwise", source, output, channels, channels, side,
            kernel=3, stride=stride, dilation=dilation, depthwise=True,
        )  # fmt: skip
        source, output = output, f"MobilenetV1/Relu6_{2 * number}"
        inputs, channels = channels, int(full * width)
        yield PoseLayer(f"Conv2d_{number}_pointwise", source, output, inputs, channels, side)


def _halved(side: int) -> int:
    return (side + 1) // 2
