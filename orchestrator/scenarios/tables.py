"""The tables that a scenario leaves, whatever its clause: each a CSV, all of them in tables.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.ask.flow import FLOWS, UPLINK, at_node
from orchestrator.ask.topology import called
from orchestrator.checks.verify import Verification
from orchestrator.reports.sheet import Sheet, markdown_text
from orchestrator.results.columns import csv_text
from orchestrator.results.facts import ModelFacts
from orchestrator.results.profile import NodeProfile, Profile
from orchestrator.results.rows import Row

Line = Mapping[str, object]


@dataclass(frozen=True)
class Table:
    """A table of the clause: its file, a title and lines of the same keys."""

    name: str
    title: str
    lines: Sequence[Line]

    def csv(self) -> str:
        """As CSV."""
        texts = ({name: _text(value) for name, value in line.items()} for line in self.lines)
        return csv_text(list(self.lines[0]), texts)

    def markdown(self) -> str:
        """As a table of Markdown under its title."""
        heads = list(self.lines[0])
        texts = [
            heads,
            ["---"] * len(heads),
            *([markdown_text(_text(v)) for v in line.values()] for line in self.lines),
        ]
        return f"## {self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in texts)

    def sheet(self, *notes: str) -> Sheet:
        """As a document prints it."""
        lines = [[_text(value) for value in line.values()] for line in self.lines]
        return Sheet(self.title, list(self.lines[0]), lines, notes)


def _text(value: object) -> str:
    # published sizes have seven digits; more is noise
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def finds(task: str) -> bool:
    """Whether a model of this task finds things in pictures, so that it has a precision.

    One of which no task is told may.
    """
    return task in ("", "centres", "detections", "pose", "ssd")


def model_table(model: ModelFacts, task: str, mean_average_precision: float | None) -> Table:
    """Table 10.2.4-1; the precision is None where it was not measured."""
    precision = "not measured"
    if mean_average_precision is not None:
        precision = str(round(100 * mean_average_precision, 1))
    row = {
        "model": model.name,
        "size_MB": None if model.bytes is None else round(model.bytes / 1e6, 2),
        **({"mAP": precision} if finds(task) else {}),
        "layers": model.layers,
        "parameters": model.parameters,
    }
    return Table("model", "Anchor model (table 10.2.4-1)", [row])


def verification_table(checks: Sequence[Verification]) -> Table:
    """A line per picture (clause 10.2.8)."""
    lines: list[Line] = []
    for picture in dict.fromkeys(check.picture for check in checks):
        own = [check for check in checks if check.picture == picture]
        failed = [check.split for check in own if check.verdict != "PASSED"]
        lines.append(
            {
                "picture": picture,
                "sha256": own[0].sha256,
                "verdict": "FAILED" if failed else "PASSED",
                "splits_passed": len(own) - len(failed),
                "splits_failed": ", ".join(failed),
                "max_abs_diff": max(check.max_abs_diff for check in own),
            }
        )
    return Table("verification", "Lossless verification (clause 10.2.8)", lines)


def profile_tables(profile: Profile, flow: str = UPLINK) -> list[Table]:
    """Each node that runs a part (clause 10.2.7), and each layer.

    And the published table of splits (10.2.13), whose client runs the first layers as in uplink.
    """
    asked = FLOWS[flow]
    names = dict.fromkeys(asked.node_of(part + 1) for part in range(asked.parts))
    nodes = [_node(called(name), profile.node(name)) for name in names]
    told = zip(*(profile.node(name).layers for name in names), strict=True)
    layers: list[Line] = [
        {"layer": own[0].last, "name": own[0].name, "op": own[0].op}
        | {at_node(name, "ms"): round(one.ms, 4) for name, one in zip(names, own, strict=True)}
        for own in told
    ]
    found = [
        Table("nodes", "Performance of each node (clause 10.2.7), ms and bytes", nodes),
        Table("layers", "Time of each layer, ms", layers),
    ]
    splits = "Splits, from the profiles, without network (clause 10.2.13)"
    return [*found, Table("profile", splits, profile.table())] if flow == UPLINK else found


def _node(name: str, profile: NodeProfile) -> Line:
    values = profile.model_dump(exclude={"layers", "parts"})
    parts = "; ".join(f"{part.first}-{part.last} {part.ms:.4g}" for part in profile.parts)
    rounded = {key: _rounded(value) for key, value in values.items()}
    return {"node": name, **rounded, "parts_ms": parts}


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


_MEASURED = (
    "part1_bytes", "part2_bytes", "part1_delivery_ms", "part1_ms", "intermediate_bytes",
    "encoded_bytes", "encode_ms", "decode_ms",
    "uplink_ms", "part2_ms", "downlink_ms", "e2e_ms", "speedup_vs_best_anchor",
    "frames_to_pay_delivery", "part1_predicted_ms", "part2_predicted_ms", "e2e_predicted_ms",
    "prediction_error_pct", "max_abs_diff", "accuracy", "accuracy_drop", "valid",
)  # fmt: skip


def measured_table(rows: Sequence[Row]) -> Table:
    """Every split over every link, with what the published table leaves out."""
    return Table("measured", "Splits, as measured over the link, medians", [*map(_measured, rows)])


def _measured(row: Row) -> Line:
    client = row.layers_on_user_side
    last_hop = f"{FLOWS[row.flow].hops[-1]}_ms"
    names = (last_hop if name == "downlink_ms" else name for name in _MEASURED)
    values = ((name, row.value(name)) for name in names)
    return {
        "link": row.link,
        "layers_on_client": client,
        "layers_on_server": sum(row.layers) - client,
        "codec": row.codec,
        "ue": row.ue,
        "ue_slowdown": row.ue_slowdown,
        **{name: round(v, 3) if isinstance(v, float) else v for name, v in values},
    }
