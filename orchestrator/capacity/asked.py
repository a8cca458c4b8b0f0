"""What `orchestrate capacity` is asked: what must hold, and what is searched."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from orchestrator.ask.load import MOST_FPS, Load, load_named
from orchestrator.ask.load.trace_file import MOST_FRAMES
from orchestrator.ask.split_point import DEVICE_ANCHOR, NETWORK_ANCHOR
from orchestrator.ask.sweep.cell import Cell, CutModel
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.grid import splits_asked
from orchestrator.ask.topology import MOST_UES
from orchestrator.capacity.objective import USUAL_DROPS, Objective, objective
from orchestrator.capacity.search import WITHIN, Scale, readable
from orchestrator.results.kinds import CAPACITY
from orchestrator.results.records.capacity import CapacityRecord, Over
from orchestrator.results.run_folder import RunFolder
from splitbed.checked import Frozen, one_line
from splitbed.codecs import RAW
from splitbed.errors import UsageError
from splitbed.graphs.splits import MANY

Place = str | Path

USUAL_SECONDS, USUAL_IN_FLIGHT = 10.0, 8
"""Of a run, at least; and how many frames may be under way, where no number is given."""
Kind = Literal["fps", "poisson"]
_KINDS: tuple[Kind, ...] = ("fps", "poisson")
_NOT_ASKED = (
    "delivery", "profile", "budget", "until_sure", "runs", "min_runs", "max_runs", "blocks",
    "ue_precision", "edge_precision",
)  # fmt: skip
"""Options of a sweep that a search decides for itself, or that it goes without."""
_RANGE = re.compile(r"\s*(\d{1,4})\s*:\s*(\d{1,4})\s*")


@dataclass(frozen=True)
class Capacity:
    """One search for each configuration of `config`.

    Over rates, whose frames come as `kind` says; or over numbers of UEs from `fewest` to `most`, at
    `fps_each`.
    """

    config: SweepConfig
    must_hold: Objective
    slo: tuple[str, ...]
    drop_rate: str
    kind: Kind = "fps"
    fps_each: float | None = None
    fewest: int = 1
    most: int = 1
    seconds: float = USUAL_SECONDS
    within: float = WITHIN

    @property
    def over(self) -> Over:
        """What is searched."""
        return "fps" if self.fps_each is None else "ues"

    def searched(self, grid: Sequence[Cell], model: CutModel) -> list[Cell]:
        """The cells of a grid that are: each anchor only where `--split` names it, or names none.

        A search takes minutes, and no answer needs another beside it. Raises UsageError.
        """
        found = list(grid)
        if self.config.split not in MANY:
            own = splits_asked(self.config, model)
            found = [one for one in grid if one.configuration.cuts in own or not _ends(one)]
        self._check_input(found, model.graph.n)
        return found

    def _check_input(self, searched: Sequence[Cell], n: int) -> None:
        """UsageError where the input is to be coded, and crosses in none of these."""
        codecs = self.config.input_codec
        crossing = {cut for one in searched for cut, _ in one.configuration.coding}
        if codecs != (RAW,) and 0 not in crossing:
            raise UsageError(
                f"--input-codec {','.join(codecs)} codes an input that crosses, and in nothing "
                f"that is searched it does: name a cut where it does, as 0:{n} is, or leave it"
            )

    def rates(self, alone_ms: float) -> Scale:
        """The rates that may be tried, where one frame after another takes so long each.

        The first is half of what these come to.
        """
        first = readable(min(500 / alone_ms, MOST_FPS))
        return Scale(first, readable(first / 8), MOST_FPS, self.within)

    @property
    def counts(self) -> Scale:
        """The numbers of UEs that may be tried."""
        return Scale(float(self.fewest), float(self.fewest), float(self.most), whole=True)

    def load(self, fps: float) -> Load:
        """So many frames a second of each UE."""
        config = self.config
        how = config.in_flight, config.queue, config.drop, config.deadline_ms
        return load_named(f"{self.kind}:{fps:g}", *how)

    def amount(self, load: float) -> str:
        """So much of what is searched."""
        if self.fps_each is None:
            return f"{self.kind} {load:g} a second"
        return f"{load:.0f} UEs of {self.fps_each:g} a second"

    def frames(self, fps: float) -> int:
        """How many of each UE a run offers: they tell of all limits, and last long enough."""
        return min(max(self.must_hold.frames, round(fps * self.seconds)), MOST_FRAMES)

    def record(self) -> CapacityRecord:
        """As capacity.json has it, without answers."""
        return CapacityRecord(
            slo=self.slo,
            drop_rate=self.drop_rate,
            over=self.over,
            load=self.kind if self.fps_each is None else f"{self.kind}:{self.fps_each:g}",
            ues=f"{self.fewest}:{self.most}" if self.over == "ues" else "",
            seconds=self.seconds,
            within=self.within,
            words=self.must_hold.words,
        )


def capacity_or_resumed(
    model: Place | None,
    resume: Path | None,
    options: Mapping[str, object],
    own: Mapping[str, object],
) -> Capacity:
    """What is asked for by options of a sweep and `own` ones, or was, where one is gone on with.

    Raises UsageError.
    """
    own = {name: value for name, value in own.items() if value is not None}
    if resume is None:
        return capacity({**options, "model": None if model is None else str(model)}, own)
    if model is not None or options or own:
        raise UsageError("--resume goes on with the options of that search: give no others")
    return _read(resume)


def _read(run: Path) -> Capacity:
    folder = RunFolder(run)
    if (told := folder.read_capacity()) is None:
        raise UsageError(
            f"{run} is no run of orchestrate capacity: it has no {CAPACITY.asked_file}; give the "
            "folder that one wrote"
        )
    asked = folder.read_run().asked
    options = {k: v for k, v in asked.items() if v is not None and k not in _NOT_ASKED}
    own = {name: getattr(told, name) for name in _Own.model_fields}
    return capacity(options | {"load": told.load, "ues": told.ues or options.get("ues")}, own)


class _Own(Frozen):
    """What a search is asked beside what a sweep is."""

    slo: tuple[str, ...]
    drop_rate: str = USUAL_DROPS
    seconds: float = Field(USUAL_SECONDS, ge=1, le=3600)
    within: float = Field(WITHIN, ge=0.005, le=0.5)


def capacity(options: Mapping[str, object], own: Mapping[str, object]) -> Capacity:
    """What these options of a sweep and `own` ones ask; UsageError for what cannot be."""
    if not own.get("slo"):
        raise UsageError("nothing is to hold: give --slo, as 'e2e_p99<100ms'")
    try:
        asked = _Own.model_validate(own)
    except ValidationError as error:
        typed = {name: f"--{name.replace('_', '-')} {value}" for name, value in own.items()}
        raise UsageError(one_line(error, typed)) from None
    must_hold = objective(asked.slo, asked.drop_rate)
    _check_frames(must_hold)
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name in _NOT_ASKED or name not in SweepConfig.model_fields:
            raise UsageError(f"a search has no option {name!r}; see `orchestrate capacity --help`")
    ues = _words(given.pop("ues", None))
    kind, fps_each = _load(_words(given.pop("load", None)) or "fps", ues)
    fewest, most = _ues(ues) if fps_each is not None and ues else (1, 1)
    given |= {"load": f"{kind}:{fps_each or 1:g}", "delivery": False}
    given |= {} if "ue_profile" in given else {"profile": False}
    given.setdefault("in_flight", USUAL_IN_FLIGHT)
    if fps_each is not None:
        given["ues"] = ",".join(map(str, range(fewest, most + 1)))
    elif ues is not None:
        given["ues"] = ues
    return Capacity(
        sweep_config(given),
        must_hold,
        asked.slo,
        asked.drop_rate,
        kind,
        fps_each,
        fewest,
        most,
        asked.seconds,
        asked.within,
    )


def _check_frames(asked: Objective) -> None:
    """Raise UsageError for what no run has the frames to tell."""
    takes = {f"--slo {limit.text}": asked.frames_of(limit) for limit in asked.limits}
    takes[f"--drop-rate {asked.drops.text}"] = asked.drops.frames
    for told, frames in takes.items():
        if frames > MOST_FRAMES:
            raise UsageError(
                f"{told}: it takes {frames:,} frames to tell, and a run offers {MOST_FRAMES:,} at "
                "most: give a lower percentile, or another share that may be lost"
            )


def _ends(cell: Cell) -> bool:
    """Whether it is an anchor that a sweep has by itself."""
    return cell.configuration.anchor in (NETWORK_ANCHOR, DEVICE_ANCHOR)


def _words(value: object) -> str | None:
    """As a command line has it, where a program or run.json gave a list."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return None if value is None else str(value)


