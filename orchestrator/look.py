"""What a user can look at before running: models, splits, links, this machine."""

import json
import sys
import tempfile
from pathlib import Path

from netem.backends import choose, diagnose
from netem.profiles import PROFILES, SOURCES
from orchestrator.config import SweepConfig
from orchestrator.model import load_graph_of
from orchestrator.report import Line, show_lines
from orchestrator.scratch import remove_abandoned
from splitbed.errors import MachineError
from splitbed.graphs.splits import resolve
from splitbed.zoo import ZOO


def doctor(*, as_json: bool) -> int:
    """What this machine can do; 0 when it can shape links, else 3."""
    findings = diagnose()
    try:
        backend, lacking = choose(), ""
    except MachineError as error:
        backend, lacking = "none", str(error)
    lines: list[Line] = [
        {"what": f.name, "works": "yes" if f.ok else "no", "detail": f.detail, "repair": f.repair}
        for f in findings
    ]
    if as_json:
        answer = {"link_backend": backend, "lacking": lacking, "findings": lines}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        show_lines(lines, as_json=False)
        sys.stdout.write(f"{lacking}\n" if lacking else f"Links are shaped by: {backend}\n")
    return MachineError.exit_code if lacking else 0


def models(*, as_json: bool) -> None:
    """The anchor models of the zoo."""
    show_lines(
        [
            {"model": m.name, "what": m.title, "parameters": m.parameters}
            | {"named splits": len(m.named_splits)}
            | {"task": m.task, "source": m.source}
            for m in ZOO.values()
        ],
        as_json=as_json,
    )


def splits(config: SweepConfig, *, as_json: bool) -> None:
    """The cuts of a model, with what crosses and what each side computes."""
    with tempfile.TemporaryDirectory() as folder:
        graph, anchor = load_graph_of(config, Path(folder))
    lines: list[Line] = []
    for found in resolve(graph, config.split, anchor.named_splits if anchor else None):
        cut = graph.cuts[found.k]
        # converters join the names of the operators that they fused into one tensor
        crossing = ", ".join(
            f"{t.name.partition(';')[0]} {t.datatype}{list(t.shape)}" for t in cut.tensors
        )
        lines.append(
            {
                "split": cut.name,
                "name": found.label,
                "tensors": len(cut.tensors),
                "bytes": cut.nbytes,
                "UE parameters": cut.ue_params,
                "edge parameters": cut.edge_params,
                "UE MMACs": round(cut.ue_macs / 1e6),
                "edge MMACs": round(cut.edge_macs / 1e6),
                "crossing": cut.obstacle or crossing,
            }
        )
    show_lines(lines, as_json=as_json)


def links(*, as_json: bool) -> None:
    """The named link profiles."""
    lines: list[Line] = []
    for name, spec in PROFILES.items():
        up, down = spec.uplink, spec.downlink
        lines.append(
            {
                "link": name,
                "uplink Mbit/s": up.rate_mbit,
                "downlink Mbit/s": down.rate_mbit,
                "delay ms": up.delay_ms,
                "jitter ms": up.jitter_ms,
                "loss %": up.loss_pct,
                "source": SOURCES[name],
            }
        )
    show_lines(lines, as_json=as_json)


def clean() -> None:
    """Remove what killed runs left, and say what that was."""
    removed = remove_abandoned()
    for found in removed:
        ended = f", ended processes {', '.join(map(str, found.pids))}" if found.pids else ""
        sys.stdout.write(f"removed {found.folder}{ended}\n")
    if not removed:
        sys.stdout.write("nothing to remove\n")
