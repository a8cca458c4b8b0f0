"""Kinds of runs, told apart by the file in which each says what it was asked.

run.json  a sweep     models.json  a model sweep     increments.json     growth.json
capacity.json, beside run.json  what a pair carries

What a command takes it says itself; of what it does not take, this says what does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from orchestrator.results.facts import CodedFacts, Conditions, ModelFacts
from orchestrator.results.json_record import Record, json_text
from splitbed.errors import UsageError

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Kind:
    """``command`` makes such a run and goes on with it; ``table`` has its rows."""

    command: str
    asked_file: str
    table: str

    def is_in(self, folder: Path) -> bool:
        """Whether such a run has begun there."""
        return (folder / self.asked_file).is_file()

    def refuse(self, name: str | Path) -> NoReturn:
        """Raise UsageError for a run of this kind, called so, where another kind is needed."""
        raise UsageError(
            f"{name} is a run of `orchestrate {self.command}`, which this does not take: its rows"
            f" are in {self.table}, `orchestrate report --tr` lays them out, `orchestrate"
            f" crosscheck` holds it against another, `orchestrate pack` makes an archive of it, and"
            f" `orchestrate {self.command}` measures one again"
        )


SWEEP = Kind("sweep", RUN_FILE, "summary.csv")
MODEL_SWEEP = Kind("model-sweep", "models.json", "results.csv")
INCREMENTS = Kind("increments", "increments.json", "increments.csv")
GROWTH = Kind("grow", "growth.json", "growth.csv")
IN_TRANSIT = MODEL_SWEEP, INCREMENTS, GROWTH
CAPACITY = Kind("capacity", "capacity.json", "capacity.csv")
KINDS = CAPACITY, SWEEP, *IN_TRANSIT  # a search is a sweep of loads, too


def kind_in(folder: Path) -> Kind | None:
    """Of the run in a folder; None where there is none."""
    return next((kind for kind in KINDS if kind.is_in(folder)), None)


def transit_folder(path: Path) -> Path | None:
    """The folder of a run of models in transit: itself, or the one in that of a scenario.

    None where there is none, and of a sweep. UsageError where a scenario has several.
    """
    found = transit_folders(path)
    if len(found) > 1 and found[0] != path:
        names = ", ".join(one.name for one in found)
        raise UsageError(f"{path} has several runs of models: give one, {names}")
    return found[0] if found else None


def check_sweep(path: Path, name: str | Path) -> None:
    """Raise UsageError where a folder, called so, has runs of other kinds than sweeps alone."""
    for folder in transit_folders(path):
        kind = kind_in(folder)
        assert kind is not None
        kind.refuse(name if folder == path else f"{name}/{folder.name}")


def transit_folders(path: Path) -> list[Path]:
    """Where runs of models in transit have begun: in a folder, or in those that it holds.

    None where the folder is a sweep's.
    """
    if SWEEP.is_in(path):
        return []
    folders = (path, *sorted(path.glob("*/")))
    return [one for one in folders if any(kind.is_in(one) for kind in IN_TRANSIT)]


class TransitRecord(Record, frozen=True, kw_only=True):
    """What was asked, of which model, and under which conditions deliveries were measured.

    ``files`` has the sha256 of those that options name, ``coded`` says by what was coded and judged
    without a link. Conditions are those of the first delivery; of what is measured without a link
    there are none. ``resumed`` has the times at which it was gone on with.
    """

    asked: Mapping[str, object] = {}
    files: Mapping[str, str] = {}
    model: ModelFacts = ModelFacts()
    coded: CodedFacts = CodedFacts()
    conditions: Conditions = Conditions()
    resumed: tuple[str, ...] = ()

    @property
    def config(self) -> Mapping[str, object]:
        """The options of a sweep among those that were asked."""
        config = self.asked.get("config")
        return config if isinstance(config, Mapping) else {}

    @property
    def options(self) -> dict[str, object]:
        """All that was asked, side by side."""
        own = {name: value for name, value in self.asked.items() if name != "config"}
        return {**self.config, **own}


def read_transit_record(folder: Path, kind: Kind) -> TransitRecord:
    """What the run in a folder was asked. UsageError where it cannot be told."""
    file = folder / kind.asked_file
    try:
        return TransitRecord.from_json(json_text(file))
    except OSError as error:
        raise UsageError(
            f"{folder} is no such run: its {file.name} cannot be read ({error.strerror}); give"
            " the folder that an earlier one wrote"
        ) from None
    except (ValueError, TypeError):
        raise UsageError(
            f"{folder} is no such run: its {file.name} is damaged; have it from a backup"
        ) from None
