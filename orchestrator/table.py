"""The table at the end of a sweep: a line per split, a column of times per link."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from orchestrator.summary import Row, number


def sweep_table(table: Sequence[Row]) -> Table:
    """End-to-end time and measured/bound of every split over every link; the best per link bold."""
    links = list(dict.fromkeys(row["link"] for row in table))
    best = {link: _best(table, link) for link in links}
    view = Table(box=box.SIMPLE_HEAD, title="End-to-end time, measured/bound", title_justify="left")
    for name in ("split", "k:n-k"):
        view.add_column(name, no_wrap=True)
    predicted = "\n(predicted)" if any("part1_predicted_ms" in row for row in table) else ""
    for name in ("tensors", "MB", f"part 1 ms{predicted}", f"part 2 ms{predicted}"):
        view.add_column(name, justify="right", no_wrap=True)
    for link in links:
        view.add_column(_heading(link), justify="right", no_wrap=True)
    for split in dict.fromkeys(str(row["split"]) for row in table):
        rows = {row["link"]: row for row in table if row["split"] == split}
        first = next(iter(rows.values()))
        view.add_row(
            str(first["split_name"]),
            split,
            str(first["intermediate_tensors"]),
            _megabytes(number(first, "intermediate_bytes")),
            _part_ms(first, "part1"),
            _part_ms(first, "part2"),
            *(_time(rows.get(link), best[link]) for link in links),
        )
    return view


def _best(table: Sequence[Row], link: object) -> float | None:
    times = [row["e2e_ms"] for row in table if row["link"] == link and row["valid"]]
    return min((time for time in times if isinstance(time, float)), default=None)


def _heading(link: object) -> str:
    return str(link).replace(", ", "\n")


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
