"""Tensors as they are described between processes, and what of it is believed.

Sizes follow from datatype and shape, and are checked against what the receiver expects.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from splitbed.errors import NodeError, UsageError
from splitbed.media.recipes import PictureRecipe, Recipe, SoundRecipe, TokenRecipe
from splitbed.media.text.tokens import MOST_TOKEN
from splitbed.tensors import DATATYPES, MAX_TENSORS_BYTES, NUMPY_TYPES, TensorInfo, Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Tensor, TensorHeader

PROTOCOL = 16
"""Of the messages; it changes when nodes of before could not follow any more."""

MAX_TENSORS = 4096
MAX_RANK = 16

MAX_PICTURE_BYTES = 64 << 20
MAX_RATE = 400_000  # samples of a sound in a second
LEAST_DEVIATION = 2.0**-20  # by which pixels from 0 to 1 are divided


def _options(most_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_send_message_length", most_bytes),
        ("grpc.max_receive_message_length", most_bytes),
        ("grpc.enable_http_proxy", 0),  # a proxy reaches neither a namespace nor a Unix socket
    ]


_MESSAGE_BYTES = 4 << 20

CHANNEL_OPTIONS = [
    *_options(_MESSAGE_BYTES),
    # a message is one frame of HTTP/2 and never waits for leave to be sent
    ("grpc.http2.max_frame_size", _MESSAGE_BYTES),
    ("grpc.http2.lookahead_bytes", 2 * _MESSAGE_BYTES),
    ("grpc.http2.bdp_probe", 0),
]
"""For both ends of a data plane's channel: header and payload of a message."""

CONTROL_OPTIONS = _options(MAX_PICTURE_BYTES + (1 << 20))
"""For both ends of a control plane's channel, over which pictures come in one message."""


def describe(tensors: Tensors) -> tuple[TensorInfo, ...]:
    """Names, datatypes and shapes of arrays."""
    return tuple(
        TensorInfo(name, DATATYPES[array.dtype], array.shape) for name, array in tensors.items()
    )


def nbytes(tensors: Tensors) -> int:
    """Bytes of arrays as they travel."""
    return sum(info.nbytes for info in describe(tensors))


def tensor_headers(infos: Iterable[TensorInfo]) -> list[TensorHeader]:
    """Descriptions of tensors as they travel."""
    return [
        TensorHeader(name=info.name, datatype=info.datatype, shape=info.shape) for info in infos
    ]


def infos_of(
    headers: Iterable[TensorHeader], *, open_sizes: bool, most_bytes: int = MAX_TENSORS_BYTES
) -> tuple[TensorInfo, ...]:
    """Tensors that are described but not sent; with `open_sizes`, -1 depends on the input.

    Raises NodeError for a description that cannot be, or of more than `most_bytes`.
    """
    few = islice(headers, MAX_TENSORS + 1)
    infos = tuple(_believable(header, smallest=-1 if open_sizes else 0) for header in few)
    if len(infos) > MAX_TENSORS:
        raise NodeError(f"refused more than {MAX_TENSORS} tensors")
    check_bytes(sum(abs(info.nbytes) for info in infos), most_bytes)
    return infos


def believed(
    headers: Sequence[TensorHeader],
    expected: Sequence[TensorInfo] | None,
    most_bytes: int,
    *,
    in_pieces: bool = False,
) -> list[TensorInfo]:
    """Tensors that are to be received, as described; expected ones may come `in_pieces`, if so.

    Raises NodeError for others than are expected, or than can be, and for more than `most_bytes`.
    """
    smallest = -1 if in_pieces and expected is not None else 0
    infos = [_believable(tensor, smallest) for tensor in headers[: MAX_TENSORS + 1]]
    if len(infos) > MAX_TENSORS or len({info.name for info in infos}) < len(infos):
        raise NodeError(f"refused {len(headers)} tensors: too many, or a name twice")
    if expected is not None:
        check_expected(infos, expected)
    known = [info for info in infos if not info.is_stream]
    if unknown := next((info for info in known if min(info.shape, default=0) < 0), None):
        raise NodeError(f"refused {_words([unknown])}: only UINT8[-1] may come in pieces")
    check_bytes(sum(info.nbytes for info in known), most_bytes)
    return infos


def whole_tensors(tensors: Tensors) -> list[Tensor]:
    """Small tensors, each a message; none of them where together they are no small message."""
    infos = describe(tensors)
    if sum(info.nbytes for info in infos) > MAX_PICTURE_BYTES:
        return []
    return [
        Tensor(info=header, data=np.ascontiguousarray(array).tobytes())
        for header, array in zip(tensor_headers(infos), tensors.values(), strict=True)
    ]


def tensors_of(messages: Iterable[Tensor]) -> Tensors:
    """The arrays of :func:`whole_tensors`; NodeError where bytes and shape disagree."""
    tensors: Tensors = {}
    for message in messages:
        info = _believable(message.info)
        if info.nbytes != len(message.data):
            raise NodeError(f"tensor {info.name} holds {info.nbytes} bytes, got another number")
        array = np.frombuffer(message.data, NUMPY_TYPES[info.datatype])
        tensors[info.name] = array.reshape(info.shape)
    return tensors


def recipe_message(recipe: PictureRecipe) -> nodes_pb2.PictureRecipe:
    """A recipe as it travels."""
    return nodes_pb2.PictureRecipe(**vars(recipe))


