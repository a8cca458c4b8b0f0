"""What was found where the number of a codec was searched for: dials.json."""

from collections.abc import Mapping

from orchestrator.results.json_record import Record


class TriedStep(Record, frozen=True, kw_only=True):
    """What a codec came to on calibration frames: the mean of what a frame takes, what it loses.

    ``drop`` is how much accuracy is less than the whole model's, with its 95 % interval over
    pictures where these are enough for one; None where that was not looked at.
    """

    codec: str
    kbit: float
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None


class DialRecord(Record, frozen=True, kw_only=True):
    """Of what crosses the cut after ``k`` layers: the codec asked for, and as it was found.

    ``target`` is in words. Where nothing reaches it ``missed`` says so, and ``found`` is what comes
    nearest. ``frames`` is on how many calibration frames, ``tried`` all that was tried on them.
    """

    k: int
    asked: str
    target: str
    found: TriedStep
    frames: int
    missed: str = ""
    tried: tuple[TriedStep, ...] = ()


class Dials(Record, frozen=True, kw_only=True):
    """All that were searched for in a run."""

    dials: tuple[DialRecord, ...] = ()

    @property
    def steps(self) -> Mapping[tuple[int, str], str]:
        """The codec that was found, by the cut and the one that was asked for."""
        return {(one.k, one.asked): one.found.codec for one in self.dials}

    def of(self, k: int | None, codec: str) -> DialRecord | None:
        """That of a cut and a codec as it was found; None where it was not searched for."""
        here = (one for one in self.dials if (one.k, one.found.codec) == (k, codec))
        return next(here, None)
