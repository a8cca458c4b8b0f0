"""The folder of models in transit, written as things happen: what was measured is never lost.

NAME.json      what was asked, of which model, on which machines     coders.jsonl   rows without
cells.jsonl    a line per delivery                                   a link, one per coder
NAME.csv       a row per coder and link: made of both, whenever more is known
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

import msgspec
from msgspec.structs import replace as changed

from orchestrator.measure.conditions import COMPARABLE, now
from orchestrator.results.facts import Conditions, ModelFacts
from orchestrator.results.json_record import Record
from orchestrator.results.run_folder import CELLS_FILE, RunFolder
from orchestrator.transit.delivery import Delivery, Key, counting
from orchestrator.transit.row import ModelRow
from splitbed.errors import SplitbedError, UsageError

CODERS_FILE = "coders.jsonl"
_Row = TypeVar("_Row", bound=ModelRow)


class TransitRecord(Record, frozen=True, kw_only=True):
    """What was asked, of which model, and under which conditions deliveries were measured.

    ``resumed`` has the times at which it was gone on with. Conditions are those of the first
    delivery; of what is measured without a link there are none.
    """

    asked: Mapping[str, object] = {}
    model: ModelFacts = ModelFacts()
    conditions: Conditions = Conditions()
    resumed: tuple[str, ...] = ()


class CoderRecord(Record, frozen=True, kw_only=True):
    """A line of coders.jsonl: what a coder came to where it encoded, as a row without a link."""

    row: dict[str, object]


@dataclass(frozen=True)
class Layout(Generic[_Row]):
    """What a kind of run leaves: the names of its files, its rows, and what they are made by.

    ``by_link`` has its rows stand link by link, else coder by coder.
    """

    asked_file: str
    results_file: str
    row: type[_Row]
    made: Callable[[_Row, Sequence[Delivery]], _Row]
    csv: Callable[[Sequence[_Row]], str]
    by_link: bool = False

    def is_in(self, folder: Path) -> bool:
        """Whether such a run has begun there."""
        return (folder / self.asked_file).is_file()

    def asked(self, folder: Path) -> TransitRecord:
        """What such a run was asked. UsageError where it cannot be told."""
        file = folder / self.asked_file
        try:
            return TransitRecord.from_json(file.read_bytes())
        except OSError as error:
            raise UsageError(
                f"{folder} is no such run: its {file.name} cannot be read ({error.strerror}); give"
                " the folder that an earlier one wrote"
            ) from None
        except (ValueError, TypeError):
            raise UsageError(
                f"{folder} is no such run: its {file.name} is damaged; have it from a backup"
            ) from None


class Journal(Generic[_Row]):
    """What is known so far; every method that adds raises RunError where that cannot be written."""

    def __init__(self, folder: RunFolder, layout: Layout[_Row], tag: str = "") -> None:
        """What the folder has; ``tag`` begins the name of the table."""
        self.folder, self.layout = folder, layout
        self._results = f"{tag}{layout.results_file}"
        self.here: dict[str, _Row] = {}
        """By coder, the rows without a link."""
        self.damage: list[str] = []
        for one in folder.kept(CODERS_FILE, CoderRecord, self.damage):
            try:
                row = msgspec.convert(one.row, layout.row)
            except msgspec.ValidationError as error:
                self.damage.append(f"{folder.path / CODERS_FILE}: a row is left out: {error}")
            else:
                self.here[row.coder_name] = row
        self._deliveries = [*folder.kept(CELLS_FILE, Delivery, self.damage)]

    @classmethod
    def begun(
        cls, folder: RunFolder, layout: Layout[_Row], fresh: TransitRecord, tag: str = ""
    ) -> Self:
        """That of a new run, or of one that goes on with the model that it began with."""
        record = fresh
        if layout.is_in(folder.path):
            before = layout.asked(folder.path)
            if before.model != fresh.model:
                raise UsageError(
                    f"cannot resume {folder.path}: the model or its inputs have changed since; "
                    "start a new one"
                )
            record = changed(before, resumed=(*before.resumed, now()))
        folder.replace(layout.asked_file, record.json(indent=2))
        return cls(folder, layout, tag)

    def under(self, conditions: Conditions) -> None:
        """Deliveries are measured under these; UsageError where others were under other ones."""
        record = self.layout.asked(self.folder.path)
        if self._deliveries:
            names = COMPARABLE
            before = record.conditions
            other = [one for one in names if getattr(before, one) != getattr(conditions, one)]
            if other:
                raise UsageError(
                    f"cannot resume {self.folder.path}, these have changed since: "
                    f"{', '.join(other)}; start a new one"
                )
            return
        told = changed(record, conditions=conditions).json(indent=2)
        self.folder.replace(self.layout.asked_file, told)

    @property
    def deliveries(self) -> dict[Key, Delivery]:
        """Those that count."""
        return counting(self._deliveries)

    @property
    def ended(self) -> set[Key]:
        """Those that need not be made again: they did not fail."""
        return {key for key, one in self.deliveries.items() if one.error is None}

    @property
    def doubtful(self) -> list[Delivery]:
        """Those that count and may be made once more for it."""
        return [one for one in self.deliveries.values() if one.is_doubtful]

    @property
    def rows(self) -> list[_Row]:
        """A row for each coder and link; of what crossed none yet, the row without one."""
        return [*self.points.values()]

    @property
    def points(self) -> dict[tuple[str, str], _Row]:
        """The rows by coder and link in words, which are empty without one."""
        over: dict[tuple[str, str], list[Delivery]] = {}
        for (coder, link, _), one in sorted(self.deliveries.items(), key=lambda item: item[0][2]):
            over.setdefault((coder, link), []).append(one)
        links = [*dict.fromkeys(link for _, link in over), ""]
        found: dict[tuple[str, str], _Row] = {}
        for coder, row in self.here.items():
            crossed = [(coder, link) for link in links if (coder, link) in over]
            found |= {point: self.layout.made(row, over[point]) for point in crossed}
            found |= {} if crossed else {(coder, ""): row}
        if not self.layout.by_link:
            return found
        return dict(sorted(found.items(), key=lambda item: links.index(item[0][1])))

    def add_coder(self, row: _Row) -> None:
        """Write down what a coder came to here."""
        self.here[row.coder_name] = row
        self.folder.append(CODERS_FILE, CoderRecord(row=asdict(row)).line())
        self.write()

    def add(self, one: Delivery) -> None:
        """Write down a delivery."""
        self._deliveries.append(one)
        self.folder.append(CELLS_FILE, one.line())
        self.write()

    def write(self) -> None:
        """Write the table anew."""
        self.folder.replace(self._results, self.layout.csv(self.rows))


@contextmanager
def going_on(command: str, told: Callable[[str], None]) -> Iterator[None]:
    """Tell how to go on with what is stopped."""
    try:
        yield
    except (SplitbedError, KeyboardInterrupt):
        told(f"what was measured is kept; go on with: {command}")
        raise
