"""summary.csv: a row per cell, recomputed from the raw samples whenever it is written."""

import statistics
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.results.anchors import add_comparisons
from orchestrator.results.bound import bound_ms
from orchestrator.results.clock import ClockModel, is_told, on_ue_clock
from orchestrator.results.intervals import median_interval
from orchestrator.results.profile import Profile, read_profile
from orchestrator.results.rows import Row, number
from orchestrator.results.run_folder import Record, RunFolder, csv_text
from splitbed.graphs.graph import why_runs_differ
from splitbed.timeline import Stage, Timeline

STAGE_COLUMNS = ("part1", "encode", "uplink", "decode", "part2", "downlink")

COLUMNS = (
    "model", "runtime", "split", "split_name", "codec", "bw_mbit", "delay_ms", "loss_pct",
    "frames", "errors", "intermediate_tensors", "intermediate_bytes", "encoded_bytes",
    "part1_bytes", "part2_bytes", "part1_ms", "encode_ms", "uplink_ms", "decode_ms", "part2_ms",
    "downlink_ms", "e2e_ms", "e2e_p95_ms", "e2e_p99_ms", "bound_ms", "e2e_over_bound",
    "speedup_vs_best_anchor", "max_abs_diff", "link_backend", "link_mbit", "link_rtt_ms",
    "link_retransmits", "valid",
    # second block: what the first leaves out
    "reason", "weights", "preprocess_ms", "result_ms", "gap_pct", "link", "jitter_ms",
    "queue_packets", "downlink_mbit", "downlink_delay_ms", "downlink_jitter_ms",
    "downlink_loss_pct", "link_down_mbit", "tcp", "cwnd_segments", "load_ms",
    "part1_delivery_ms", "frames_to_pay_delivery", "part1_predicted_ms", "part2_predicted_ms",
    "e2e_predicted_ms", "prediction_error_pct",
    "network_ms", "one_way_uncertainty_ms", "clock_drift_ppm",
    "ue", "ue_slowdown", "ue_cpus", "best_anchor", "lossless", "accuracy_metric", "accuracy",
    "accuracy_drop", "result_bytes", "frame_kbit", "bitrate_mbit", "kbit_vs_network_anchor",
    "e2e_low_ms", "e2e_high_ms",
)  # fmt: skip
"""Times are medians over the counted frames unless the name says otherwise.

``e2e_low_ms`` and ``e2e_high_ms`` are the ends of the median's 95 % interval.
"""

MAX_GAP_SHARE = 0.01
"""Stages add up to the end-to-end time within this share …"""
MAX_GAP_MS = 0.5
"""… or leave no more than this, which is Python going from one stage to the next."""
MAX_ABS_DIFF = 1e-3
"""Largest difference of split from whole output (clause 10.2.8)."""
MIN_OVER_BOUND = 0.98
"""Nothing beats physics: a frame faster than this was not over the link that was asked."""


def rows(folder: RunFolder) -> list[Row]:
    """The summary of all ended cells of a run, in the order of the grid."""
    run = folder.read_run()
    samples = samples_by_attempt(folder)
    cells = folder.counted()
    table = [_row(run, cell, samples[cell["attempt"]]) for cell in cells]
    for row, cell in zip(table, cells, strict=True):
        _add_accuracy(row, cell, run.get("whole_accuracy"))
    _add_slowdowns(table)
    add_comparisons(table)
    if profile := read_profile(folder):
        for row in table:
            _add_prediction(row, profile)
    return table


def samples_by_attempt(folder: RunFolder) -> dict[str, list[Record]]:
    """The frames of each attempt at a cell; none for one that is not known."""
    samples: dict[str, list[Record]] = defaultdict(list)
    for sample in folder.samples():
        samples[sample["attempt"]].append(sample)
    return samples


def timelines(cell: Record, samples: Sequence[Record]) -> list[Timeline]:
    """The frames of a cell, each on the UE's clock."""
    clock = _clock(cell)
    seen = [[Stage(*stage) for stage in sample["stages"]] for sample in samples]
    return [Timeline(on_ue_clock(stages, clock) if clock else stages) for stages in seen]


def _clock(cell: Record) -> ClockModel | None:
    return ClockModel.from_record(cell["clock"]) if cell.get("clock") else None


def _add_slowdowns(table: Sequence[Row]) -> None:
    """What frames saw, where the run has the cell at the UE's own pace; else as tried alone."""
    own = {
        (row["split"], row["codec"], row["link"]): row["part1_ms"]
        for row in table
        if not row["ue"] and row.get("part1_ms")
    }
    for row in table:
        at_own_pace = own.get((row["split"], row["codec"], row["link"]))
        computes = not str(row["split"]).startswith("0:")
        if row["ue"] and computes and row.get("part1_ms") and isinstance(at_own_pace, float):
            row["ue_slowdown"] = number(row, "part1_ms") / at_own_pace


