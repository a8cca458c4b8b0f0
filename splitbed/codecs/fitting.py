"""Fitting a codec: tables of calibration frames, which both ends have before the first frame."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from splitbed.codecs.calibration import channel_axis
from splitbed.codecs.codec import Codec
from splitbed.codecs.named import NamedKind
from splitbed.codecs.stage import Floats, Setting
from splitbed.errors import NodeError, SplitbedError, UsageError
from splitbed.tensors import TensorInfo, Tensors

Tables = Mapping[tuple[str, str], bytes]
"""By the stage, as a codec's name has it with its number said, and the tensor's name."""


def check_fitted(codec: Codec, infos: Sequence[TensorInfo], setting: Setting) -> None:
    """Raise UsageError where nothing that crosses could ever fit it to the tensors ``infos``."""
    codec.check_first()
    for stage in codec.stages:
        # a stage of a user's package need not say so
        check = getattr(stage.fitted, "check", None)
        for info in infos if stage.fitted else ():
            if min(info.shape, default=0) < 0:
                raise UsageError(f"{_refusal(stage, info)}: its size depends on the content")
            if check and stage.fitted and stage.fitted.takes(info):
                try:
                    check(info, setting)
                except UsageError as error:
                    raise UsageError(f"{_refusal(stage, info)}: {error}") from None


def fit(
    codec: Codec,
    infos: Sequence[TensorInfo],
    frames: Sequence[Tensors],
    setting: Setting,
    sensitivity: Mapping[str, Floats] | None = None,
) -> dict[tuple[str, str], bytes]:
    """The tables that a codec needs of the tensors ``infos``, as ``Setting.tables`` has them.

    ``sensitivity`` is by tensor name; see :class:`splitbed.codecs.stage.FittedKind`.

    Raises:
        UsageError: there is no frame, the fitted stage does not stand first, or cannot be.
        NodeError: these are frames that nothing can be fitted to; it names stage and tensor.
    """
    codec.check_first()
    first = next(iter(codec.stages), None)
    if first is None or (kind := first.fitted) is None:
        return {}
    if not frames:
        raise UsageError(f"{codec.name} cannot be fitted without a frame: give one or more")
    return {
        (first.key, info.name): _fitted(
            first, info, frames, setting, (sensitivity or {}).get(info.name)
        )
        for info in infos
        if kind.takes(info)
    }


def weighed_along(
    codec: Codec, infos: Sequence[TensorInfo], frames: Sequence[Tensors], setting: Setting
) -> dict[str, int]:
    """By tensor name the axis of the channels whose sensitivity :func:`fit` of these frames needs.

    Raises as :func:`fit` does.
    """
    first = next(iter(codec.stages), None)
    if first is None or (kind := first.fitted) is None or not kind.weighted:
        return {}
    # a stage of a user's package need not say so
    said = getattr(kind, "axis", None)
    found = {}
    for info in filter(kind.takes, infos):
        found[info.name] = channel_axis(len(info.shape), setting.channels_last)
        if said:
            with _refusing(first, info):
                found[info.name] = said(info, [one[info.name] for one in frames], setting)
    return found


def needed(codec: Codec, infos: Sequence[TensorInfo]) -> list[tuple[str, str]]:
    """The keys of the tables that it needs of the tensors ``infos``."""
    return [
        (stage.key, info.name)
        for stage in codec.stages
        for info in infos
        if stage.fitted and stage.fitted.takes(info)
    ]


def digest(table: bytes) -> str:
    """The sha256 of tables, in hexadecimal: by it the two ends tell that they have the same."""
    return hashlib.sha256(table).hexdigest()


def _fitted(
    stage: NamedKind,
    info: TensorInfo,
    frames: Sequence[Tensors],
    setting: Setting,
    sensitivity: Floats | None,
) -> bytes:
    kind = stage.fitted
    assert kind is not None
    own = [frame[info.name] for frame in frames]
    with _refusing(stage, info):
        return kind.fit(info, own, setting, stage.parameter, sensitivity)


@contextmanager
def _refusing(stage: NamedKind, info: TensorInfo) -> Iterator[None]:
    """What goes wrong in a kind names stage and tensor."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{_refusal(stage, info)}: {error}") from None
    except SplitbedError as error:
        raise NodeError(f"{_refusal(stage, info)}: {error}") from error
    except Exception as error:  # a user's codec may raise anything
        raise NodeError(f"{_refusal(stage, info)}: {type(error).__name__}: {error}") from error


def _refusal(stage: NamedKind, info: TensorInfo) -> str:
    return (
        f"the codec {stage.word} cannot be fitted to {info.name}"
        f" ({info.datatype} {list(info.shape)})"
    )
