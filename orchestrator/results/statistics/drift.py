"""Whether the nodes became slower or faster while a run measured.

What part 1 and part 2 took in a cell is held against what the profile predicts. Cells are measured
in random order, so p is simply the share of random orders in which these residuals go with the
place as closely as they did (a randomisation test). Cells of a split share an error of the
prediction: where splits were held together, or there is no profile, they are held against one
another alone; else those of a split are moved as a whole, as the sweep does.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.records import Drift
from orchestrator.results.rows import Row

Array = NDArray[np.float64]

MIN_CELLS = 8
MAX_P, MIN_PCT = 0.01, 2.0
"""A drift is told when it is this sure, and has come to this much at the end of the run."""
ORDERS = 2000
PAIRED_CELLS = 600
"""The slope is the median over all pairs of so many cells (Theil and Sen)."""


@dataclass(frozen=True)
class _Cell:
    split: str
    together: int
    minutes: float
    residual: float


def drift(
    table: Sequence[Row],
    began_ns: Sequence[int | None],
    together: Sequence[int],
    *,
    resumed: bool = False,
) -> Drift:
    """The drift of a run with these rows; `began_ns` is when the first frame of each began.

    By the UE's clock; None for a cell without frames. `together` is the same number for cells that
    were in random order among themselves.
    """
    cells = _cells(table, began_ns, together)
    if resumed:
        return Drift(cells=len(cells), resumed=True)  # its parts lie apart, on clocks of their own
    predicted = all(row.part1_predicted_ms is not None for row in table)
    splits, groups = (_places(getattr(c, name) for c in cells) for name in ("split", "together"))
    if len(cells) < MIN_CELLS or (not predicted and len(splits) == len(cells)):
        return Drift(cells=len(cells))
    both = {(cell.split, cell.together) for cell in cells}
    apart = len(both) == len(splits) == len(groups) or len(splits) == len(cells)
    whole = predicted and apart
    if not whole:
        cells = _against_own_split(cells, splits)
    rho, p = _tested(cells, groups if whole else splits, whole=whole)
    return Drift(
        cells=len(cells),
        rho=rho,
        p=p,
        pct_per_10_min=_pct_per_10_min(cells, whole=whole),
        minutes=cells[-1].minutes - cells[0].minutes,
    )


def drift_advice(found: Drift) -> tuple[str, ...]:
    """A sentence where the run drifted; else nothing."""
    if found.p is None or found.pct_per_10_min is None or found.p >= MAX_P:
        return ()
    if abs(found.pct_per_10_min) * found.minutes / 10 < MIN_PCT:
        return ()
    return (
        f"Part 1 and part 2 drifted while the run measured: {found.words}. Cells measured early "
        "and late are not alike; repeat the run on machines that do nothing else and do not "
        "get hot.",
    )


def _cells(
    table: Sequence[Row], began_ns: Sequence[int | None], together: Sequence[int]
) -> list[_Cell]:
    """The valid cells in the order of measurement, by the UE's clock."""
    found = []
    for row, at_ns, group in zip(table, began_ns, together, strict=True):
        took_ms, told_ms = (sum(ms or 0 for ms in row.of_parts(o)) for o in ("ms", "predicted_ms"))
        if row.valid and took_ms and at_ns is not None:
            told = math.log(took_ms / (told_ms or 1.0))
            found.append(_Cell(f"{row.split} {row.precision}", group, at_ns / 6e10, told))
    return sorted(found, key=lambda cell: cell.minutes)


def _places(words: Iterable[Hashable]) -> list[list[int]]:
    """Where each of them is."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, word in enumerate(words):
        places[word].append(place)
    return list(places.values())


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
    orders = np.vstack([np.arange(len(cells)), _orders(blocks, rng, whole=whole)])
    size = float(np.linalg.norm(ranks) * np.linalg.norm(places))
    rhos = ranks[orders] @ places / size
    # the order that was is one of those that could have been
    return float(rhos[0]), float(np.mean(np.abs(rhos) >= abs(rhos[0]) - 1e-12))


def _orders(
    blocks: Sequence[Sequence[int]], rng: np.random.Generator, *, whole: bool
) -> NDArray[np.int_]:
    """Orders of cells that could have been; unless `whole`, splits stay where they are."""
    orders = np.tile(np.arange(sum(map(len, blocks))), (ORDERS, 1))
    for block in blocks:
        orders[:, block] = rng.permuted(orders[:, block], axis=1)
    if whole:
        for row, order in enumerate(orders.copy()):
            those = rng.permutation(len(blocks))
            orders[row] = np.concatenate([order[blocks[block]] for block in those])
    return orders


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
