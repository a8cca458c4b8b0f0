"""The table at the end of a sweep: a line per split, a column of times per link."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from orchestrator.results.rows import Row, conditions_of, number


def sweep_table(table: Sequence[Row]) -> Table:
    """End-to-end time and measured/bound of every split and codec, under all conditions.

    The best under each is bold. What a codec costs in accuracy stands beside it.
    """
    conditions = list(dict.fromkeys(map(conditions_of, table)))
    best = {where: _best(table, where) for where in conditions}
    judged = any(row.get("accuracy_drop") is not None for row in table if not row["lossless"])
    view = Table(box=box.SIMPLE_HEAD, title="End-to-end time, measured/bound", title_justify="left")
    for name in _text_columns(table):
        view.add_column(name, no_wrap=True)
    predicted = "\n(predicted)" if any("part1_predicted_ms" in row for row in table) else ""
    numbers = ["tensors", "MB", f"part 1 ms{predicted}", f"part 2 ms{predicted}"]
    for name in numbers + (["accuracy", "drop"] if judged else []):
        view.add_column(name, justify="right", no_wrap=True)
    for link, ue in conditions:
        view.add_column(_heading(link, ue), justify="right", no_wrap=True)
    for key in dict.fromkeys((row["split"], row["codec"]) for row in table):
        rows = {conditions_of(row): row for row in table if (row["split"], row["codec"]) == key}
        first = next(iter(rows.values()))
        view.add_row(
            *(str(first[column]) for column in _text_columns(table).values()),
            str(first["intermediate_tensors"]),
            _megabytes(_crossing(first)),
            _part_ms(first, "part1"),
            _part_ms(first, "part2"),
            *((_share(first, "accuracy"), _share(first, "accuracy_drop")) if judged else ()),
            *(_time(rows.get(where), best[where]) for where in conditions),
        )
    return view


def _text_columns(table: Sequence[Row]) -> dict[str, str]:
    """Heading -> column; the codec only where it is an axis."""
    axis = any(row["codec"] not in ("raw", "none") for row in table)
    return {"split": "split_name", "k:n-k": "split"} | ({"codec": "codec"} if axis else {})


def _crossing(row: Row) -> float:
    """Bytes as sent; of a cell that failed before its first frame, as they would be sent raw."""
    if row["codec"] == "none":
        return 0.0
    return number(row, "encoded_bytes" if "encoded_bytes" in row else "intermediate_bytes")


def _share(row: Row, name: str) -> str:
    value = row.get(name)
    return f"{value:.3f}" if isinstance(value, float) else "–"


def _best(table: Sequence[Row], where: tuple[object, object]) -> float | None:
    times = [row["e2e_ms"] for row in table if conditions_of(row) == where and row["valid"]]
    return min((time for time in times if isinstance(time, float)), default=None)


def _heading(link: object, ue: object) -> str:
    slowed = f"\nUE {ue}" if ue else ""
    return str(link).replace(", ", "\n") + slowed


def _megabytes(nbytes: float) -> str:
    return f"{nbytes / 1e6:.2f}" if nbytes >= 1e5 or not nbytes else f"{nbytes / 1e6:.4f}"


def _part_ms(row: Row, part: str) -> str:
    """As measured over the first link, and as the profile predicted."""
    measured, predicted = _ms(row, f"{part}_ms"), row.get(f"{part}_predicted_ms")
    if measured == "–" or not isinstance(predicted, int | float):
        return measured
    return f"{measured} ({predicted:.1f})"


def _ms(row: Row, name: str) -> str:
    value = row.get(name)
    return f"{value:.1f}" if isinstance(value, float) and value else "–"


def _time(row: Row | None, best: float | None) -> str:
    if row is None:
        return ""
    e2e, over = row.get("e2e_ms"), row.get("e2e_over_bound")
    if not isinstance(e2e, float):
        return "[red]failed[/]"
    words = f"{e2e:.0f} ms {over:.3f}"
    if not row["valid"]:
        return f"[red]{words} INVALID[/]"
    return f"[bold green]{words}[/]" if e2e == best else words
