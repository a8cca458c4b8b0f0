"""The picture of clause 10.6's point: accuracy over the time since the model was asked for."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.transit.increments.row import AT_ONCE, IncrementRow


def sent(way: Sequence[IncrementRow]) -> str:
    """In words, as `4 then 8 then 16 bits, in 7 steps`, or `qp -20 then -38`."""
    bits = " then ".join(dict.fromkeys(str(row.precision_bit) for row in way))
    bits = f"{bits} bits" if way[0].precision_bit > 0 else f"qp {bits}"
    by_layer = any(row.refined_share < 1 for row in way)
    return f"{bits}, in {len(way)} steps" if by_layer else bits


def plot(links: Sequence[Sequence[IncrementRow]], file: Path) -> None:
    """For each link a step up at each first result: the model at once, and in steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(links), 4.2), layout="constrained")
    for axes, rows in zip(figure.subplots(1, len(links), squeeze=False)[0], links, strict=True):
        ways = [
            [row for row in rows if (row.version == AT_ONCE) == at_once]
            for at_once in (True, False)
        ]
        ends = [way[-1].since_request_ms or 0.0 for way in ways if way]
        for way in ways:
            told = [row for row in way if row.since_request_ms is not None]
            seconds = [0.0, *((row.since_request_ms or 0.0) / 1e3 for row in told)]
            seconds.append(1.1 * max(ends) / 1e3)
            values = [0.0, *(100 * (row.ue_perf or 0.0) for row in told)]
            label = sent(way)
            axes.step(seconds, [*values, values[-1]], where="post", label=label)
        first = rows[0]
        delay = f", {first.delay_ms:g} ms" if first.delay_ms else ""
        axes.set(
            title=f"{first.model_name}, {first.bw_mbit:g} Mbit/s{delay}",
            xlabel="seconds since the request",
            ylabel=f"{first.metric_name}, % (0: no model yet)",
        )
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small", loc="lower right")
    figure.savefig(file, dpi=120)