def _load(word: str, ues: str | None) -> tuple[Kind, float | None]:
    """How frames come, and at which rate where that is given."""
    kind, _, rate = word.partition(":")
    found = next((one for one in _KINDS if one == kind), None)
    if found is None:
        raise UsageError(
            f"--load {word}: what is searched is a rate, of frames that come evenly or at random: "
            "give fps or poisson; with --ues 1:32, fps:10 or poisson:10"
        )
    searched = ues is not None and ":" in ues
    if searched and not rate:
        raise UsageError(
            f"--ues {ues} searches for a number of UEs, each with a rate: give --load {kind}:10"
        )
    if rate and not searched:
        raise UsageError(
            f"--load {word}: the rate is what is searched: give --load {kind}; or search for a "
            "number of UEs at that rate, as --ues 1:32"
        )
    return found, load_named(word).rate_fps if rate else None


def _ues(words: str) -> tuple[int, int]:
    read = _RANGE.fullmatch(words)
    if read is None or not 1 <= int(read[1]) < int(read[2]):
        raise UsageError(
            f"--ues {words} is no range of numbers of UEs: give FEWEST:MOST, as 1:32; or a list, "
            "as 1,2,4, and search for a rate with each"
        )
    if int(read[2]) > MOST_UES:
        raise UsageError(f"--ues {words}: {MOST_UES} are the most: give {read[1]}:{MOST_UES}")
    return int(read[1]), int(read[2])
