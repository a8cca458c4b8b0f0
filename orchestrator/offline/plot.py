"""The picture of rate, accuracy and latency: a line for each curve, a mark for a single point."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netem.spec import LinkSpec
from orchestrator.ask.split_point import DEVICE_ANCHOR
from orchestrator.offline.curves import curve_of
from orchestrator.offline.rd import RatePoint


def plot(points: Sequence[RatePoint], links: Sequence[LinkSpec], model: str, file: Path) -> None:
    """Accuracy against rate, and against the bound over the middle one of the links.

    Points that failed, or have no accuracy, are left out; the whole model is a level line.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    link = links[len(links) // 2]
    good = [point for point in points if point.value is not None and not point.error]
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    by_rate, by_latency = figure.subplots(1, 2, sharey=True)
    for axes in (by_rate, by_latency):
        axes.set_prop_cycle(color=[matplotlib.colormaps["tab20"](n) for n in range(20)])
    for curve in dict.fromkeys(curve_of(point.configuration) for point in good if point.crosses):
        held = [point for point in good if point.crosses and curve_of(point.configuration) == curve]
        held.sort(key=lambda point: point.kbit_per_frame)
        values = [point.value for point in held]
        look: dict[str, Any] = {"marker": "o" if len(held) > 1 else "D", "label": curve}
        (line,) = by_rate.plot([point.kbit_per_frame for point in held], values, **look)
        # more bits are not always more time: coders differ in what they take, too
        held.sort(key=lambda point: point.bound_ms(link))
        latencies = [point.bound_ms(link) for point in held]
        values = [point.value for point in held]
        by_latency.plot(latencies, values, **look | {"color": line.get_color()})
    for whole in (point for point in good if not point.crosses):
        for axes in (by_rate, by_latency):
            axes.axhline(whole.value, color="grey", linestyle="--", label="whole model")
        by_latency.plot([whole.bound_ms(link)], [whole.value], "k*", label=DEVICE_ANCHOR)
    metrics = {point.accuracy.metric for point in good if point.accuracy}
    by_rate.set_xscale("log")
    by_rate.set(xlabel="kbit per frame", ylabel=", ".join(metrics) or "accuracy", title=model)
    title = f"{model} over {link.words}: bounds, not measured"
    by_latency.set(xlabel="bound of the latency, ms", title=title)
    for axes in (by_rate, by_latency):
        axes.grid(visible=True, alpha=0.3)
    by_latency.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.savefig(file, dpi=120)
