"""A run as a picture: where the time of every split goes, a panel for each link and UE."""

from collections.abc import Sequence
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.reports.stages import taken_ms
from orchestrator.results.columns.flow import stages_of
from orchestrator.results.rows import Conditions, Row

_COLOURS = {
    "part1": "#4477aa",
    "encode": "#66ccee",
    "uplink": "#ccbb44",
    "decode": "#aa3377",
    "part2": "#228833",
    "downlink": "#bbbbbb",
    "part3": "#ee6677",
    "uplink2": "#ee9944",
    "downlink2": "#777777",
}
_ACROSS = 3


class Picture(Figure):
    """A figure of matplotlib that a notebook displays without pyplot."""

    def _repr_png_(self) -> bytes:
        self.savefig(drawn := BytesIO(), format="png", dpi=110)
        return drawn.getvalue()


def run_picture(rows: Sequence[Row]) -> Picture:
    """Bars of the stages in ms, one for each split and codec, with the end-to-end time."""
    conditions = [*dict.fromkeys(row.conditions for row in rows)] or [Conditions()]
    groups = [[row for row in rows if row.conditions == one] for one in conditions]
    across = min(len(conditions), _ACROSS)
    down = -(-len(conditions) // across)
    high = 1.0 + 0.3 * max(map(len, groups))
    figure = Picture(figsize=(5.2 * across, high * down + 0.5), layout="constrained")
    for place, (where, group) in enumerate(zip(conditions, groups, strict=True), 1):
        axes = figure.add_subplot(down, across, place)
        _bars(axes, group)
        axes.set_title(where.words, fontsize=9, parse_math=False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    places = range(len(rows))
    ends = [0.0] * len(rows)
    for name in (one for one in stages_of(rows[0].flow) if one != "result") if rows else ():
        ms = [taken_ms(row, name) for row in rows]
        axes.barh(places, ms, left=ends, color=_COLOURS.get(name), label=_words(name))
        ends = [end + own for end, own in zip(ends, ms, strict=True)]
    for place, end, row in zip(places, ends, rows, strict=True):
        told = f" {row.e2e_ms:.0f} ms" if row.e2e_ms else " failed"
        axes.text(end, place, told + ("" if row.valid else " INVALID"), va="center", fontsize=8)
    axes.set_yticks(places, [row.with_codec for row in rows], fontsize=8, parse_math=False)
    axes.set_xlim(0, 1.25 * max(ends, default=0.0) or 1.0)
    axes.invert_yaxis()
    axes.set_xlabel("ms")


def _words(name: str) -> str:
    return f"{name[:-1]} {name[-1]}" if name[-1].isdigit() else name
