"""The command rd: what it prints, and the folder that it leaves.

rd.json      what was asked, the model, conditions    points.csv      a row per split and codec
bd_rate.csv  each curve against each anchor    calibration.json  ranges of the codecs
rate-accuracy.png  both as a picture
"""

import json
import sys
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from netem.spec import LinkSpec
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.calibration import Calibration, calibrate
from orchestrator.measure.conditions import now
from orchestrator.offline.bd import BD_COLUMNS, bd_rows, best_anchor, told
from orchestrator.offline.curves import anchors
from orchestrator.offline.pool import Pool, pooled
from orchestrator.offline.rd import (
    POINT_COLUMNS,
    Bench,
    RatePoint,
    bound_column,
    plan,
)
from orchestrator.reports.terminal import Line, show_lines, stdout
from orchestrator.results.columns import csv_text
from orchestrator.results.run_folder import RunFolder, check_free, create
from splitbed.command import say
from splitbed.errors import RunError

RD_FILE, POINTS_FILE, BD_FILE = "rd.json", "points.csv", "bd_rate.csv"
PLOT_FILE = "rate-accuracy.png"


def run_rd(
    config: SweepConfig,
    asked_anchors: Sequence[str] = (),
    *,
    best: bool = False,
    as_json: bool = False,
) -> int:
    """Measure, print and write; 1 where a point failed, else 0.

    ``config`` says the model, inputs with commas between, ``runs`` frames of each, splits, codecs
    and links; ``asked_anchors`` are the curves that BD-rates are against, ``best`` whether only
    Pareto points count there.  Raises UsageError for what cannot be asked; nothing is left then.
    """
    if config.out:
        check_free(config.out)
    with pooled(config) as pool:
        local = pool.local
        check_classes(local.model)
        setups = plan(config, local, _say)
        against = anchors(asked_anchors, setups)
        coding = [one for setup in setups for one in setup.coding]
        calibration = calibrate(config, local.model, coding, note=_say)
        folder = create(config.out, f"rd-{local.model.name}")
        _say(f"writing to {folder.path}")
        points = _measure(config, pool, setups, calibration, folder)
        facts = local.model.facts
    against = against or best_anchor(points, config.max_drop)
    curves = bd_rows(points, against, pool, best=best)
    folder.replace(BD_FILE, csv_text(BD_COLUMNS, curves))
    from orchestrator.offline.plot import plot  # late: a second's work, which --help has not

    links = config.links
    plot(points, links, facts.name, folder.path / PLOT_FILE)
    failed = [point for point in points if point.error]
    if as_json:
        rows = [point.row(links, config.fps) for point in points]
        answer = {"run": str(folder.path), "weights": facts.weights}
        told = answer | {"points": rows, "bd_rate": curves}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        _show(points, links, curves)
        stdout().print(
            f"{facts.name}, weights: {facts.weights}. "
            "Latencies are bounds: node times measured on this machine, the link's computed.\n"
            f"Points, BD-rates and the picture: {folder.path}",
            soft_wrap=True,
            markup=False,
        )
    return RunError.exit_code if failed else 0


def _measure(
    config: SweepConfig,
    pool: Pool,
    setups: Sequence[Configuration],
    calibration: Calibration,
    folder: RunFolder,
) -> list[RatePoint]:
    """The device anchor and all setups; those of a cut are on the disk before the next is begun."""
    calibration.keep(folder)
    local = pool.local
    if local.model.recipe is None:
        _say(
            f"{local.model.name} was given no picture, sound or text, and is measured on seeded"
            " noise: what codecs make of that says little of what they make of real inputs"
        )
    count, due = sum(pool.frames), config.least_runs * len(pool.frames)
    frames = "1 frame" if count == 1 else f"{count} frames"
    more = "" if count >= due else f", all there are of {due}: --input names others"
    _say(f"running the whole model on {frames}{more}")
    bench = Bench(config, local, pool)
    asked = {
        "asked": config.model_dump(mode="json"),
        "model": local.model.facts.plain(),
        "frames_of_each_input": pool.frames,
        "calibration_frames": calibration.frames,
        "whole_accuracy": bench.whole.accuracy.plain() if bench.whole.accuracy else None,
        "times": "medians, measured in one process on one machine; latencies are bounds",
        "began": now(),
    }
    folder.replace(RD_FILE, json.dumps(asked, indent=2) + "\n")
    links = config.links
    columns = [*POINT_COLUMNS, *(bound_column(link, links) for link in links), "error"]
    points = [bench.whole]
    for point in bench.points(setups, calibration.known):
        points.append(point)
        folder.replace(POINTS_FILE, csv_text(columns, [p.row(links, config.fps) for p in points]))
        told = f"failed: {point.error}" if point.error else f"{point.kbit_per_frame:.1f} kbit"
        one = point.configuration
        _say(f"{len(points) - 1}/{len(setups)} {one.split_name} {one.codec}: {told}")
    return points


def _say(words: str) -> None:
    say(words, stderr=True)


def _show(points: Sequence[RatePoint], links: Sequence[LinkSpec], curves: Sequence[Line]) -> None:
    metrics = {point.accuracy.metric for point in points if point.accuracy}
    metric = metrics.pop() if len(metrics) == 1 else "accuracy"
    lines: list[Line] = []
    for point in points:
        line: Line = {"split": point.configuration.split_name, "codec": point.configuration.codec}
        if point.error:
            lines.append(line | dict.fromkeys(list(lines[0])[2:], "") | {"failed": point.error})
            continue
        shown = list(point.times.items())[:-1]  # the result is the same work everywhere
        line |= {"kbit/frame": round(point.kbit_per_frame, 1)}
        line |= {metric: _rounded(point.value), "drop": _rounded(point.drop)}
        line |= {stage.replace("_ms", " ms"): round(ms, 2) for stage, ms in shown}
        for link in links:
            line[f"bound ms at {link.words}"] = round(point.bound_ms(link), 1)
        lines.append(line)
    if any(point.error for point in points):
        lines = [line | {"failed": line.get("failed", "")} for line in lines]
    show_lines(lines, as_json=False)
    for _, rows in groupby(curves, key=itemgetter("anchor")):
        show_lines([told(row) for row in rows], as_json=False)


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 4)
