"""The table at the end of a sweep: a line per split, a column of times per link."""

from collections.abc import Callable, Collection, Sequence

from rich.text import Text

from orchestrator.ask.split_point import encodes
from orchestrator.reports.export import UNKNOWN, figure, sent_bytes
from orchestrator.reports.grid import Grid, GridColumn
from orchestrator.results.judgement.choice import choices
from orchestrator.results.rows import COLUMNS, Conditions, Row, known


def sweep_table(table: Sequence[Row]) -> Grid:
    """End-to-end time and measured/bound of every split and codec, under all conditions.

    The best under each is bold, and so is what cannot be told from it.
    What a codec costs in accuracy stands beside it. What was not measured says `predicted`, with
    its interval.
    """
    conditions = list(dict.fromkeys(row.conditions for row in table))
    lines = [
        {row.conditions: row for row in table if row.configured == key}
        for key in dict.fromkeys(row.configured for row in table)
    ]
    firsts = [min(line.values(), key=lambda row: row.predicted) for line in lines]
    keys, numbers = _keys(table), _numbers(table)
    columns = [
        GridColumn(head, [Text(told(row)) for row in firsts], right=head in numbers)
        for head, told in (keys | numbers).items()
    ]
    best = {id(row) for choice in choices(table) for row in choice.tied}
    several = len({where.measured_on for where in conditions}) > 1
    for where in conditions:
        times = [_time(line.get(where), best) for line in lines]
        columns.append(GridColumn(_heading(where, several=several), times, right=True))
    return Grid(columns, keys=len(keys), caption="End-to-end time, measured/bound")


def _keys(table: Sequence[Row]) -> dict[str, Callable[[Row], str]]:
    """Heading -> what a line is of; the codec only where it is an axis."""
    told: dict[str, Callable[[Row], str]] = {
        COLUMNS["split_name"].head: lambda row: row.split_name,
        COLUMNS["split"].head: lambda row: row.split,
    }
    if any(encodes(row.codec) for row in table):
        told[COLUMNS["codec"].head] = lambda row: row.codec
    if any(row.precision for row in table):
        told[COLUMNS["precision"].head] = lambda row: row.precision
    return told


def _numbers(table: Sequence[Row]) -> dict[str, Callable[[Row], str]]:
    """Heading -> what stands there, of the first row of a line."""
    with_profile = any(row.part1_predicted_ms is not None for row in table)
    predicted = "\n(predicted)" if with_profile else ""
    told: dict[str, Callable[[Row], str]] = {
        COLUMNS["intermediate_tensors"].head: lambda row: str(row.intermediate_tensors),
        "MB": lambda row: _megabytes(sent_bytes(row)),
    }
    for part in range(1, len(table[0].layers) + 1):
        told[f"part {part} ms{predicted}"] = _of_part(part)
    if any(row.accuracy_drop is not None for row in table if not row.lossless):
        told[COLUMNS["accuracy"].head] = lambda row: figure(row.accuracy, 3)
        told[COLUMNS["accuracy_drop"].head] = lambda row: figure(row.accuracy_drop, 3)
    return told


def _of_part(part: int) -> Callable[[Row], str]:
    def told(row: Row) -> str:
        took_ms, predicted_ms = (row.of_parts(what)[part - 1] for what in ("ms", "predicted_ms"))
        return _part_ms(took_ms, predicted_ms)

    return told


def _heading(where: Conditions, *, several: bool) -> str:
    """The machine, too, where they are of several."""
    link, ue, load, machine = where
    slowed = f"\nUE {ue}" if ue else ""
    loaded = f"\n{load}" if load else ""
    on = f"\non {machine}" if several else ""
    return (link + loaded).replace(", ", "\n") + slowed + on


def _megabytes(nbytes: int) -> str:
    return f"{nbytes / 1e6:.2f}" if nbytes >= 1e5 or not nbytes else f"{nbytes / 1e6:.4f}"


def _part_ms(measured_ms: float | None, predicted_ms: float | None) -> str:
    """As measured over the first link, and as the profile predicted."""
    if not measured_ms:
        return UNKNOWN
    measured = figure(measured_ms, 1)
    return measured if predicted_ms is None else f"{measured} ({predicted_ms:.1f})"


def _time(row: Row | None, best: Collection[int]) -> Text:
    if row is None:
        return Text("")
    if row.predicted:
        return Text(f"predicted {_span(row)}", style="dim")
    if row.e2e_ms is None:
        return Text("failed", style="red")
    if row.sustained is False and row.valid:
        return Text("not sustained", style="red")
    words = f"{row.e2e_ms:.0f} ms {row.e2e_over_bound:.3f}"
    if not row.valid:
        return Text(f"{words} INVALID", style="red")
    return Text(words, style="bold green" if id(row) in best else "")


def _span(row: Row) -> str:
    """What is predicted, with its interval."""
    ms, low, high = row.e2e_predicted_ms, row.e2e_predicted_low_ms, row.e2e_predicted_high_ms
    return f"{known(ms):.0f} ms\n({known(low):.0f} to {known(high):.0f})"
