"""Clause 10.1, a speech recogniser in transit: its size against its word error rate, and the wait.

Methods are coders but for their numbers; each number is a test configuration of its method.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.scenarios.tables import Line, Table
from orchestrator.transit.row import ModelRow
from splitbed.zoo import ZOO

FIGURE = "figure-10.1.9-1.png"
MARGIN = 0.05
"""How far above the anchor's a word error rate may be (clause 10.1.9)."""
WANTED = 5
"""Test configurations of a method within that."""
TITLES = {
    "model": "Anchor model (table 10.1.4-1), label selector",
    "configurations": "Test configurations (clause 10.1.9)",
    "methods": f"Configurations within werAnc + {MARGIN:g}",
    "waits": "Time to the first transcript, ms",
    "best": "The shortest wait at each rate",
}
WORDS = "1 - WER"
"""How the metric of recognisers begins."""


def recognises(rows: Sequence[ModelRow]) -> bool:
    """Whether these are of a recogniser, which the clause is about."""
    return bool(rows) and rows[0].metric_name.startswith(WORDS)


def parameters_of(rows: Sequence[ModelRow]) -> int:
    """How many the model has: as the zoo says, or as are so large."""
    name = rows[0].model_name
    return (ZOO[name].parameters if name in ZOO else 0) or rows[0].anc_size // 4


def tables(rows: Sequence[ModelRow], repaired: Mapping[str, float]) -> list[Table]:
    """The tables of the clause, and what it leaves out: the wait for the first transcript.

    ``repaired`` are the rates of transcripts that a vocabulary repaired, by coder, that of the
    anchor model under its own name; none where there is no vocabulary.
    """
    points, parameters = _points(rows, repaired), parameters_of(rows)
    anchor: Line = {
        "model": rows[0].model_name,
        "numParam_M": round(parameters / 1e6, 1),
        "sizeAnc_Mbit": round(parameters * 32e-6, 1),
        "werAnc_pct": _pct(_wer(rows[0].anc_perf)),
        **_repaired(rows[0].model_name, repaired),
    }
    found = {"model": [anchor], "configurations": points, "methods": _methods(points)}
    if linked := [row for row in rows if row.startup_ms is not None]:
        found |= {"waits": _waits(linked), "best": _best(linked)}
    return [Table(name, TITLES[name], lines) for name, lines in found.items()]


def plot(rows: Sequence[ModelRow], file: Path) -> None:
    """Figure 10.1.9-1: a line of (cSize, wer) for each method, and werAnc."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    anchor = _wer(rows[0].anc_perf)
    every = _points(rows, {})
    for method in dict.fromkeys(str(point["method"]) for point in every):
        own = [_pair(point) for point in every if point["method"] == method]
        axes.plot(*zip(*sorted(own), strict=True), marker="o", label=method)
    if anchor is not None:
        axes.axhline(100 * anchor, color="black", linestyle="--", label="werAnc")
        axes.axhspan(100 * anchor, 100 * (anchor + MARGIN), color="grey", alpha=0.15)
        axes.set_ylim(0, min(100.0, 100 * (anchor + 4 * MARGIN)))
    axes.set(xlabel="cSize", ylabel="wer, %", title=rows[0].model_name, xlim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=120)


def method_of(coder: str) -> str:
    """The coder but for its numbers: ``prune+int+zstd`` of ``prune:30+int8+zstd``."""
    return re.sub(r":?-?\d+", "", coder)


def _points(rows: Sequence[ModelRow], repaired: Mapping[str, float]) -> list[Line]:
    """A line for each coder that could be judged."""
    first = {row.coder_name: row for row in reversed(rows) if row.rec_perf is not None}
    return [
        {
            "configuration": name,
            "method": method_of(name),
            "bytes": row.rec_size,
            "cSize": round(row.compress_ratio or 0, 4),
            "wer_pct": _pct(_wer(row.rec_perf)),
            **({} if row.ue_perf is None else {"wer_ue_pct": _pct(_wer(row.ue_perf))}),
            **_repaired(name, repaired),
            "within": "yes" if _within(row) else "no",
        }
        for name, row in reversed(first.items())
    ]


def _methods(points: Sequence[Line]) -> list[Line]:
    within = [str(point["method"]) for point in points if point["within"] == "yes"]
    return [
        {
            "method": method,
            "configurations": within.count(method),
            "as_the_clause_asks": "yes"
            if within.count(method) >= WANTED
            else f"fewer than {WANTED}",
        }
        for method in dict.fromkeys(str(point["method"]) for point in points)
    ]


def _waits(rows: Sequence[ModelRow]) -> list[Line]:
    return [
        {
            "configuration": row.coder_name,
            "Mbit/s": row.bw_mbit,
            "link_ms": _ms(row.link_ms),
            "decode_tail_ms": _ms(row.decode_tail_ms),
            "open_ms": _ms(row.open_ms),
            "first_inference_ms": _ms(row.first_inference_ms),
            "first_transcript_ms": _ms(row.startup_ms),
            "verdict": _verdict(row),
        }
        for row in rows
    ]


def _best(rows: Sequence[ModelRow]) -> list[Line]:
    """Of the valid ones that recognise well enough; undisturbed, where any was."""
    found: list[Line] = []
    for rate in dict.fromkeys(row.bw_mbit for row in rows):
        fit = [row for row in rows if row.bw_mbit == rate and row.valid and _within(row)]
        if fit:
            sure = [row for row in fit if row.compares] or fit
            best = min(sure, key=lambda row: row.startup_ms or 0)
            found.append(
                {
                    "Mbit/s": rate,
                    "configuration": best.coder_name,
                    "first_transcript_ms": _ms(best.startup_ms),
                    "wer_pct": _pct(_wer(best.rec_perf)),
                    "verdict": _verdict(best),
                }
            )
    return found or [{"Mbit/s": "", "configuration": "none is within", "first_transcript_ms": ""}]


def _verdict(row: ModelRow) -> str:
    if not row.valid:
        return "INVALID"
    longer = {"disturbed": row.disturbed, "cut off": row.resumed}
    return ", ".join(["VALID", *(words for words, is_so in longer.items() if is_so)])


def _within(row: ModelRow) -> bool:
    anchor, own = _wer(row.anc_perf), _wer(row.rec_perf)
    return anchor is not None and own is not None and own <= anchor + MARGIN + 1e-9


def _pair(point: Line) -> tuple[float, float]:
    size, wer = point["cSize"], point["wer_pct"]
    assert isinstance(size, float) and isinstance(wer, float)
    return size, wer


def _repaired(name: str, repaired: Mapping[str, float]) -> Line:
    return {"wer_vocabulary_pct": _pct(repaired[name])} if name in repaired else {}


def _wer(accuracy: float | None) -> float | None:
    return None if accuracy is None else 1 - accuracy


def _pct(rate: float | None) -> float | None:
    return None if rate is None else round(100 * rate, 2)


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