def _add_prediction(row: Row, profile: Profile) -> None:
    """What the profile says of part 1 and part 2; the link and the rest are those of the bound."""
    part1_ms, part2_ms = profile.predicted_ms(int(str(row["split"]).partition(":")[0]))
    if isinstance(row["ue_slowdown"], float):
        part1_ms *= row["ue_slowdown"]
    row |= {"part1_predicted_ms": part1_ms, "part2_predicted_ms": part2_ms}
    if "e2e_ms" in row:
        nodes_ms = number(row, "part1_ms") + number(row, "part2_ms")
        predicted_ms = number(row, "bound_ms") - nodes_ms + part1_ms + part2_ms
        row["e2e_predicted_ms"] = predicted_ms
        row["prediction_error_pct"] = 100 * (predicted_ms / number(row, "e2e_ms") - 1)


def accuracy_csv(folder: RunFolder) -> str:
    """Every metric of the whole model and of each lossy row, and of each class (clause 9.4)."""
    whole = folder.read_run().get("whole_accuracy")
    judged = [("whole model", "", "", whole)] if whole else []
    judged += [
        (cell["split_name"], cell["codec"], cell["key"], cell["accuracy"])
        for cell in folder.counted()
        if cell.get("accuracy")
    ]
    lines: list[Row] = []
    for split, codec, key, accuracy in judged:
        where = {"split_name": split, "codec": codec, "cell": key}
        for name, value in accuracy["more"].items():
            lines.append(where | {"metric": name, "class": "all", "value": value})
        for name, value in accuracy["classes"].items():
            lines.append(where | {"metric": "ap", "class": name, "value": value})
    return csv_text(("split_name", "codec", "cell", "metric", "class", "value"), lines)


def to_csv(table: Sequence[Row]) -> str:
    """The rows as CSV with :data:`COLUMNS`; what is not known is empty."""
    texts = ({name: _cell_text(value) for name, value in row.items()} for row in table)
    return csv_text(COLUMNS, texts)


def _cell_text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else value


def _row(run: Record, cell: Record, samples: list[Record]) -> Row:
    link = LinkSpec.model_validate(cell["link"])
    row: Row = {
        "model": run["model"]["name"],
        "weights": run["model"]["weights"],
        "runtime": run["model"].get("runtime", "onnx"),  # the only one of the first runs
        "codec": cell.get("codec", "raw"),
        "lossless": cell.get("lossless", True),
        "ue": cell.get("ue", ""),
        "ue_slowdown": cell.get("ue_slowdown"),
        "ue_cpus": cell.get("ue_cpus"),
        "split": cell["split"],
        "split_name": cell["split_name"],
        "bw_mbit": link.uplink.rate_mbit,
        "delay_ms": link.uplink.delay_ms,
        "jitter_ms": link.uplink.jitter_ms,
        "loss_pct": link.uplink.loss_pct,
        "link": link.words,
        "queue_packets": link.uplink.queue_packets,
        "downlink_mbit": link.downlink.rate_mbit,
        "downlink_delay_ms": link.downlink.delay_ms,
        "downlink_jitter_ms": link.downlink.jitter_ms,
        "downlink_loss_pct": link.downlink.loss_pct,
        "link_backend": cell["link_backend"],
        "frames": len(samples),
        "errors": 0 if cell["error"] is None else 1,
        "intermediate_tensors": cell["intermediate_tensors"],
        "intermediate_bytes": cell["intermediate_bytes"],
        "part1_bytes": cell.get("part1_bytes"),
        "part2_bytes": cell.get("part2_bytes"),
        "load_ms": cell.get("load_ms"),
        "part1_delivery_ms": cell.get("part1_delivery_ms"),
    }
    reasons = [cell["error"]] if cell["error"] else []
    lost = (cell.get("frames") or 1) - len(samples)  # the first runs did not count their frames
    if lost > 0 and not reasons:
        reasons.append(f"{lost} of its frames are missing from samples.jsonl")
    if samples:
        row |= _times(cell, samples, link)
        kbit = 8 * (number(row, "encoded_bytes") + number(row, "result_bytes")) / 1e3
        nothing = row["codec"] == "none"
        row["frame_kbit"] = 0.0 if nothing else kbit
        row["bitrate_mbit"] = number(row, "frame_kbit") / 1e3 * run.get("asked", {}).get("fps", 30)
        reasons += _timing_faults(row, run["model"].get("drawing", ()))
    if row["part1_delivery_ms"] and row["part1_bytes"]:
        floor_ms = wire_ms(int(number(row, "part1_bytes")), link.downlink)
        if number(row, "part1_delivery_ms") < MIN_OVER_BOUND * floor_ms:
            reasons.append("part 1 was delivered faster than physics: the link was not as asked")
    if cell.get("proofs"):
        row |= _link_columns(cell["proofs"])
        reasons += [proof["fault"] for proof in cell["proofs"] if proof["fault"]]
    return row | {"valid": not reasons, "reason": "; ".join(reasons or _remarks(row))}


