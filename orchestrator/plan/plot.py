"""The map of a plan: which option is best over which link, a panel for each pace of the UE.

Where another may as well be the best, the text has a mark, and the picture is pale.
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.plan.prediction import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS = 5
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TIED, PALE = ".", 0.65


def winners(plan: Plan) -> dict[int, str]:
    """A letter for each option that is best somewhere, A for the one that is so most often."""
    counts = Counter(plan.ranks[0].tolist())
    return {
        option: LETTERS[place] if place < len(LETTERS) else "?"
        for place, (option, _) in enumerate(counts.most_common())
    }


def text_map(plan: Plan) -> str:
    """A letter for each link whose best is sure: delays downwards, rates to the right."""
    letters, axes = winners(plan), plan.grid
    told = [
        letters[best] if sure else TIED
        for best, sure in zip(plan.ranks[0].tolist(), plan.sure.tolist(), strict=True)
    ]
    marks = np.array(told).reshape(axes.shape)
    lines = []
    for slowdown, panel in zip(axes.ue_slowdown, marks, strict=True):
        lines.append(_pace(slowdown))
        for delay_ms, line in zip(axes.delay_ms, panel, strict=True):
            lines.append(f"{delay_ms:>7g} ms  {''.join(line.tolist())}")
        low, high = axes.bw_mbit[0], axes.bw_mbit[-1]
        lines.append(f"{'':>11}{low:g} to {high:g} Mbit/s")
    lines += [
        f"  {letter}  {plan.options[one].configuration.words}"
        for one, letter in letters.items()
        if letter in told
    ]
    if TIED in told:
        lines.append(f"  {TIED}  not sure: another may be as fast (best.csv says which is fastest)")
    return "\n".join(lines)


def plot(plan: Plan, file: Path) -> None:
    """Draw the map, in the format of the file's suffix."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch
    from matplotlib.ticker import NullLocator

    letters, axes_of = winners(plan), plan.grid
    order = {option: place for place, option in enumerate(letters)}
    best = np.vectorize(order.__getitem__)(plan.ranks[0]).reshape(axes_of.shape)
    open_at = np.where(plan.sure, np.nan, 0.0).reshape(axes_of.shape)
    panels = len(axes_of.ue_slowdown)
    figure, grid = _laid_out(panels)
    colours = _colours(len(letters))
    edges = _edges(axes_of.bw_mbit, logarithmic=True), _edges(axes_of.delay_ms)
    last = max(len(letters) - 1, 1)
    for place, axes in enumerate(grid.flat):
        if place >= panels:
            axes.set_axis_off()
            continue
        axes.pcolormesh(*edges, best[place], cmap=ListedColormap(colours), vmin=0, vmax=last)
        axes.pcolormesh(*edges, open_at[place], cmap=ListedColormap(["white"]), alpha=PALE)
        axes.set_title(_pace(axes_of.ue_slowdown[place]))
    grid[0, 0].set_xscale("log")
    grid[0, 0].xaxis.set_minor_locator(NullLocator())
    for axes in grid[-1]:
        axes.set_xlabel("Mbit/s")
    for axes in grid[:, 0]:
        axes.set_ylabel("one-way delay, ms")
    named = zip(colours, letters, strict=False)
    patches = [
        Patch(color=colour, label=plan.options[one].configuration.words) for colour, one in named
    ]
    figure.legend(handles=patches, loc="center right", fontsize="small")
    figure.suptitle(f"{plan.predictor.facts.model}: predicted best, pale where not sure")
    figure.savefig(file, dpi=100)


def _laid_out(panels: int) -> "tuple[Figure, np.ndarray[tuple[int, int], np.dtype[Any]]]":
    """A figure, and its axes in rows; by hand, since matplotlib's own layout takes a second."""
    from matplotlib.figure import Figure

    across = min(panels, _ACROSS)
    down = -(-panels // across)
    figure = Figure(figsize=(3.4 * across + 2.8, 2.9 * down + 0.5))
    right = 1 - 2.3 / (3.4 * across + 2.8)
    figure.subplots_adjust(0.07, 0.12, right, 0.88, wspace=0.1, hspace=0.35)
    return figure, figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)


def _pace(slowdown: float) -> str:
    return f"UE {slowdown:g}x slower" if slowdown > 1 else "UE at its own pace"


def _colours(count: int) -> list[Any]:
    import matplotlib

    table = matplotlib.colormaps["tab20"]
    return [table(place % 20) for place in range(max(count, 2))]


def _edges(
    values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", *, logarithmic: bool = False
) -> object:
    """Between the points of an axis, and beyond its ends."""
    axis = np.log(values) if logarithmic else values
    if len(axis) == 1:
        around = np.array([axis[0] - 0.5, axis[0] + 0.5])
    else:
        middle = (axis[1:] + axis[:-1]) / 2
        around = np.concatenate([[2 * axis[0] - middle[0]], middle, [2 * axis[-1] - middle[-1]]])
    return np.exp(around) if logarithmic else around
