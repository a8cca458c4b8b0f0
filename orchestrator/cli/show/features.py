"""The feature maps that cross a cut, painted, and a line for each."""

from pathlib import Path

import numpy as np

from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.offline.cutting import crossings, one_cut
from orchestrator.reports.terminal import Line, show_lines
from orchestrator.results.run_folder import check_free
from orchestrator.testbed.local import local_model
from splitbed.command import say
from splitbed.media.features import Array, SavedMosaic, save_features


def show_features(config: SweepConfig, out: Path, frames: int, *, as_json: bool) -> None:
    """Paint what crosses a cut for the first inputs, each in a folder of its own where several.

    Raises UsageError where nothing but the input or the results crosses, or `out` is not free.
    """
    check_free(out)
    lines: list[Line] = []
    with local_model(config) as local:
        split = one_cut(config, local)
        given = local.inputs[:frames]
        for one, crossing in crossings(local, split, given):
            folder = out / one.name if len(given) > 1 else out
            saved = save_features(crossing, folder, local.model.channels_last)
            lines += [
                {"input": one.name, **_feature_line(found, crossing[found.tensor], out)}
                for found in saved
            ]
    show_lines(lines, as_json=as_json)
    if not as_json:
        say(f"painted: {out}")


def _feature_line(found: SavedMosaic, array: Array, out: Path) -> Line:
    finite = array[np.isfinite(array)]
    return {
        # converters join the names of the operators that they fused into one tensor
        "tensor": found.tensor.partition(";")[0],
        "shape": "x".join(map(str, array.shape)),
        "datatype": str(array.dtype),
        "min": float(finite.min()) if finite.size else "none is finite",
        "max": float(finite.max()) if finite.size else "none is finite",
        "zeros %": round(100 * float(np.mean(array == 0)), 1),
        "shown": f"{found.shown} of {found.channels}",
        "file": str(found.path.relative_to(out)),
    }
