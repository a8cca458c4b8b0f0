"""Whether the nodes became slower or faster while a run measured.

What part 1 and part 2 took in a cell is held against what the profile predicts. Cells are measured
in random order, so p is simply the share of random orders in which these residuals go with the
place as closely as they did (a randomisation test). Splits are moved as a whole, as the sweep does,
since the cells of one share an error of the prediction. Without a profile, cells are held against
those of the same split alone, which shows only drift that is fast.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.rows import Row, number
from orchestrator.results.run_folder import Record, RunFolder
from orchestrator.results.summary import rows, samples_by_attempt

Array = NDArray[np.float64]

MIN_CELLS = 8
MAX_P, MIN_PCT = 0.01, 2.0
"""A drift is told when it is this sure, and has come to this much at the end of the run."""
ORDERS = 2000
PAIRED_CELLS = 600
"""The slope is the median over all pairs of so many cells (Theil and Sen)."""


@dataclass(frozen=True)
class Drift:
    """What was found over `cells`; all else None where they are too few.

    ``rho`` is Spearman's, of the residuals with the place in the order of measurement.
    """

    cells: int
    rho: float | None = None
    p: float | None = None
    pct_per_10_min: float | None = None
    minutes: float = 0.0
    resumed: bool = False

    @property
    def words(self) -> str:
        """The finding."""
        if self.resumed:
            return "not tested: the run was resumed"
        if self.rho is None or self.p is None or self.pct_per_10_min is None:
            return f"too few cells to tell ({self.cells})"
        return (
            f"{self.pct_per_10_min:+.1f} % per 10 minutes over {self.minutes:.1f} minutes "
            f"(Spearman's rho {self.rho:.2f}, p = {self.p:.2g}, {self.cells} cells)"
        )

    @property
    def advice(self) -> tuple[str, ...]:
        """A sentence where the run drifted; else nothing."""
        if self.p is None or self.pct_per_10_min is None or self.p >= MAX_P:
            return ()
        if abs(self.pct_per_10_min) * self.minutes / 10 < MIN_PCT:
            return ()
        return (
            f"Part 1 and part 2 drifted while the run measured: {self.words}. Cells measured early "
            "and late are not alike; repeat the run on machines that do nothing else and do not "
            "get hot.",
        )

    def record(self) -> Record:
        """For run.json."""
        return asdict(self) | {"words": self.words}


@dataclass(frozen=True)
class _Cell:
    split: str
    minutes: float
    residual: float


def drift(folder: RunFolder, table: Sequence[Row] | None = None) -> Drift:
    """The drift of a run, whose summary is `table`."""
    table = rows(folder) if table is None else table
    predicted = all("part1_predicted_ms" in row for row in table)
    cells = _cells(folder, table)
    blocks = _blocks(cells)
    if folder.read_run().get("resumed"):
        return Drift(len(cells), resumed=True)  # its parts lie apart, on clocks of their own
    if len(cells) < MIN_CELLS or (not predicted and len(blocks) == len(cells)):
        return Drift(len(cells))
    if not predicted:
        cells = _against_own_split(cells, blocks)
    rho, p = _tested(cells, blocks, whole=predicted)
    minutes = cells[-1].minutes - cells[0].minutes
    return Drift(len(cells), rho, p, _pct_per_10_min(cells, whole=predicted), minutes)


def _cells(folder: RunFolder, table: Sequence[Row]) -> list[_Cell]:
    """The valid cells in the order of measurement, by the UE's clock."""
    samples = samples_by_attempt(folder)
    found = []
    for cell, row in zip(folder.counted(), table, strict=True):
        if row["valid"] and (took_ms := _work_ms(row, "")):
            minutes = samples[cell["attempt"]][0]["stages"][0][1] / 6e10
            told_ms = _work_ms(row, "predicted_") or 1.0
            found.append(_Cell(str(row["split"]), minutes, math.log(took_ms / told_ms)))
    return sorted(found, key=lambda cell: cell.minutes)


def _work_ms(row: Row, kind: str) -> float:
    names = (f"part1_{kind}ms", f"part2_{kind}ms")
    return sum(number(row, name) for name in names if row.get(name) is not None)


def _blocks(cells: Sequence[_Cell]) -> list[list[int]]:
    """The places of each split's cells."""
    blocks: dict[str, list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        blocks[cell.split].append(place)
    return list(blocks.values())


def _against_own_split(cells: Sequence[_Cell], blocks: Sequence[Sequence[int]]) -> list[_Cell]:
    usual = {cells[block[0]].split: median(cells[i].residual for i in block) for block in blocks}
    return [replace(cell, residual=cell.residual - usual[cell.split]) for cell in cells]


def _tested(
    cells: Sequence[_Cell], blocks: Sequence[Sequence[int]], *, whole: bool
) -> tuple[float, float]:
    """Spearman's rho of residual and place, and the share of random orders that reach it.

    Over the whole run, or each split by itself.
    """
    by_size = np.argsort([cell.residual for cell in cells], kind="stable")
    ranks = _centred(np.argsort(by_size).astype(float))
    places = np.arange(len(cells), dtype=float)
    for block in [range(len(cells))] if whole else blocks:
        places[block] = _centred(places[block])
    rng = np.random.default_rng(0)
    orders = [[*range(len(cells))]] + [_order(blocks, rng, whole=whole) for _ in range(ORDERS)]
    size = float(np.linalg.norm(ranks) * np.linalg.norm(places))
    rhos = ranks[np.array(orders)] @ places / size
    # the order that was is one of those that could have been
    return float(rhos[0]), float(np.mean(np.abs(rhos) >= abs(rhos[0]) - 1e-12))


def _order(blocks: Sequence[Sequence[int]], rng: np.random.Generator, *, whole: bool) -> list[int]:
    """Cells in another order that could have been; unless `whole`, splits stay where they are."""
    those = rng.permutation(len(blocks)) if whole else range(len(blocks))
    return [place for block in those for place in rng.permutation(blocks[block]).tolist()]


def _centred(values: Array) -> Array:
    centred: Array = values - values.mean()
    return centred


def _pct_per_10_min(cells: Sequence[_Cell], *, whole: bool) -> float:
    kept = cells[:: -(-len(cells) // PAIRED_CELLS)]
    minutes, residuals = (
        np.array([getattr(c, name) for c in kept]) for name in ("minutes", "residual")
    )
    splits = np.array([cell.split for cell in kept])
    first, second = np.triu_indices(len(kept), 1)
    used = (minutes[second] > minutes[first]) & (whole | (splits[first] == splits[second]))
    first, second = first[used], second[used]
    slopes = (residuals[second] - residuals[first]) / (minutes[second] - minutes[first])
    return 100 * 10 * float(np.median(slopes))
