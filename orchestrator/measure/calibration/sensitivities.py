"""What part 2 is sensitive to, measured in this process, and kept for the next run that asks.

Part 2 runs here as it does when accuracy is judged: what it gives is the same on the edge, which
need not stop for some hundreds of runs.  Where it ends in a choice, as a detector does in its best
boxes, what it chooses from is taken for its outputs.
"""

import hashlib
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from orchestrator.testbed.cache import cache_folder
from orchestrator.testbed.model import SweptModel
from splitbed.codecs.klt.sensitivity import runs_of, sensitivity
from splitbed.codecs.stage import Floats
from splitbed.graphs.chosen import before_choice
from splitbed.graphs.parts import extract_part
from splitbed.tensors import Tensors

VERSION = 3
"""Of how it is measured: what was kept by another is measured anew."""
TOLD_S = 5.0


class Sensitivities:
    """Of one model and cut; `note` is told how long it takes, `check` may end it at any run."""

    def __init__(
        self, model: SweptModel, k: int, note: Callable[[str], None], check: Callable[[], None]
    ) -> None:
        self._model, self._k = model, k
        self._note, self._check = note, check

    def of(self, frames: Sequence[Tensors], axes: Mapping[str, int]) -> dict[str, Floats]:
        """W by tensor, as :func:`splitbed.codecs.klt.sensitivity.sensitivity` has it.

        Raises SplitbedError where part 2 cannot be run, or nothing is to be measured.
        """
        file = cache_folder() / "sensitivity" / f"{self._key(frames, axes)}.npz"
        channels = {name: frames[0][name].shape[axis] for name, axis in axes.items()}
        if (kept := _read(file, channels)) is not None:
            return kept
        end = before_choice(self._model.graph, self._k)
        rest = extract_part(self._model.stored, self._k, end)
        with self._model.session(rest, 0) as session:
            ran = _Ran(runs_of(frames, axes), self._name, self._note, self._check)
            drafts: list[Path] = []

            def keep(name: str, measure: Callable[[], Floats]) -> Floats:
                drafts.append(draft := file.with_name(f"{file.stem}-{name}.npz"))
                count = [*channels.values()][int(name.partition("-")[0])]
                if (before := _read(draft, {"": count})) is not None:
                    ran.spare(count)
                    return before[""]
                gram = measure()
                with suppress(OSError):  # of the whole it is told
                    _write(draft, {"": gram})
                return gram

            found = sensitivity(session.run, frames, axes, ran, keep)
        try:
            _write(file, found)
            for draft in drafts:
                draft.unlink(missing_ok=True)
        except OSError as error:
            self._note(f"cannot keep {file}, and it will be measured again: {error.strerror}")
        return found

    @property
    def _name(self) -> str:
        return self._model.split_name(self._k)

    def _key(self, frames: Sequence[Tensors], axes: Mapping[str, int]) -> str:
        """The sha256 of all that it depends on."""
        told = hashlib.sha256()
        of = VERSION, self._model.facts.sha256, self._model.runtime, self._k, dict(axes)
        told.update(repr(of).encode())
        for frame in frames:
            for name, array in frame.items():
                told.update(f"{name} {array.dtype} {array.shape}".encode())
                told.update(array.tobytes())
        return told.hexdigest()


class _Ran:
    """Tells how many runs are done, once it is known how long that takes."""

    def __init__(
        self, runs: int, name: str, note: Callable[[str], None], check: Callable[[], None]
    ) -> None:
        self._runs, self._name, self._note, self._check = runs, name, note, check
        self._done, self._began_s = 0, time.monotonic()
        self._told_s = self._began_s - TOLD_S + 1

    def spare(self, runs: int) -> None:
        """So many need not be done."""
        self._runs -= runs

    def __call__(self) -> None:
        self._check()
        self._done += 1
        now_s = time.monotonic()
        if now_s - self._told_s >= TOLD_S:
            self._told_s = now_s
            left_s = (now_s - self._began_s) / self._done * (self._runs - self._done)
            self._note(
                f"measuring what part 2 is sensitive to at {self._name}: run {self._done} of "
                f"{self._runs}, about {left_s:.0f} s left"
            )


def _read(file: Path, channels: Mapping[str, int]) -> dict[str, Floats] | None:
    """What was kept; None where there is nothing, or something that it cannot be."""
    try:
        with np.load(file, allow_pickle=False) as held:
            found = {name: held[f"arr_{place}"] for place, name in enumerate(channels)}
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
        return None
    for name, count in channels.items():
        kept = found[name]
        if kept.dtype != np.float32 or kept.shape != (count, count) or not np.isfinite(kept).all():
            return None
    return found


def _write(file: Path, found: Mapping[str, Floats]) -> None:
    """As a whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent, suffix=".draft", delete=False) as draft:
        try:
            np.savez(draft, *found.values())
            Path(draft.name).replace(file)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
