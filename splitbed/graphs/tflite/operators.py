"""What TFLite's kernels take for granted of their operators and tensors, and do not look at.

Of an operator: that its options are those of its kind, that what it divides by is none of 0, and
that an input is there unless it may be left out.  Of a quantised tensor: a scale for each channel.
"""

import math
from collections.abc import Collection, Sequence

from ai_edge_litert import schema_py_generated as schema

from splitbed.errors import UsageError
from splitbed.graphs.tflite.tables import Operator, Tensor

_SHARED = {
    "pool2d": ("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D"),
    "reducer": (
        "MEAN", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM",
    ),
    "maximumminimum": ("MAXIMUM", "MINIMUM"),
    "l2norm": ("L2_NORMALIZATION",),
    "conv3d": ("CONV_3D", "CONV_3D_TRANSPOSE"),
    "random": ("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL"),
    "sequencernn": ("UNIDIRECTIONAL_SEQUENCE_RNN",),
}  # fmt: skip
"""Options of several operators; those of one alone are called as it is."""
_DIVISORS = {
    "strideW", "strideH", "strideD", "dilationWFactor", "dilationHFactor", "dilationDFactor",
    "filterWidth", "filterHeight", "blockSize", "numSplits",
}  # fmt: skip
_MAY_LACK = {
    "CONV_2D": {2}, "DEPTHWISE_CONV_2D": {2}, "CONV_3D": {2}, "FULLY_CONNECTED": {2},
    "TRANSPOSE_CONV": {3}, "CONV_3D_TRANSPOSE": {3}, "SVDF": {3},
}  # fmt: skip
"""Places of inputs that may be left out."""
_TRUSTED = {
    "BATCH_TO_SPACE_ND": {1, 2}, "FILL": {0}, "MIRROR_PAD": {1}, "MULTINOMIAL": {1},
    "NON_MAX_SUPPRESSION_V4": {2}, "NON_MAX_SUPPRESSION_V5": {2}, "ONE_HOT": {1},
    "RANGE": {0, 1, 2}, "RESIZE_BILINEAR": {1}, "RESIZE_NEAREST_NEIGHBOR": {1},
    "REVERSE_SEQUENCE": {1}, "SCATTER_ND": {0, 2}, "SLICE": {1, 2}, "SPACE_TO_BATCH_ND": {1, 2},
    "SPARSE_TO_DENSE": {0, 1}, "SPLIT_V": {1, 2}, "TRANSPOSE": {1}, "UNSORTED_SEGMENT_MAX": {1, 2},
    "UNSORTED_SEGMENT_MIN": {1, 2}, "UNSORTED_SEGMENT_PROD": {1, 2}, "UNSORTED_SEGMENT_SUM": {1, 2},
}  # fmt: skip
"""Places of inputs that say where a kernel reads or writes, or how much.

Those of ai-edge-litert look at them; of tflite-runtime 2.14 each of these ended its process, or is
as one that did, fed with some of -2147483648, -1000, -1, 0, 7, 1000000 and 2147483647 (2026-11-29).
"""
OF_SHAPES = ("SHAPE", "RANK")
"""What they give is not decided by what they are fed."""
_MAY_LACK_ANY = ("LSTM", "RNN", "CUSTOM")
_DAMAGE = "get the file again"


def _kinds(enumeration: type, options: str) -> dict[str, int]:
    named = {name: number for name, number in vars(enumeration).items() if name[0] != "_"}
    return {name.lower().removesuffix(options): number for name, number in named.items()}


_OPTIONS = _kinds(schema.BuiltinOptions, "options")
_OPTIONS_2 = _kinds(schema.BuiltinOptions2, "options")
_TABLES = {name.lower(): name for name in vars(schema)}
_OF_SHARED = {operator: kind for kind, operators in _SHARED.items() for operator in operators}


def check_operator(name: str, operator: Operator) -> None:
    """Raise UsageError for options that are not those of the operator called ``name``.

    And for inputs that it lacks.
    """
    kind = _OF_SHARED.get(name, name.replace("_", "").lower())
    for union, known in (("builtinOptions", _OPTIONS), ("builtinOptions2", _OPTIONS_2)):
        given = getattr(operator, f"{union}Type")
        if given not in (0, known.get(kind, given)):
            raise UsageError(f"it is damaged: its {name} has options of another kind; {_DAMAGE}")
    if operator.builtinOptions is None and _divides(kind):
        raise UsageError(f"it is damaged: its {name} has no options; {_DAMAGE}")
    for options in (operator.builtinOptions, operator.builtinOptions2):
        _check_options(name, options)
    lacking = {place for place, index in enumerate(operator.inputs) if index < 0}
    if lacking - _MAY_LACK.get(name, set()) and not any(one in name for one in _MAY_LACK_ANY):
        raise UsageError(f"it is damaged: its {name} lacks input {min(lacking)}; {_DAMAGE}")


def check_fed(name: str, datatype: str, fed: Collection[int]) -> None:
    """Raise UsageError where a frame decides on inputs that an older kernel takes for granted.

    Of the operator called ``name``, which computes with ``datatype``, these are at the places
    ``fed``.
    """
    trusted = _TRUSTED.get(name, set())
    if name == "DIV" and not datatype.startswith("FLOAT"):
        trusted = {1}
    if trusted.intersection(fed):
        raise UsageError(
            f"its {name} computes with sizes or indices of a frame, of which tflite-runtime may"
            " die: have ai-edge-litert in its place, or convert it with constant ones"
        )


def _divides(kind: str) -> bool:
    options = _TABLES.get(f"{kind}optionst")
    return options is not None and bool(_DIVISORS.intersection(vars(getattr(schema, options)())))


def _check_options(name: str, options: object) -> None:
    if options is None:
        return
    for field, value in vars(options).items():
        if field in _DIVISORS and value < 1:
            raise UsageError(f"it is damaged: its {name} has {field} {value}; {_DAMAGE}")
        if field == "subgraph" or field.endswith("SubgraphIndex"):
            raise UsageError(f"its {name} calls other graphs: convert it without control flow")


def check_quantisation(tensor: Tensor, name: str, shape: Sequence[int]) -> None:
    """Raise UsageError unless there is one scale, or one for each place of an axis."""
    if (quantisation := tensor.quantization) is None:
        return
    scales, zeros = _list(quantisation.scale), _list(quantisation.zeroPoint)
    axis = quantisation.quantizedDimension
    channels = shape[axis] if 0 <= axis < len(shape) else None
    if (len(scales) > 1 and len(scales) != channels) or len(zeros) > max(len(scales), 1):
        raise UsageError(
            f"it is damaged: {name!r} of shape {[*shape]} has {len(scales)} scales and "
            f"{len(zeros)} zero points along axis {axis}; {_DAMAGE}"
        )
    if not all(math.isfinite(scale) and scale >= 0 for scale in scales):
        raise UsageError(f"it is damaged: {name!r} has a scale that is none; {_DAMAGE}")


def _list(vector: Sequence[float] | None) -> list[float]:
    return [] if vector is None else [*map(float, vector)]