def recipe_of(
    message: nodes_pb2.PictureRecipe, most_bytes: int = MAX_TENSORS_BYTES
) -> PictureRecipe:
    """The recipe of :func:`recipe_message`; UsageError for one that cannot be.

    NodeError for one that makes more than `most_bytes` of a picture.
    """
    if message.layout not in ("NCHW", "NHWC") or message.datatype not in NUMPY_TYPES:
        raise UsageError(f"no picture becomes {message.layout!r} of {message.datatype!r}")
    channels = len(message.mean)
    if channels not in (1, 3) or len(message.std) != channels:
        raise UsageError(
            f"a picture has 1 or 3 channels, each with a mean and a deviation: got {channels} and "
            f"{len(message.std)}"
        )
    if not np.isfinite([*message.mean, *message.std]).all() or min(message.std) < LEAST_DEVIATION:
        raise UsageError(
            f"a picture's means and deviations are numbers, these {LEAST_DEVIATION:g} at least: got"
            f" {[*message.mean]} and {[*message.std]}"
        )
    elements = message.height * message.width * channels
    check_bytes(elements * np.dtype(NUMPY_TYPES[message.datatype]).itemsize, most_bytes)
    return PictureRecipe(
        height=message.height,
        width=message.width,
        layout="NCHW" if message.layout == "NCHW" else "NHWC",
        mean=tuple(message.mean),
        std=tuple(message.std),
        datatype=message.datatype,
    )


def input_message(
    data: bytes, recipe: Recipe, name: str, infos: Iterable[TensorInfo]
) -> nodes_pb2.Input:
    """A picture, sound or text as it travels, and what the model takes."""
    headers = tensor_headers(infos)
    if isinstance(recipe, TokenRecipe):
        text = nodes_pb2.Text(data=data, **vars(recipe))
        return nodes_pb2.Input(text=text, name=name, tensors=headers)
    if isinstance(recipe, SoundRecipe):
        sound = nodes_pb2.Sound(data=data, **vars(recipe))
        return nodes_pb2.Input(sound=sound, name=name, tensors=headers)
    picture = nodes_pb2.Picture(data=data, recipe=recipe_message(recipe))
    return nodes_pb2.Input(picture=picture, name=name, tensors=headers)


def sound_of(message: nodes_pb2.Sound, most_bytes: int = MAX_TENSORS_BYTES) -> SoundRecipe:
    """The recipe of a sound; UsageError for one that cannot be.

    NodeError for one that makes more than `most_bytes` of a sound.
    """
    if not (message.samples and 0 < message.rate <= MAX_RATE):
        raise UsageError(f"refused to make {message.samples} samples at {message.rate} Hz")
    check_bytes(message.samples * np.dtype(np.float32).itemsize, most_bytes)
    return SoundRecipe(message.samples, message.rate, message.levelled)


def text_of(message: nodes_pb2.Text, inputs: Sequence[TensorInfo]) -> TokenRecipe:
    """The recipe of a text; UsageError for one that is not of inputs as long as these."""
    if {one.shape for one in inputs} != {(1, message.length)}:
        shapes = [list(one.shape) for one in inputs]
        raise UsageError(f"a text of {message.length} tokens is no input of {shapes}")
    if message.filler > MOST_TOKEN:
        raise UsageError(f"a text is filled up with tokens, not with {message.filler}")
    return TokenRecipe(message.length, message.vocabulary, message.filler)


def max_abs_diff(left: Tensors, right: Tensors) -> float:
    """Largest absolute difference over all tensors; infinity where names or shapes differ."""
    if left.keys() != right.keys():
        return math.inf
    return max((_array_diff(left[name], right[name]) for name in left), default=0.0)


def _array_diff(left: npt.NDArray[np.generic], right: npt.NDArray[np.generic]) -> float:
    if left.shape != right.shape or left.dtype != right.dtype:
        return math.inf
    if np.array_equal(left, right, equal_nan=left.dtype.kind == "f"):
        return 0.0
    diff = np.abs(left.astype(np.float64) - right.astype(np.float64))
    return float(np.nan_to_num(diff, nan=math.inf).max(initial=0.0))


def _believable(tensor: TensorHeader, smallest: int = 0) -> TensorInfo:
    if tensor.datatype not in NUMPY_TYPES:
        raise NodeError(f"tensor {tensor.name!r} has datatype {tensor.datatype!r}, not one known")
    if len(tensor.shape) > MAX_RANK or any(size < smallest for size in tensor.shape):
        raise NodeError(f"tensor {tensor.name!r} has an impossible shape {list(tensor.shape)}")
    # numpy refuses sizes that are out of its range even where another one is 0
    if (sizes := math.prod(max(size, 1) for size in tensor.shape)) > MAX_TENSORS_BYTES:
        raise NodeError(f"refused tensor {tensor.name!r} of {sizes} elements: over the limit")
    return TensorInfo(tensor.name, tensor.datatype, tuple(tensor.shape))


def check_bytes(total: int, most_bytes: int) -> None:
    """Raise NodeError for more bytes of tensors than may come."""
    if total > (most := min(most_bytes, MAX_TENSORS_BYTES)):
        raise NodeError(f"refused {total} bytes of tensors: limits.tensor_bytes is {most}")


def check_expected(got: Sequence[TensorInfo], expected: Sequence[TensorInfo]) -> None:
    """Raise NodeError for other tensors than are expected."""
    by_name = {info.name: info for info in got}
    fitting = [by_name[e.name] for e in expected if e.name in by_name and e.fits(by_name[e.name])]
    if not len(fitting) == len(got) == len(expected):
        raise NodeError(f"the peer sent {_words(got)}; expected {_words(expected)}")


def _words(infos: Sequence[TensorInfo]) -> str:
    return ", ".join(f"{i.name} {i.datatype}{list(i.shape)}" for i in infos) or "nothing"