def _times(cell: Record, samples: list[Record], link: LinkSpec) -> Row:
    frames = timelines(cell, samples)
    e2e = [timeline.e2e_ms for timeline in frames]
    low_ms, high_ms = median_interval(e2e)
    bounds = [
        bound_ms(timeline, sample["encoded_bytes"], sample["result_bytes"], link)
        for timeline, sample in zip(frames, samples, strict=True)
    ]
    diffs = [s["max_abs_diff"] for s in samples if s["max_abs_diff"] is not None]
    stage_ms: Row = {
        f"{name}_ms": statistics.median(timeline.ms(name) for timeline in frames)
        for name in ("preprocess", *STAGE_COLUMNS, "result")
    }
    if clock := _clock(cell):
        _untell(stage_ms, clock, samples)
    return stage_ms | {
        "network_ms": statistics.median(t.ms("uplink") + t.ms("downlink") for t in frames),
        # of a codec whose bytes depend on the content, the mean
        "encoded_bytes": round(statistics.mean(sample["encoded_bytes"] for sample in samples)),
        "result_bytes": round(statistics.mean(sample["result_bytes"] for sample in samples)),
        "e2e_ms": statistics.median(e2e),
        "e2e_low_ms": low_ms,
        "e2e_high_ms": high_ms,
        "e2e_p95_ms": float(np.percentile(e2e, 95)),
        "e2e_p99_ms": float(np.percentile(e2e, 99)),
        "bound_ms": statistics.median(bounds),
        "e2e_over_bound": statistics.median(a / b for a, b in zip(e2e, bounds, strict=True)),
        "max_abs_diff": max(diffs, default=None),
        "gap_pct": 100 * statistics.median(timeline.gap_share for timeline in frames),
    }


def _untell(stage_ms: Row, clock: ClockModel, samples: list[Record]) -> None:
    """Say how sure one-way times are, and leave out those that may as well be nothing."""
    seen = [[Stage(*stage) for stage in sample["stages"]] for sample in samples]
    if not any(Timeline(stages).crosses for stages in seen):
        return
    fault, unsure_ms = clock.fault(seen), clock.uncertainty_ms
    stage_ms |= {"one_way_uncertainty_ms": unsure_ms, "clock_fault": fault}
    stage_ms["clock_drift_ppm"] = clock.drift_ppm[0] if clock.drift_ppm else None
    for name in ("uplink_ms", "downlink_ms"):
        if fault or not is_told(number(stage_ms, name), unsure_ms):
            stage_ms[name] = None


def _timing_faults(row: Row, drawing: Sequence[str]) -> list[str]:
    faults: list[str] = []
    gap, over, diff = number(row, "gap_pct"), number(row, "e2e_over_bound"), row["max_abs_diff"]
    # a slowed UE is slower between its stages, too
    slow = max(1.0, 1 / number(row, "ue_cpus")) if row["ue_cpus"] else 1.0
    if gap > 100 * MAX_GAP_SHARE and gap / 100 * number(row, "e2e_ms") > MAX_GAP_MS * slow:
        faults.append(f"stages leave {gap:.1f} % of the end-to-end time unexplained")
    if over < MIN_OVER_BOUND:
        faults.append(f"faster than its physical floor ({over:.3f}): the link was not as asked")
    if row["lossless"] and isinstance(diff, float) and diff > MAX_ABS_DIFF:
        why = f": {words}" if (words := why_runs_differ(drawing)) else ""
        faults.append(f"split output differs from the whole model's by {diff:.2g}{why}")
    return faults


def _remarks(row: Row) -> list[str]:
    """What a valid row says for itself."""
    remarks = [f"valid, though {fault}"] if (fault := row.get("clock_fault")) else []
    if number(row, "gap_pct") > 100 * MAX_GAP_SHARE:
        gap_ms = number(row, "gap_pct") / 100 * number(row, "e2e_ms")
        remarks.append(f"valid, though Python took {gap_ms:.2f} ms to go from stage to stage")
    return remarks


def _add_accuracy(row: Row, cell: Record, whole: Record | None) -> None:
    """Of a lossless row, that of the whole model, which its difference proves."""
    judged = whole if row["lossless"] else cell.get("accuracy")
    if judged is None or whole is None:
        return
    row |= {"accuracy_metric": judged["metric"], "accuracy": judged["value"]}
    if judged["value"] is not None and whole["value"] is not None:
        row["accuracy_drop"] = whole["value"] - judged["value"]


def _link_columns(proofs: list[Record]) -> Row:
    first, last = proofs[0], proofs[-1]
    columns: Row = {
        "link_mbit": statistics.mean(proof["uplink_mbit"] for proof in proofs),
        "link_down_mbit": statistics.mean(proof["downlink_mbit"] for proof in proofs),
        "link_rtt_ms": statistics.mean(proof["rtt_min_ms"] for proof in proofs),
    }
    if first["tcp"] and last["tcp"]:
        columns |= {
            "link_retransmits": last["tcp"]["retransmits"] - first["tcp"]["retransmits"],
            "tcp": last["tcp"]["congestion_control"],
            "cwnd_segments": last["tcp"]["cwnd_segments"],
        }
    return columns
