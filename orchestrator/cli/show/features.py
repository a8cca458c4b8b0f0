"""The feature maps that cross a cut, painted, and a line for each."""

from functools import partial
from pathlib import Path

import numpy as np

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.calibration import calibrate
from orchestrator.offline.cutting import crossings, one_cut
from orchestrator.reports.terminal import Line, show_lines
from orchestrator.results.run_folder import check_free
from orchestrator.testbed.local import Ends, local_model
from splitbed.command import say
from splitbed.media.features import Array, SavedMosaic, lost, save_features


def show_features(
    config: SweepConfig, out: Path, frames: int, codec: str | None, *, as_json: bool
) -> None:
    """Paint what crosses a cut for the first inputs, each in a folder of its own where several.

    With a `codec`, also what comes back of that, and the difference. Raises UsageError where
    nothing but the input or the results crosses, or `out` is not free.
    """
    check_free(out)
    lines: list[Line] = []
    with local_model(config) as local:
        split = one_cut(config, local)
        given = local.inputs[:frames]
        ends = None
        if codec:
            note = partial(say, stderr=True)
            told = calibrate(config, local.model, [(split.k, codec)], note=note)
            ends = Ends(local.model, split.k, codec, told.known)
        for one, crossing in crossings(local, split, given):
            folder = out / one.name if len(given) > 1 else out
            crossed = ends.cross(crossing) if ends else None
            decoded = crossed.decoded if crossed else {}
            saved = save_features(crossing, folder, local.model.channels_last, decoded=decoded)
            for found in saved:
                array = crossing[found.tensor]
                line: Line = {"input": one.name, **_feature_line(found, array, out)}
                if crossed:
                    coded = crossed.encoded[found.tensor]
                    line |= _lost_line(array, coded, decoded[found.tensor])
                lines.append(line)
    show_lines(lines, as_json=as_json)
    if not as_json:
        say(f"painted: {out}")


def _lost_line(array: Array, coded: Array, decoded: Array) -> Line:
    differences = lost(array, decoded)
    finite = differences[np.isfinite(differences)]
    return {
        "kbit": round(coded.nbytes / 125, 1),
        "rms lost": float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0,
        "most lost": float(np.abs(finite).max(initial=0)),
    }


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
