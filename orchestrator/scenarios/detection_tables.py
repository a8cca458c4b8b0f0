"""The tables of clause 10.3.9: times by split, sizes of feature maps, agreement of predictions."""

from pathlib import Path

from orchestrator.results.rows import Row, is_anchor, number
from orchestrator.results.run_folder import PREDICTIONS, RunFolder
from orchestrator.scenarios.tables import Cells, Table
from splitbed.metrics.agreement import agreement
from splitbed.tasks.boxes import Box, read_boxes
from splitbed.zoo import ZOO


def detection_tables(folder: RunFolder, rows: list[Row]) -> list[Table]:
    """Those that this run has something for; `rows` are measured ones."""
    name = str(rows[0]["model"])
    nodes = ZOO[name].named_splits if name in ZOO else {}
    tables = [
        Table(
            "times",
            "Inference times with the network measured (clause 10.3.9.2), ms and MB",
            [_times(row, nodes.get(str(row["split_name"]), "")) for row in rows],
        )
    ]
    maps = [line for cell in _of_splits(folder).values() for line in _maps(cell)]
    tables += [Table("maps", "Sizes of what crosses (clause 10.3.9.1)", maps)] if maps else []
    agreed = [_agreed(folder, cell) for cell in folder.counted() if cell["error"] is None]
    if any(agreed):
        title = "Agreement of split and whole predictions (clause 10.3.9.1)"
        tables.append(Table("agreement", title, [line for line in agreed if line]))
    return tables


def _times(row: Row, node: str) -> dict[str, object]:
    ue_ms = number(row, "part1_ms") + number(row, "encode_ms")
    server_ms = number(row, "decode_ms") + number(row, "part2_ms") + number(row, "result_ms")
    network_ms = number(row, "network_ms")
    if str(row["split"]).endswith(":0"):
        ue_ms, server_ms = ue_ms + number(row, "result_ms"), 0.0
    times = {"ue_ms": ue_ms, "server_ms": server_ms, "network_ms": network_ms}
    times |= {"total_ms": number(row, "e2e_ms")}
    sent = 0 if row["codec"] == "none" else number(row, "encoded_bytes") / 1e6
    return {
        "link": row["link"],
        "ue": row["ue"],
        "split": row["split_name"],
        "node": "" if is_anchor(row) else node,
        "codec": row["codec"],
        **{name: round(value, 3) for name, value in times.items()},
        "intermediate_MB": round(number(row, "intermediate_bytes") / 1e6, 2),
        "sent_MB": round(sent, 4),
        "accuracy": row.get("accuracy"),
        "accuracy_drop": row.get("accuracy_drop"),
        "verdict": "VALID" if row["valid"] else "INVALID",
    }


def _of_splits(folder: RunFolder) -> dict[str, Row]:
    """A cell of each split that is no anchor."""
    return {cell["split"]: cell for cell in folder.counted() if not is_anchor(cell)}


def _maps(cell: Row) -> Cells:
    tensors = cell.get("tensors")
    assert isinstance(tensors, list)
    return [
        {
            "split": cell["split_name"],
            "tensor": tensor["name"],
            "size": " x ".join(map(str, tensor["shape"][1:])),
            "bytes": tensor["bytes"],
        }
        for tensor in tensors
    ]


def _agreed(folder: RunFolder, cell: Row) -> dict[str, object] | None:
    """None for a model that gives no boxes, and for the device anchor, which is not split."""
    kept = folder.path / PREDICTIONS / str(cell["predictions"])
    if not kept.is_dir() or str(cell["split"]).endswith(":0"):
        return None
    split = _predictions(kept)
    whole = _predictions(folder.path / PREDICTIONS / "whole")
    found = agreement({name: whole[name] for name in split}, split)
    return {"cell": cell["key"], "codec": cell["codec"], **found.row()}


def _predictions(folder: Path) -> dict[str, list[Box]]:
    return {file.name: read_boxes(file, scored=True) for file in sorted(folder.glob("*.txt"))}
