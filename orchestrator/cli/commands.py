"""The commands verify, infer and profile: what they print and write."""

import json
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.ask.config import SweepConfig
from orchestrator.checks.verify import Check, to_csv, verify
from orchestrator.measure.accuracy import Accuracy, Judge, check_classes
from orchestrator.measure.profile import take_profile
from orchestrator.offline.infer import (
    VIDEO_SUFFIX,
    as_lists,
    check_annotations,
    check_predictions,
    infer,
    judge_of,
    write_predictions,
)
from orchestrator.reports.terminal import Line, show_lines, stdout
from orchestrator.results.profile import NodeProfile, Profile
from orchestrator.results.run_folder import check_new, write_new
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.site import checked_site
from orchestrator.testbed.testbed import testbed
from splitbed.errors import RunError, UsageError
from splitbed.graphs.graph import why_runs_differ
from splitbed.media.datasets import open_dataset
from splitbed.metrics.keypoints import keypoint_precision
from splitbed.tensors import Tensors
from splitbed.zoo import ZOO


def run_verify(config: SweepConfig, out: Path | None, *, as_json: bool) -> int:
    """Print a line per picture and split; 0 when all passed, else 1."""
    check_new(out)
    checks: list[Check] = []
    with local_model(config) as local:
        for check in verify(config, local):
            checks.append(check)
            if not as_json:
                sys.stdout.write(f"{_words(check)}\n")
        weights, graph = local.model.facts["weights"], local.model.graph
    failed = sum(check.verdict == "FAILED" for check in checks)
    if out:
        write_new(out, to_csv(checks))
    if as_json:
        sys.stdout.write(json.dumps([check.row() for check in checks], indent=2) + "\n")
    else:
        worst = max(check.max_abs_diff for check in checks)
        sys.stdout.write(
            f"{'FAILED' if failed else 'PASSED'}: {len(checks) - failed} of {len(checks)} passed, "
            f"largest difference {worst:.3g}; {config.model}, weights: {weights}\n"
        )
    if failed and graph.drawing:
        sys.stderr.write(f"{why_runs_differ(graph.drawing)}\n")
    return RunError.exit_code if failed else 0


def _words(check: Check) -> str:
    where = check.split if check.split == check.split_name else f"{check.split_name} {check.split}"
    differences = check.row()["differences"]
    told = f" ({differences})" if check.max_abs_diff else ""
    return f"{check.verdict}: {where} {check.picture}{told}"


@dataclass(frozen=True)
class InferOptions:
    """What `infer` is asked for besides results: drawings, files of boxes, precision."""

    draw: Path | None = None
    predictions: Path | None = None
    annotations: Path | None = None
    frames: int | None = None


def run_infer(config: SweepConfig, wanted: InferOptions, *, as_json: bool) -> None:
    """Print what the whole model says of each picture; draw it, judge it."""
    kept: dict[str, Tensors] = {}
    lines: list[Line] = []
    precision: dict[str, float] | None = None
    with local_model(config) as every:
        local = replace(every, inputs=every.inputs[: wanted.frames])
        if wanted.annotations:
            check_annotations(wanted.annotations, local)
        if wanted.predictions:
            check_predictions(wanted.predictions, local)
        for given, results, drawn in infer(local, wanted.draw, _rate_hz(config, wanted.draw)):
            kept[given.name] = results
            counts = {name: len(array) if array.ndim else 1 for name, array in results.items()}
            lines.append({"input": given.name, **counts, "drawn": "" if drawn is None else drawn})
        if wanted.annotations:
            precision = keypoint_precision(wanted.annotations, kept, local.model.graph.inputs)
        judge = judge_of(local, kept)
        if wanted.predictions:
            write_predictions(wanted.predictions, judge, kept)
        accuracy = _accuracy(local, judge)
        weights = local.model.facts["weights"]
    if as_json:
        found = {name: as_lists(results) for name, results in kept.items()}
        answer = {"weights": weights, "results": found, "precision": precision}
        answer["accuracy"] = accuracy and {**accuracy.more, "classes": accuracy.classes}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        return
    show_lines(lines, as_json=False)
    if precision:
        show_lines([{**precision}], as_json=False)
    if accuracy:
        _show_accuracy(accuracy)
    places = {"drawn": wanted.draw, "boxes": wanted.predictions}
    told = "".join(f"; {what}: {place}" for what, place in places.items() if place)
    sys.stdout.write(f"{config.model}, weights: {weights}{told}\n")


def _rate_hz(config: SweepConfig, out: Path | None) -> float | None:
    """Of the frames that are to be drawn as a video."""
    if out is None or out.suffix.lower() != VIDEO_SUFFIX:
        return None
    usual = ZOO[config.model].dataset if config.model in ZOO else None
    return open_dataset(config.input or usual).rate_hz


def _accuracy(local: LocalModel, judge: Judge) -> Accuracy | None:
    """Against the ground truth; None where there is none of the model's classes."""
    if not judge.has_truth:
        return None
    try:
        check_classes(replace(local.model, inputs=local.inputs, others=()))
    except UsageError as error:
        sys.stderr.write(f"no accuracy: {error}\n")
        return None
    return judge.whole


def _show_accuracy(accuracy: Accuracy) -> None:
    rounded = {
        name: "" if value is None else round(value, 4) for name, value in accuracy.more.items()
    }
    show_lines([{**rounded}], as_json=False)
    classes: list[Line] = [
        {"class": label, "AP": "not annotated" if ap is None else f"{ap:.4f}"}
        for label, ap in accuracy.classes.items()
    ]
    show_lines(classes, as_json=False)


def run_profile(config: SweepConfig, out: Path | None, *, as_json: bool) -> None:
    """Print both nodes' profiles and write the published table."""
    check_new(out)
    site = checked_site(config)
    with local_model(config) as local, testbed(site, local.model, config.links) as bed:
        profile = take_profile(config, bed.model, bed.pair)
        name, weights = bed.model.name, bed.model.facts["weights"]
    file = out or Path("runs") / f"{name}-profile-{datetime.now(UTC):%Y%m%d-%H%M%S}.csv"
    write_new(file, profile.csv())
    if as_json:
        sys.stdout.write(profile.model_dump_json(indent=2) + "\n")
        return
    show_profile(profile)
    stdout().print(f"{name}, weights: {weights}. Times of every cut: {file}", soft_wrap=True)


def show_profile(profile: Profile) -> None:
    """Both nodes, then every layer."""
    show_lines(
        [_node_line("UE", profile.ue), _node_line("edge", profile.edge)],
        as_json=False,
    )
    lines: list[Line] = [
        {
            "layer": ue.last,
            "name": ue.name,
            "op": ue.op,
            "UE ms": round(ue.ms, 4),
            "edge ms": round(edge.ms, 4),
        }
        for ue, edge in zip(profile.ue.layers, profile.edge.layers, strict=True)
    ]
    show_lines(lines, as_json=False)


def _node_line(node: str, profile: NodeProfile) -> Line:
    return {
        "node": node,
        "initialisation ms": profile.init_ms,
        "warm-up ms": profile.warmup_ms,
        "steady state ms": profile.steady_ms,
        "after a pause ms": profile.paced_ms,
        "memory at initialisation MB": profile.init_memory_bytes / 1e6,
        "overall memory MB": profile.overall_memory_bytes / 1e6,
    }
