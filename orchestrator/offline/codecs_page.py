"""The table of docs/rate-accuracy.md: what codecs cost on several models, of what rd left."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.ask.split_point import NETWORK_ANCHOR
from orchestrator.offline.run import BD_FILE, POINTS_FILE, RD_FILE
from splitbed.errors import UsageError

BEGIN = "\n## Measured\n\n"
HEADS = (
    "where, and codec", "kbit a frame", "drop", "BD-rate, picture", "BD-rate, mosaic",
    "encodes, decodes MB/s",
)  # fmt: skip
MAX_DROP = 0.01
SPEEDS_FILE = "speeds.csv"
"""What :mod:`orchestrator.offline.codecs_speeds` leaves beside what rd left."""
SPEEDS_COLUMNS = ("split_name", "codec", "encode_ms", "decode_ms")

Row = Mapping[str, str]


def write_table(page: Path, runs: Sequence[Path], max_drop: float = MAX_DROP) -> None:
    """Put the table of `runs` in the last section of a page, in place of the one before.

    Raises UsageError for a page without that section, and a folder that is no run of rd.
    """
    before, begin, _ = page.read_text().partition(BEGIN)
    if not begin:
        raise UsageError(f"{page} has no section {BEGIN.strip()}, for the table: give it one")
    page.write_text(before + begin + codecs_table(runs, max_drop))


def codecs_table(runs: Iterable[Path], max_drop: float = MAX_DROP) -> str:
    """In Markdown: for each run its model, then a line for each curve.

    That is the point of the fewest bytes at a drop within `max_drop`, or the most accurate where
    none is; points that failed are left out. BD-rates are those of the whole curve.
    """
    return "\n".join(_section(run, max_drop) for run in runs)


def told_points(run: Path, max_drop: float = MAX_DROP) -> list[Row]:
    """The rows of ``points.csv`` that the table has; UsageError for what is no run of rd."""
    with whole_run(run):
        return _told(_rows(run / POINTS_FILE)[1:], max_drop)


@contextmanager
def whole_run(run: Path) -> Iterator[None]:
    """What is read inside is of a whole run of rd; raises UsageError where it is not."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{run} is no run of rd, or not a whole one: {error}") from None


def _section(run: Path, max_drop: float) -> str:
    with whole_run(run):
        model = json.loads((run / RD_FILE).read_text())["model"]["name"]
        (first, *crossing), rates = _rows(run / POINTS_FILE), _rows(run / BD_FILE)
        about = f"{first['accuracy_metric']}, {_number(first['accuracy'], 3)} for the whole model"
        head = f"**{model}**: {about}; {first['frames']} frames.\n\n"
        alone = {_where(row): row for row in _rows(run / SPEEDS_FILE, may_lack=True)}
        told = [{**row, **alone.get(_where(row), {})} for row in _told(crossing, max_drop)]
        return head + _table(told, rates)


def _table(told: Sequence[Row], rates: Sequence[Row]) -> str:
    lines = [HEADS, ("---",) + ("---:",) * (len(HEADS) - 1)]
    for row in told:
        lines.append(
            _line(row, [_against(row["curve"], rates, of_input=one) for one in (True, False)])
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _where(row: Row) -> tuple[str, str]:
    return row["split_name"], row["codec"]


def _against(curve: str, rates: Sequence[Row], *, of_input: bool) -> str:
    """What a curve comes to against the anchors of the input, or of its cut."""
    those = [row for row in rates if row["anchor"].startswith(NETWORK_ANCHOR) == of_input]
    if curve in {row["anchor"] for row in those}:
        return "the anchor"
    return ", ".join(filter(None, (_rate(row) for row in those if row["curve"] == curve)))


def _told(crossing: Sequence[Row], max_drop: float) -> list[Row]:
    """Of each curve the one that it is told by."""
    curves: dict[str, list[Row]] = {}
    for row in crossing:
        if not row["error"]:
            curves.setdefault(row["curve"], []).append(row)
    return [_best(curve, max_drop) for curve in curves.values()]


def _best(curve: Sequence[Row], max_drop: float) -> Row:
    within = [row for row in curve if row["accuracy_drop"] and _drop(row) <= max_drop]
    return min(within, key=_kbit) if within else min(curve, key=_drop)


def _line(point: Row, bd_rates: Sequence[str]) -> tuple[str, ...]:
    megabytes = float(point["intermediate_bytes"]) / 1e6
    speeds = (_speed(megabytes, float(point[stage])) for stage in ("encode_ms", "decode_ms"))
    return (
        f"{point['split_name']} `{point['codec']}`",
        _number(point["kbit_per_frame"], 1),
        _number(point["accuracy_drop"], 3),
        *bd_rates,
        ", ".join(speeds),
    )


def _rate(row: Row) -> str:
    if not row["bd_rate_pct"]:
        return ""
    told = f"{float(row['bd_rate_pct']):+.0f} %"
    low, high = row.get("bd_rate_low_pct"), row.get("bd_rate_high_pct")
    if low and high:
        return f"{told} ({float(low):+.0f} to {float(high):+.0f})"
    return told if row.get("shown") == "True" else f"{told}, may be chance"


def _speed(megabytes: float, ms: float) -> str:
    per_s = megabytes / ms * 1e3 if ms else 0.0
    return f"{per_s:.2g}" if per_s < 10 else f"{per_s:.0f}"


def _drop(row: Row) -> float:
    return float(row["accuracy_drop"] or 1)


def _kbit(row: Row) -> float:
    return float(row["kbit_per_frame"])


def _number(text: str, digits: int) -> str:
    return f"{float(text):.{digits}f}" if text else ""


def _rows(file: Path, *, may_lack: bool = False) -> list[dict[str, str]]:
    if may_lack and not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))
