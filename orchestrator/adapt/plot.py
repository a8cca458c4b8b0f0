"""The picture of a bandwidth trace: the rate, what frames took, and which arm each policy ran."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.adapt.arms import Arm
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.rows import TraceRow, Turn


def plot(
    turns: Mapping[str, Turn],
    rows: Sequence[TraceRow],
    arms: Sequence[Arm],
    title: str,
    file: Path,
) -> None:
    """Three pictures over the trace's seconds, a line per policy; lost frames are not among them.

    What stands beside a line is of its row. The rates are those applied to the policy that ran
    longest.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10), layout="constrained")
    rate, e2e, chosen = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": (1, 2, 2)})
    frames = {row: good for row in rows if (good := turns[row.policy].frames)}
    ends_s = {row.policy: good[-1].start_s for row, good in frames.items()}
    if ends_s:
        longest = max(ends_s, key=lambda policy: ends_s[policy])
        rate.step(*_steps(turns[longest].applied, ends_s[longest]), "k", where="post")
    places = {arm.key: place for place, arm in enumerate(arms)}
    for number, (row, good) in enumerate(frames.items()):
        times_s = [frame.start_s for frame in good]
        colour = f"C{number}"
        took_ms = [frame.e2e_ms for frame in good]
        e2e.plot(times_s, took_ms, ".-", color=colour, label=_label(row), lw=0.8)
        # beside one another, or the last would hide the others
        beside = (number - (len(frames) - 1) / 2) * 0.7 / len(frames)
        heights = [places[frame.key] + beside for frame in good]
        chosen.step(times_s, heights, ".-", where="post", color=colour, lw=0.8)
    rate.set(ylabel="Mbit/s", yscale="log", title=title)
    e2e.set(ylabel="end to end, ms", yscale="log")
    chosen.set(xlabel="seconds of the trace", ylabel="split and codec")
    chosen.set_yticks(range(len(arms)), [arm.words for arm in arms])
    e2e.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    for axes in (rate, e2e, chosen):
        axes.grid(visible=True, alpha=0.3)
    figure.savefig(file, dpi=120)


def _label(row: TraceRow) -> str:
    regret = "" if row.regret_pct is None else f", regret {row.regret_pct:+.2f} %"
    return f"{row.policy}\nmean {row.mean_ms:.2f} ms{regret}"


def _steps(trace: BandwidthTrace, end_s: float) -> tuple[list[float], list[float]]:
    """Seconds and Mbit/s, to the end at least."""
    times_s = [*trace.starts_s, max(end_s, trace.starts_s[-1])]
    return times_s, [*trace.rates_mbit, trace.rates_mbit[-1]]
