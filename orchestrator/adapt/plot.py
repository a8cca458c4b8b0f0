"""The picture of a bandwidth trace: the rate, what frames took, and which split each policy ran."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.policies import Arm
from orchestrator.results.run_folder import Record


def plot(
    samples: Mapping[str, Sequence[Record]],
    applied: Mapping[str, BandwidthTrace],
    arms: Sequence[Arm],
    title: str,
    file: Path,
) -> None:
    """Three pictures over the trace's seconds, a line per policy; lost frames are left out.

    The rates are those applied to the policy that ran longest.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10), layout="constrained")
    rate, e2e, chosen = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": (1, 2, 2)})
    ends_s = {policy: frames[-1]["start_s"] for policy, frames in samples.items() if frames}
    if ends_s:
        longest = max(ends_s, key=lambda policy: ends_s[policy])
        trace, end_s = applied[longest], ends_s[longest]
        times_s = [*trace.starts_s, max(end_s, trace.starts_s[-1])]
        rate.step(times_s, [*trace.rates_mbit, trace.rates_mbit[-1]], "k", where="post")
    places = {arm.configuration.k: place for place, arm in enumerate(arms)}
    for number, (policy, frames) in enumerate(samples.items()):
        good = [frame for frame in frames if "error" not in frame]
        times_s = [frame["start_s"] for frame in good]
        colour = f"C{number}"
        e2e.plot(times_s, [f["e2e_ms"] for f in good], ".-", color=colour, label=policy, lw=0.8)
        # beside one another, or the last would hide the others
        beside = (number - (len(samples) - 1) / 2) * 0.7 / len(samples)
        heights = [places[frame["k"]] + beside for frame in good]
        chosen.step(times_s, heights, ".-", where="post", color=colour, lw=0.8)
    rate.set(ylabel="Mbit/s", yscale="log", title=title)
    e2e.set(ylabel="end to end, ms", yscale="log")
    chosen.set(xlabel="seconds of the trace", ylabel="split")
    chosen.set_yticks(range(len(arms)), [arm.configuration.split_name for arm in arms])
    e2e.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    for axes in (rate, e2e, chosen):
        axes.grid(visible=True, alpha=0.3)
    figure.savefig(file, dpi=120)
