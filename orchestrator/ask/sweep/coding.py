"""The codecs of what crosses a cut, each tried on what crosses there."""

import numpy as np

from orchestrator.ask.sweep.cell import CutModel
from orchestrator.ask.sweep.config import SweepConfig
from splitbed.codecs import Codec, codec_named
from splitbed.codecs.calibration import channel_axis
from splitbed.codecs.fitting import check_fitted
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import UsageError


def codecs_at(config: SweepConfig, model: CutModel, k: int) -> list[str]:
    """Those of what crosses a cut; UsageError for one that does not exist or cannot be used."""
    found = []
    asked = {0: config.input_codec, model.graph.n: config.output_codec}
    for name in dict.fromkeys(asked.get(k, config.codec)):
        codec = codec_named(name)
        if codec.sequential and any(load.offered for load in config.loads):
            raise UsageError(
                f"{name} codes a frame with what it knows of the one before, and under a load "
                f"frames are sent again, and dropped: give another codec, or --load closed"
            )
        if codec.sequential and len(model.inputs) < config.most_runs:
            raise UsageError(
                f"{name} codes a frame with what it knows of the one before: a cell of up to "
                f"{config.most_runs} frames would send some of {len(model.inputs)} inputs twice; "
                "give --runs N, and an input of as many frames"
            )
        check_codes(codec, model, k)
        found.append(codec.name)
    return found


def check_codes(codec: Codec, model: CutModel, k: int) -> None:
    """UsageError where it cannot code what crosses, whatever that is."""
    if codec.fitted:  # it is bound once it is fitted
        check_fitted(codec, model.graph.cuts[k].tensors, _made_up(model, k))
    else:
        codec.bind(model.graph.cuts[k].tensors, _made_up(model, k))


def _made_up(model: CutModel, k: int) -> Setting:
    """What binding a codec takes, before anything was calibrated."""
    ranges = {}
    for info in model.graph.cuts[k].tensors:
        axis = channel_axis(len(info.shape), model.channels_last)
        ends = np.zeros(info.shape[axis] if info.shape else 1, np.float32)
        ranges[info.name] = Range(ends, ends + 1)
    return Setting(ranges, model.channels_last, model.picture_at(k))
