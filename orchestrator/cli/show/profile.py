"""Both nodes' profiles, as `orchestrate profile` prints them."""

from orchestrator.reports.terminal import Line, show_lines
from orchestrator.results.profile import NodeProfile, Profile


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
        "memory at initialisation MB": _megabytes(profile.init_memory_bytes),
        "overall memory MB": _megabytes(profile.overall_memory_bytes),
    }


def _megabytes(nbytes: int | None) -> float | None:
    return None if nbytes is None else nbytes / 1e6
