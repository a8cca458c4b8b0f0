"""PoseNet, the anchor model of clause 10.2, as a TFLite or an ONNX file.

MobileNetV1, output stride 16. Input ``image`` FP32 257x257 RGB in [-1, 1]; outputs, each 17x17:
``heatmap_2`` (17 key points, logits), ``offset_2`` (34: their y, then x, in pixels),
``displacement_fwd_2`` and ``displacement_bwd_2`` (32 each). TFLite is NHWC, ONNX is NCHW; both
hold the same weights under the same names. The 31 layers are :mod:`splitbed.zoo.posenet_layers`.

The network has 3,313,907 parameters. Table 10.2.4-1 prints 1,180,147, which is wrong: the 13.3 MB
that it prints beside it are 3.3 million FP32 numbers, and the sizes of the published split models
add up to them too.
"""

import math
from pathlib import Path
from typing import Literal

from splitbed.zoo import posenet_seeded
from splitbed.zoo.posenet_layers import layers


def build(
    seed: int = 0,
    weights: Path | None = None,
    width: float = 1.0,
    model_format: Literal["tflite", "onnx"] = "tflite",
) -> tuple[bytes, str]:
    """The model file, and a line that says which weights it holds.

    That line, which the file holds too, is ``seeded (seed 0)`` or ``FILE sha256:…``. ``width`` is
    1.0, 0.75 or 0.5.

    Raises:
        UsageError: no such width; or ``weights`` cannot be read, or does not fit: every misfit is
            named.
    """
    rows = layers(width)
    if weights is None:
        held, origin = posenet_seeded.weights(rows, seed), f"seeded (seed {seed})"
    if model_format == "onnx":
        from splitbed.zoo.posenet_onnx import to_onnx  # it imports onnx, which TFLite needs not

        return to_onnx(rows, held, origin), origin
    from splitbed.zoo.posenet_tflite import to_tflite

    return to_tflite(rows, held, origin), origin


def parameters(width: float = 1.0) -> int:
    """How many numbers training learns: 3,313,907 at width 1.0.

    Raises:
        UsageError: there is no such width.
    """
    return sum(math.prod(layer.shape) + layer.outputs for layer in layers(width))
