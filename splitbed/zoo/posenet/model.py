"""PoseNet, the anchor model of clause 10.2, as a TFLite or an ONNX file.

MobileNetV1, output stride 16. Input ``image`` FP32 257x257 RGB in [-1, 1]; outputs, each 17x17:
``heatmap_2`` (17 key points, logits), ``offset_2`` (34: their y, then x, in pixels),
``displacement_fwd_2`` and ``displacement_bwd_2`` (32 each). TFLite is NHWC, ONNX is NCHW; both
hold the same weights under the same names. The 31 layers are :mod:`splitbed.zoo.posenet.layers`.

The network has 3,313,907 parameters. Table 10.2.4-1 prints 1,180,147, which is wrong: the 13.3 MB
that it prints beside it are 3.3 million FP32 numbers, and the sizes of the published split models
add up to them too.
"""

import math
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.zoo.layers import BLANK, blank
from splitbed.zoo.posenet import seeded as posenet_seeded
from splitbed.zoo.posenet.layers import layers

FORMATS = ("tflite", "onnx")


def build(
    seed: int | None = 0,
    weights: Path | None = None,
    width: float = 1.0,
    model_format: str = "tflite",
) -> tuple[bytes, str]:
    """The model file, and a line that says which weights it holds.

    That line, which the file holds too, is ``seeded (seed 0)``, ``zeros`` where ``seed`` is None,
    or ``FILE sha256:…`` of ``weights``, a .tflite, .onnx or .npz file. ``width`` is 1.0, 0.75 or
    0.5; ``model_format`` is tflite or onnx.

    Raises:
        UsageError: no such width or format; or ``weights`` cannot be read, or does not fit: every
            misfit is named.
    """
    if model_format not in FORMATS:
        choices = " or ".join(FORMATS)
        raise UsageError(f"PoseNet is not made as {model_format!r}: choose {choices}")
    rows = layers(width)
    if weights is not None:
        from splitbed.zoo.posenet import (
            weights as posenet_weights,  # it imports what reads every format
        )

        held, origin = posenet_weights.load(weights, width)
    elif seed is None:
        held, origin = blank((row.name, row.shape) for row in rows), BLANK
    else:
        held, origin = posenet_seeded.weights(rows, seed), f"seeded (seed {seed})"
    if model_format == "onnx":
        from splitbed.zoo.posenet.onnx import to_onnx  # each imports its own format's package

        return to_onnx(rows, held, origin), origin
    from splitbed.zoo.posenet.tflite import to_tflite

    return to_tflite(rows, held, origin), origin


def parameters(width: float = 1.0) -> int:
    """How many numbers training learns: 3,313,907 at width 1.0.

    Raises:
        UsageError: there is no such width.
    """
    return sum(math.prod(layer.shape) + layer.outputs for layer in layers(width))
