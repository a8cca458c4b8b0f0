"""The folder of part 1 that grows, written as things happen.

growth.json    what was asked, of which model, on which machines     growth.csv   a row per split,
splits.jsonl   a line per split: what it reaches                                  way and link
cells.jsonl    a line per way and link: what came, and every frame
"""

from collections.abc import Iterator

from orchestrator.results.json_record import Record
from orchestrator.results.kinds import GROWTH, read_transit_record
from orchestrator.results.run_folder import CELLS_FILE, RunFolder
from orchestrator.transit.growth.record import GrowthRecord, SplitRecord
from orchestrator.transit.growth.row import GROWING, GrowthRow, growth_csv, rows_of

SPLITS_FILE = "splits.jsonl"


class GrowthJournal:
    """What is known so far; every method that adds raises RunError where that cannot be written."""

    def __init__(self, folder: RunFolder) -> None:
        """What the folder has."""
        self.folder = folder
        self.damage: list[str] = []
        splits = folder.kept(SPLITS_FILE, SplitRecord, self.damage)
        self.splits = {one.split: one for one in splits}
        cells = folder.kept(CELLS_FILE, GrowthRecord, self.damage)
        self.cells = {one.key: one for one in cells}
        """By way and link, the last of each."""

    @property
    def ended(self) -> set[tuple[str, str]]:
        """Those that need not be measured again: nothing ended them too soon."""
        return {key for key, one in self.cells.items() if one.error is None}

    @property
    def rows(self) -> list[GrowthRow]:
        """A row for each split that became possible."""
        return [row for _, row in self._rows()]

    @property
    def points(self) -> dict[tuple[str, str], GrowthRow]:
        """The rows by their split with its way, and by their link in words."""
        return {(f"{row.split_name}, {row.way}", link): row for link, row in self._rows()}

    def add_split(self, one: SplitRecord) -> None:
        """Write down what a split reaches."""
        self.splits[one.split] = one
        self._append(SPLITS_FILE, one)

    def add(self, one: GrowthRecord) -> None:
        """Write down what came over a link."""
        self.cells[one.key] = one
        self._append(CELLS_FILE, one)
        self.write()

    def write(self) -> None:
        """Write the table anew."""
        self.folder.replace(GROWTH.table, growth_csv(self.rows))

    def _append(self, name: str, one: Record) -> None:
        self.folder.append(name, one.line())

    def _rows(self) -> Iterator[tuple[str, GrowthRow]]:
        """Each behind its link in words."""
        record = read_transit_record(self.folder.path, GROWTH)
        coder = str(record.config.get("part_coder"))
        for (_, link), one in self.cells.items():
            grew = self.cells.get((GROWING, link))
            for row in rows_of(one, record.model.name, coder, self.splits, grew):
                yield link, row
