"""What the page of a run is told of what a pair carries, where that was searched."""

from orchestrator.results.records.capacity import CapacityRecord, CapacityRow

HEADS = (
    "configuration", "link", "holds", "confirmed", "fails", "bound by", "delivered frames/s",
    "lost %", "frames under way", "by Little's law", "alone ms", "runs",
)  # fmt: skip
"""Of the table behind the map; the limited times follow."""


def capacity_facts(record: CapacityRecord) -> dict[str, object]:
    """Its map, a field for each split and codec over each link, and the table behind it."""
    names = [*record.rows[0].times_ms] if record.rows else []
    return {
        "words": record.words,
        "unit": "UEs" if record.over == "ues" else "frames/s",
        "rows": [_field(row) for row in record.rows],
        "heads": [*HEADS, *(f"{name} ms" for name in names)],
        "lines": [[*_line(row), *row.times_ms.values()] for row in record.rows],
    }


def _field(row: CapacityRow) -> dict[str, object]:
    return {
        "name": row.with_codec,
        "link": _link(row),
        "holds": row.last_passing,
        "bound": row.bound_by if not row.error else "no answer",
        "says": f"{row.place}: {row.error or row.why}",
    }


def _link(row: CapacityRow) -> str:
    return f"{row.link}, UE {row.ue}" if row.ue else row.link


def _line(row: CapacityRow) -> list[object]:
    return [
        row.with_codec,
        _link(row),
        row.last_passing,
        f"{row.confirmed} of {row.confirming}" if row.confirming else "",
        row.first_failing,
        row.error or row.bound_by,
        row.delivered_fps,
        row.lost_pct,
        row.under_way,
        row.by_law,
        row.e2e_ms,
        row.runs,
    ]
