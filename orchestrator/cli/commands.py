"""What the commands verify, infer and profile print."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.api.infer import Inference
from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.checks.verify import Verification, to_csv, verify
from orchestrator.offline.infer import as_lists
from orchestrator.reports.terminal import Line, show_lines
from orchestrator.results.profile import NodeProfile, Profile
from orchestrator.results.records import Accuracy
from orchestrator.results.run_folder import check_new, write_new
from orchestrator.testbed.local import local_model
from splitbed.command import say
from splitbed.errors import RunError
from splitbed.graphs.graph import why_runs_differ


def run_verify(config: SweepConfig, out: Path | None, *, as_json: bool) -> int:
    """Print a line per picture and split; 0 when all passed, else 1."""
    check_new(out)
    checks: list[Verification] = []
    with local_model(config) as local:
        for check in verify(config, local):
            checks.append(check)
            if not as_json:
                say(_words(check))
        weights, graph = local.model.facts.weights, local.model.graph
    failed = sum(check.verdict == "FAILED" for check in checks)
    if out:
        write_new(out, to_csv(checks))
    if as_json:
        sys.stdout.write(json.dumps([check.row() for check in checks], indent=2) + "\n")
    else:
        worst = max(check.max_abs_diff for check in checks)
        say(
            f"{'FAILED' if failed else 'PASSED'}: {len(checks) - failed} of {len(checks)} passed, "
            f"largest difference {worst:.3g}; {config.model}, weights: {weights}"
        )
    if failed and graph.drawing:
        say(why_runs_differ(graph.drawing), stderr=True)
    return RunError.exit_code if failed else 0


def _words(check: Verification) -> str:
    where = check.split if check.split == check.split_name else f"{check.split_name} {check.split}"
    differences = check.row()["differences"]
    told = f" ({differences})" if check.max_abs_diff else ""
    return f"{check.verdict}: {where} {check.picture}{told}"


def show_inference(found: Inference, model: str, places: Mapping[str, Path | None]) -> None:
    """What was found in each picture, and how good that is; `places` say where files of it are."""
    lines: list[Line] = []
    for name, results in found.results.items():
        counts = {key: len(array) if array.ndim else 1 for key, array in results.items()}
        drawn = found.drawn[name]
        lines.append({"input": name, **counts, "drawn": "" if drawn is None else drawn})
    show_lines(lines, as_json=False)
    if found.precision:
        show_lines([{**found.precision}], as_json=False)
    if found.accuracy:
        _show_accuracy(found.accuracy)
    told = "".join(f"; {what}: {place}" for what, place in places.items() if place)
    say(f"{model}, weights: {found.weights}{told}")


def inference_json(found: Inference) -> str:
    """The same as JSON."""
    results = {name: as_lists(tensors) for name, tensors in found.results.items()}
    one = found.accuracy
    accuracy = one and {**one.more, "classes": one.classes}
    answer = {"weights": found.weights, "results": results, "precision": found.precision}
    return json.dumps(answer | {"accuracy": accuracy}, indent=2)


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
