"""The picture of federated averaging: accuracy over the time that rounds took, a panel a link."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.federated.row import RoundRow

PICTURE_FILE = "accuracy.png"


def plot(rows: Sequence[RoundRow], target: float, file: Path) -> None:
    """A line for each cell."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    links = [*dict.fromkeys(row.bw_mbit for row in rows)]
    figure = Figure(figsize=(5.5 * max(1, len(links)), 4.2), layout="constrained")
    panels = figure.subplots(1, max(1, len(links)), squeeze=False)[0]
    for axes, bw_mbit in zip(panels, links, strict=False):
        cells: dict[str, dict[int, RoundRow]] = {}
        for row in rows:
            if row.bw_mbit == bw_mbit:
                name = f"{row.ues} UEs, {row.coder} {row.fault}".strip()
                cells.setdefault(name, {})[row.round] = row
        for name, rounds in cells.items():
            seconds, passed = [0.0], 0.0
            for row in rounds.values():
                passed += row.round_ms / 1e3
                seconds.append(passed)
            axes.plot(seconds[1:], [row.accuracy for row in rounds.values()], ".-", label=name)
        axes.axhline(target, color="grey", linestyle=":")
        axes.set(title=f"{bw_mbit:g} Mbit/s", xlabel="seconds of rounds", ylabel="accuracy")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(file, dpi=120)
