"""The folder of models in transit, written as things happen: what was measured is never lost.

NAME.json      what was asked, of which model, on which machines     coders.jsonl   rows without
cells.jsonl    a line per delivery                                   a link, one per coder
NAME.csv       a row per coder and link: made of both, as more is known
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Generic, Self

import msgspec

from orchestrator.results.facts import Conditions
from orchestrator.results.json_record import Record
from orchestrator.results.kinds import Kind, TransitRecord
from orchestrator.results.run_folder import CELLS_FILE, RunFolder
from orchestrator.transit.begun import begin, going_on, measure_under
from orchestrator.transit.delivery import Delivery, Key, count, counting
from orchestrator.transit.row import AnyRow

CODERS_FILE = "coders.jsonl"
FRESH = 16
"""Where the table lacks a delivery of so many, it is written anew."""


class CoderRecord(Record, frozen=True, kw_only=True):
    """A line of coders.jsonl: what a coder came to where it encoded, as a row without a link."""

    row: dict[str, object]


@dataclass(frozen=True)
class Layout(Generic[AnyRow]):
    """What a kind of run leaves: its rows, and what they are made by.

    ``by_link`` has its rows stand link by link, else coder by coder.
    """

    kind: Kind
    row: type[AnyRow]
    made: Callable[[AnyRow, Sequence[Delivery]], AnyRow]
    csv: Callable[[Sequence[AnyRow]], str]
    by_link: bool = False


class Journal(Generic[AnyRow]):
    """What is known so far; every method that adds raises RunError where that cannot be written."""

    def __init__(self, folder: RunFolder, layout: Layout[AnyRow], tag: str = "") -> None:
        """What the folder has; ``tag`` begins the name of the table."""
        self.folder, self.layout = folder, layout
        self._results = f"{tag}{layout.kind.table}"
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
        journal = cls(folder, layout, tag)
        begin(folder, layout.kind, fresh, coded=bool(journal.here))
        return journal

    def under(self, conditions: Conditions) -> None:
        """Deliveries are measured under these; UsageError where others were under other ones."""
        measure_under(self.folder, self.layout.kind, conditions, anew=not self.deliveries)

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
        over = self._over_links
        links = [*dict.fromkeys(link for _, link in over), ""]
        found: dict[tuple[str, str], AnyRow] = {}
        for coder, row in self.here.items():
            crossed = [(coder, link) for link in links if (coder, link) in over]
            found |= {point: self.layout.made(row, over[point]) for point in crossed}
            found |= {} if crossed else {(coder, ""): row}
        if not self.layout.by_link:
            return found
        return dict(sorted(found.items(), key=lambda item: links.index(item[0][1])))

    @property
    def startups_ms(self) -> dict[tuple[str, str], list[float]]:
        """Of the deliveries over each link that came, likewise by coder and link."""
        return {
            point: [one.startup_ms for one in every if one.error is None]
            for point, every in self._over_links.items()
        }

    @property
    def _over_links(self) -> dict[tuple[str, str], list[Delivery]]:
        over: dict[tuple[str, str], list[Delivery]] = {}
        for (coder, link, _), one in sorted(self.deliveries.items(), key=lambda item: item[0][2]):
            over.setdefault((coder, link), []).append(one)
        return over

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
        """As :func:`orchestrator.transit.begun.going_on`, of this."""
        with going_on(self.write, command, told, lambda: bool(self.here)):
            yield self
