"""The commands verify, infer and profile: what they print and write."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.config import SweepConfig
from orchestrator.infer import as_lists, check_annotations, infer
from orchestrator.local import local_model
from orchestrator.profile import NodeProfile, Profile, take_profile
from orchestrator.report import Line, show_lines, stdout
from orchestrator.run_folder import check_new, write_new
from orchestrator.testbed import testbed
from orchestrator.verify import Check, to_csv, verify
from splitbed.errors import RunError
from splitbed.metrics.keypoints import keypoint_precision
from splitbed.tensors import Tensors


def run_verify(config: SweepConfig, out: Path | None, *, as_json: bool) -> int:
    """Print a line per picture and split; 0 when all passed, else 1."""
    check_new(out)
    checks: list[Check] = []
    with local_model(config) as local:
        for check in verify(config, local):
            checks.append(check)
            if not as_json:
                sys.stdout.write(f"{_words(check)}\n")
        weights = local.model.facts["weights"]
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
    return RunError.exit_code if failed else 0


def _words(check: Check) -> str:
    where = check.split if check.split == check.split_name else f"{check.split_name} {check.split}"
    differences = check.row()["differences"]
    told = f" ({differences})" if check.max_abs_diff else ""
    return f"{check.verdict}: {where} {check.picture}{told}"


def run_infer(
    config: SweepConfig, out: Path | None, annotations: Path | None, *, as_json: bool
) -> None:
    """Print what the whole model says of each picture; draw it, judge it."""
    kept: dict[str, Tensors] = {}
    lines: list[Line] = []
    precision: dict[str, float] | None = None
    with local_model(config) as local:
        if annotations:
            check_annotations(annotations, local)
        for given, results, drawn in infer(local, out):
            kept[given.name] = results
            counts = {name: len(array) if array.ndim else 1 for name, array in results.items()}
            lines.append({"input": given.name, **counts, "drawn": "" if drawn is None else drawn})
        if annotations:
            precision = keypoint_precision(annotations, kept, local.model.graph.inputs)
        weights = local.model.facts["weights"]
    if as_json:
        found = {name: as_lists(results) for name, results in kept.items()}
        answer = {"weights": weights, "results": found, "precision": precision}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        return
    show_lines(lines, as_json=False)
    if precision:
        show_lines([{**precision}], as_json=False)
    drawn_at = f"; drawn: {out}" if out else ""
    sys.stdout.write(f"{config.model}, weights: {weights}{drawn_at}\n")


def run_profile(config: SweepConfig, out: Path | None, *, as_json: bool) -> None:
    """Print both nodes' profiles and write the published table."""
    check_new(out)
    with testbed(config) as bed:
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
