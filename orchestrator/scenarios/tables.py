"""The tables of clause 10.2, from a scenario's run."""

from dataclasses import dataclass

from orchestrator.results.profile import NodeProfile, Profile
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import Record, csv_text

Cells = list[dict[str, object]]


@dataclass(frozen=True)
class Table:
    """A table of the clause: its file, a title and rows of the same keys."""

    name: str
    title: str
    rows: Cells

    def csv(self) -> str:
        """As CSV."""
        texts = ({name: _text(value) for name, value in row.items()} for row in self.rows)
        return csv_text(list(self.rows[0]), texts)

    def markdown(self) -> str:
        """As a table of Markdown under its title."""
        heads = list(self.rows[0])
        lines = [
            heads,
            ["---"] * len(heads),
            *([_text(v) for v in row.values()] for row in self.rows),
        ]
        return f"## {self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(value: object) -> str:
    # published sizes have seven digits; more is noise
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def model_table(model: Record, mean_average_precision: float | None) -> Table:
    """Table 10.2.4-1; `model` is what run.json says of it."""
    known = mean_average_precision is not None
    row = {
        "model": model["name"],
        "size_MB": round(model["bytes"] / 1e6, 2),
        "mAP": round(100 * (mean_average_precision or 0), 1) if known else "not measured",
        "layers": model["layers"],
        "parameters": model["parameters"],
    }
    return Table("model", "Anchor model (table 10.2.4-1)", [row])


def verification_table(checks: Cells) -> Table:
    """A row per picture, of the rows of `verification.csv` (clause 10.2.8)."""
    rows: Cells = []
    for picture in dict.fromkeys(str(check["picture"]) for check in checks):
        own = [check for check in checks if check["picture"] == picture]
        failed = [str(check["split"]) for check in own if check["verdict"] != "PASSED"]
        rows.append(
            {
                "picture": picture,
                "sha256": own[0]["sha256"],
                "verdict": "FAILED" if failed else "PASSED",
                "splits_passed": len(own) - len(failed),
                "splits_failed": ", ".join(failed),
                "max_abs_diff": max(float(str(check["max_abs_diff"])) for check in own),
            }
        )
    return Table("verification", "Lossless verification (clause 10.2.8)", rows)


def profile_tables(profile: Profile) -> list[Table]:
    """Each node (clause 10.2.7), each layer, and the published table of splits (10.2.13)."""
    nodes = [_node("UE", profile.ue), _node("edge", profile.edge)]
    layers: Cells = [
        {"layer": ue.last, "name": ue.name, "op": ue.op}
        | {"ue_ms": round(ue.ms, 4), "edge_ms": round(edge.ms, 4)}
        for ue, edge in zip(profile.ue.layers, profile.edge.layers, strict=True)
    ]
    splits: Cells = [{**row} for row in profile.table()]
    return [
        Table("nodes", "Performance of each node (clause 10.2.7), ms and bytes", nodes),
        Table("layers", "Time of each layer, ms", layers),
        Table(
            "profile",
            "Splits, from the profiles, without network (clause 10.2.13)",
            splits,
        ),
    ]


def _node(name: str, profile: NodeProfile) -> dict[str, object]:
    values = profile.model_dump(exclude={"layers"})
    return {"node": name, **{key: round(value, 4) for key, value in values.items()}}


def measured_table(rows: list[Row]) -> Table:
    """Every split over every link, with what the published table leaves out."""
    return Table("measured", "Splits, as measured over the link, medians", [*map(_measured, rows)])


def _measured(row: Row) -> dict[str, object]:
    client, _, server = str(row["split"]).partition(":")
    columns: dict[str, object] = {
        "link": row["link"],
        "layers_on_client": client,
        "layers_on_server": server,
        "codec": row["codec"],
        "ue": row["ue"],
        "ue_slowdown": row["ue_slowdown"],
    }
    for name in (
        "part1_bytes", "part2_bytes", "part1_delivery_ms", "part1_ms", "intermediate_bytes",
        "encoded_bytes", "encode_ms", "decode_ms",
        "uplink_ms", "part2_ms", "downlink_ms", "e2e_ms", "speedup_vs_best_anchor",
        "frames_to_pay_delivery", "part1_predicted_ms", "part2_predicted_ms", "e2e_predicted_ms",
        "prediction_error_pct", "max_abs_diff", "accuracy", "accuracy_drop", "valid",
    ):  # fmt: skip
        value = row.get(name)
        columns[name] = round(value, 3) if isinstance(value, float) else value
    return columns
