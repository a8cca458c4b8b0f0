"""The folder of models in transit, written as things happen: what was measured is never lost.

NAME.json      what was asked, of which model, on which machines     coders.jsonl   rows without
cells.jsonl    a line per delivery                                   a link, one per coder
NAME.csv       a row per coder and link: made of both, as more is known
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Self

import msgspec
from msgspec.structs import replace as changed

from orchestrator.measure.conditions import COMPARABLE, now
from orchestrator.results.facts import CodedFacts, Conditions, ModelFacts
from orchestrator.results.json_record import Record
from orchestrator.results.run_folder import CELLS_FILE, RunFolder
from orchestrator.transit.delivery import Delivery, Key, count, counting
from orchestrator.transit.row import AnyRow
from splitbed.errors import RunError, SplitbedError, UsageError

CODERS_FILE = "coders.jsonl"
_NOT_COMPARED = ("config", "out", "out_dir")
"""Options of a sweep, which are compared one by one; and where the run is, which may be moved."""
FRESH = 16
"""Where the table lacks a delivery of so many, it is written anew."""


class TransitRecord(Record, frozen=True, kw_only=True):
    """What was asked, of which model, and under which conditions deliveries were measured.

    ``files`` has the sha256 of those that options name, ``coded`` says by what coders.jsonl was
    made. Conditions are those of the first delivery; of what is measured without a link there are
    none. ``resumed`` has the times at which it was gone on with.
    """

    asked: Mapping[str, object] = {}
    files: Mapping[str, str] = {}
    model: ModelFacts = ModelFacts()
    coded: CodedFacts = CodedFacts()
    conditions: Conditions = Conditions()
    resumed: tuple[str, ...] = ()


class CoderRecord(Record, frozen=True, kw_only=True):
    """A line of coders.jsonl: what a coder came to where it encoded, as a row without a link."""

    row: dict[str, object]


@dataclass(frozen=True)
class Layout(Generic[AnyRow]):
    """What a kind of run leaves: the names of its files, its rows, and what they are made by.

    ``by_link`` has its rows stand link by link, else coder by coder.
    """

    asked_file: str
    results_file: str
    row: type[AnyRow]
    made: Callable[[AnyRow, Sequence[Delivery]], AnyRow]
    csv: Callable[[Sequence[AnyRow]], str]
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


class Journal(Generic[AnyRow]):
    """What is known so far; every method that adds raises RunError where that cannot be written."""

    def __init__(self, folder: RunFolder, layout: Layout[AnyRow], tag: str = "") -> None:
        """What the folder has; ``tag`` begins the name of the table."""
        self.folder, self.layout = folder, layout
        self._results = f"{tag}{layout.results_file}"
        self.here: dict[str, AnyRow] = {}
        """By coder, the rows without a link."""
        self.damage: list[str] = []
        for one in folder.kept(CODERS_FILE, CoderRecord, self.damage):
            try:
                row = msgspec.convert(one.row, layout.row)
            except msgspec.ValidationError as error:
                self.damage.append(f"{folder.path / CODERS_FILE}: a row is left out: {error}")
            else:
                self.here[row.coder_name] = row
        self.deliveries = counting(folder.kept(CELLS_FILE, Delivery, self.damage))
        """Those that count, by their keys."""
        self._unwritten = 0

    @classmethod
    def begun(
        cls, folder: RunFolder, layout: Layout[AnyRow], fresh: TransitRecord, tag: str = ""
    ) -> Self:
        """That of a new run, or of one that goes on as it began; UsageError where it cannot."""
        journal, record = cls(folder, layout, tag), fresh
        if layout.is_in(folder.path):
            before = layout.asked(folder.path)
            if others := [*_others(before, fresh, coded=bool(journal.here))]:
                raise UsageError(
                    f"cannot resume {folder.path}, these have changed since: {', '.join(others)}; "
                    "start a new one"
                )
            record = changed(before, coded=fresh.coded, resumed=(*before.resumed, now()))
        folder.replace(layout.asked_file, record.json(indent=2))
        return journal

    def under(self, conditions: Conditions) -> None:
        """Deliveries are measured under these; UsageError where others were under other ones."""
        record = self.layout.asked(self.folder.path)
        if self.deliveries:
            before = record.conditions
            if other := [
                one for one in COMPARABLE if getattr(before, one) != getattr(conditions, one)
            ]:
                raise UsageError(
                    f"cannot resume {self.folder.path}, these have changed since: "
                    f"{', '.join(other)}; start a new one"
                )
            return
        told = changed(record, conditions=conditions).json(indent=2)
        self.folder.replace(self.layout.asked_file, told)

    @property
    def ended(self) -> set[Key]:
        """Those that need not be made again: they did not fail."""
        return {key for key, one in self.deliveries.items() if one.error is None}

    @property
    def doubtful(self) -> list[Delivery]:
        """Those that count and may be made once more for it."""
        return [one for one in self.deliveries.values() if one.is_doubtful]

    @property
    def rows(self) -> list[AnyRow]:
        """A row for each coder and link; of what crossed none yet, the row without one."""
        return [*self.points.values()]

    @property
    def points(self) -> dict[tuple[str, str], AnyRow]:
        """The rows by coder and link in words, which are empty without one."""
        over: dict[tuple[str, str], list[Delivery]] = {}
        for (coder, link, _), one in sorted(self.deliveries.items(), key=lambda item: item[0][2]):
            over.setdefault((coder, link), []).append(one)
        links = [*dict.fromkeys(link for _, link in over), ""]
        found: dict[tuple[str, str], AnyRow] = {}
        for coder, row in self.here.items():
            crossed = [(coder, link) for link in links if (coder, link) in over]
            found |= {point: self.layout.made(row, over[point]) for point in crossed}
            found |= {} if crossed else {(coder, ""): row}
        if not self.layout.by_link:
            return found
        return dict(sorted(found.items(), key=lambda item: links.index(item[0][1])))

    def keep(self, coders: Sequence[str]) -> None:
        """Have rows of these alone, in this order; each of them is here."""
        self.here = {name: self.here[name] for name in coders}

    def add_coder(self, row: AnyRow) -> None:
        """Write down what a coder came to here."""
        self.here[row.coder_name] = row
        self.folder.append(CODERS_FILE, CoderRecord(row=asdict(row)).line())
        self.write()

    def add(self, one: Delivery) -> None:
        """Write down a delivery."""
        count(one, self.deliveries)
        self.folder.append(CELLS_FILE, one.line())
        self._unwritten += 1
        if self._unwritten * FRESH >= len(self.deliveries):  # all of its rows are made for it
            self.write()

    def write(self) -> None:
        """Write the table anew."""
        self.folder.replace(self._results, self.layout.csv(self.rows))
        self._unwritten = 0

    @contextmanager
    def going_on(self, command: str, told: Callable[[str], None]) -> Iterator[Self]:
        """Write the table in the end, and tell how to go on with what is stopped.

        Not of a UsageError, which would come again.
        """
        try:
            yield self
        except (SplitbedError, KeyboardInterrupt) as stopped:
            with suppress(RunError):  # which is what stopped it, then
                self.write()
            if not isinstance(stopped, UsageError):
                kept = "what was measured is kept; " if self.here else ""
                told(f"{kept}go on with: {command}")
            raise
        self.write()


def _others(before: TransitRecord, fresh: TransitRecord, *, coded: bool) -> Iterator[str]:
    """What of a run is not as it began; of what `coded` models, too, where rows are there."""
    if before.model != fresh.model:
        yield "the model or its inputs"
    # an earlier version did not know all options of today: it had their usual values
    for one, other in ((before.asked, fresh.asked), (_config(before), _config(fresh))):
        names = sorted((one.keys() & other.keys()).difference(_NOT_COMPARED))
        yield from (f"option {name}" for name in names if one[name] != other[name])
    for name in sorted(before.files.keys() & fresh.files.keys()):
        if before.files[name] != fresh.files[name]:
            yield f"what is in the file of option {name}"
    for name in CodedFacts.__struct_fields__ if coded else ():
        if getattr(before.coded, name) != getattr(fresh.coded, name):
            yield name


def _config(record: TransitRecord) -> Mapping[str, object]:
    """The options of a sweep among those that were asked."""
    config = record.asked.get("config")
    return config if isinstance(config, Mapping) else {}
