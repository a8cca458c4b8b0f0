"""What a search came to, as a row; and the tables of a folder."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median

from orchestrator.capacity.asked import Capacity
from orchestrator.capacity.little import Little
from orchestrator.capacity.search import Search
from orchestrator.results.columns import csv_text
from orchestrator.results.records.capacity import CapacityRow, Trial
from orchestrator.results.rows import Row

_APART = ("key", "times_ms", "broken")
"""Fields that a table has otherwise, or not."""


def capacity_row(
    asked: Capacity,
    key: str,
    row: Row,
    search: Search | None = None,
    trials: Sequence[Trial] = (),
    *,
    error: str = "",
) -> CapacityRow:
    """Of one configuration; `row` is that of its frames one after another.

    `search` is one that came to its end: of any other nothing is known to be the most.
    """
    most = search.last_passing if search else None
    least = search.first_failing if search else None
    held = [one for one in trials if one.load == most and one.held]
    failed = [one for one in trials if one.load == least and not one.held]
    law = _law(held)
    confirming = search.confirming(most) if search and most is not None else ()
    return CapacityRow(
        key=key,
        split=row.split,
        split_name=row.split_name,
        codec=row.codec,
        link=row.link,
        bw_mbit=row.bw_mbit,
        ue=row.ue,
        anchor=row.is_anchor,
        over=asked.over,
        ues=row.ues,
        fps_each=asked.fps_each,
        e2e_ms=row.e2e_ms,
        last_passing=most,
        first_failing=least,
        bound_by=", ".join(dict.fromkeys(name for one in failed for name in one.broken)),
        why=failed[-1].why if failed else "",
        confirmed=sum(confirming),
        confirming=len(confirming),
        runs=len(trials),
        delivered_fps=_mean([one.delivered_fps for one in held]),
        lost_pct=_mean([one.lost_pct for one in held]),
        times_ms={
            limit.name: _median([one.times_ms.get(limit.name) for one in held])
            for limit in asked.must_hold.limits
        },
        under_way=law.under_way if law else None,
        by_law=law.by_law if law else None,
        law=law.words if law else "",
        error=error,
    )


def _law(held: Sequence[Trial]) -> Little | None:
    """The mean of the runs."""
    under_way = _mean([one.under_way for one in held])
    by_law = _mean([one.by_law for one in held])
    return None if under_way is None or by_law is None else Little(under_way, by_law)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    return fmean(found) if (found := _known(values)) else None


def _median(values: Sequence[float | None]) -> float | None:
    return median(found) if (found := _known(values)) else None


def capacity_csv(rows: Sequence[CapacityRow]) -> str:
    """capacity.csv: a row for each configuration."""
    return _table([*map(_flat, rows)], CapacityRow.__struct_fields__)


def trials_csv(trials: Sequence[Trial]) -> str:
    """trials.csv: a line for each run, in their order."""
    lines = [_flat(one) | {"configuration": one.key} for one in trials]
    return _table(lines, ("configuration", *Trial.__struct_fields__))


def _flat(one: CapacityRow | Trial) -> dict[str, object]:
    told = one.plain()
    if isinstance(one, Trial):
        told["bound_by"] = ", ".join(one.broken)
    return told | {f"{name}_ms": ms for name, ms in one.times_ms.items()}


def _table(lines: Sequence[Mapping[str, object]], fields: Sequence[str]) -> str:
    return csv_text([*_columns(lines, fields)], lines)


def _columns(lines: Sequence[Mapping[str, object]], fields: Sequence[str]) -> Iterator[str]:
    """The fields that are columns, and behind them one for each limit."""
    own = [name for name in fields if name not in _APART]
    yield from dict.fromkeys(
        (*own, *(name for line in lines for name in line if name not in _APART))
    )
