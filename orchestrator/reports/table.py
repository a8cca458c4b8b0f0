"""The table at the end of a sweep: a line per split, a column of times per link."""

from collections.abc import Callable, Sequence

from rich.text import Text

from orchestrator.reports.grid import Column, Grid
from orchestrator.results.rows import Row, conditions_of, number


def sweep_table(table: Sequence[Row]) -> Grid:
    """End-to-end time and measured/bound of every split and codec, under all conditions.

    The best under each is bold. What a codec costs in accuracy stands beside it.
    """
    conditions = list(dict.fromkeys(map(conditions_of, table)))
    lines = [
        {conditions_of(row): row for row in table if (row["split"], row["codec"]) == key}
        for key in dict.fromkeys((row["split"], row["codec"]) for row in table)
    ]
    firsts = [next(iter(line.values())) for line in lines]
    texts = _text_columns(table)
    columns = [
        Column(head, [Text(str(row[name])) for row in firsts]) for head, name in texts.items()
    ]
    columns += [
        Column(head, [Text(told(row)) for row in firsts], right=True)
        for head, told in _number_columns(table).items()
    ]
    for where in conditions:
        best = _best(table, where)
        times = [_time(line.get(where), best) for line in lines]
        columns.append(Column(_heading(*where), times, right=True))
    return Grid(columns, keys=len(texts), caption="End-to-end time, measured/bound")


def _number_columns(table: Sequence[Row]) -> dict[str, Callable[[Row], str]]:
    """Heading -> what stands there, of the first row of a line."""
    predicted = "\n(predicted)" if any("part1_predicted_ms" in row for row in table) else ""
    told: dict[str, Callable[[Row], str]] = {
        "tensors": lambda row: str(row["intermediate_tensors"]),
        "MB": lambda row: _megabytes(_crossing(row)),
        f"part 1 ms{predicted}": lambda row: _part_ms(row, "part1"),
        f"part 2 ms{predicted}": lambda row: _part_ms(row, "part2"),
    }
    if any(row.get("accuracy_drop") is not None for row in table if not row["lossless"]):
        told["accuracy"] = lambda row: _share(row, "accuracy")
        told["drop"] = lambda row: _share(row, "accuracy_drop")
    return told


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


def _time(row: Row | None, best: float | None) -> Text:
    if row is None:
        return Text("")
    e2e, over = row.get("e2e_ms"), row.get("e2e_over_bound")
    if not isinstance(e2e, float):
        return Text("failed", style="red")
    words = f"{e2e:.0f} ms {over:.3f}"
    if not row["valid"]:
        return Text(f"{words} INVALID", style="red")
    return Text(words, style="bold green" if e2e == best else "")
