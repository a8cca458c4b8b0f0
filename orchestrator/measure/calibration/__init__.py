"""Calibration of codecs: what they are told of what crosses each cut, before the first frame.

    frames that are not measured ──> part 1 ──> ranges of channels              quantisers, mosaics
                                            ──> tables                          fitted stages
                                     part 2 ──> what it is sensitive to ──^     as they weigh by it

It is kept with the run, and so a run that goes on codes as it began.
"""

from orchestrator.measure.calibration.converted import convert, keep_quantised_on, quantised_on
from orchestrator.measure.calibration.frames import (
    Identity,
    calibration_inputs,
    fitted_to,
    identity,
    searched_inputs,
    seen,
)
from orchestrator.measure.calibration.record import Calibration, read_calibration
from orchestrator.measure.calibration.taking import Calibrator, calibrate

__all__ = [
    "Calibration",
    "Calibrator",
    "Identity",
    "calibrate",
    "calibration_inputs",
    "convert",
    "fitted_to",
    "identity",
    "keep_quantised_on",
    "quantised_on",
    "read_calibration",
    "searched_inputs",
    "seen",
]  # fmt: skip
