"""Clause 10.3, detectors: times by node, sizes of feature maps, agreement of predictions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ask.flow import anchor_of
from orchestrator.ask.split_point import DEVICE_ANCHOR
from orchestrator.reports.export import figure, sent_bytes, with_interval
from orchestrator.reports.sheet import Sheet
from orchestrator.results.reading import Reading
from orchestrator.results.records import CellRecord, CrossingTensor
from orchestrator.results.rows import Row, known
from orchestrator.results.run_folder import PREDICTIONS, RunFolder
from orchestrator.scenarios.layout import (
    Layout,
    TextColumns,
    by_conditions,
    codec_columns,
    crossing,
    judged_columns,
    row_sheet,
    sides_ms,
    sides_note,
)
from orchestrator.scenarios.sheets import MB_NOTE
from orchestrator.scenarios.tables import Line, Table
from splitbed.errors import UsageError
from splitbed.metrics.agreement import Agreement, agreement
from splitbed.tasks.boxes import Box, read_boxes
from splitbed.zoo import ZOO

_NODES_NOTE = (
    "Cut before the node that is named, or after it where that is said. Total is UE and server, "
    "without network, as in the clause; end-to-end is with it. The network anchor is the clause's "
    "Anchor GPU, the device anchor its Anchor CPU; what computed here, on both sides, is the "
    "processor named above. Mbytes are 10^6 bytes, as the clause's own figures are in this table."
)
_AGREEMENT_HEADS = (
    "Split", "Codec", "Frames", "Frames below 1e-5 (%)", "Frames of as many boxes (%)",
    "Greatest normalized MSE, boxes", "Greatest normalized MSE, scores",
)  # fmt: skip
_LEVEL = re.compile(r"layer_blocks\.(\d)|/p(\d)/")  # of the pyramid, in a tensor's name


@dataclass(frozen=True)
class FeatureMap:
    """A tensor that crosses at a split."""

    split_name: str
    tensor: CrossingTensor

    @property
    def size(self) -> str:
        """Of a batch of one, as ``256 x 13 x 20``."""
        return " x ".join(map(str, self.tensor.shape[1:]))

    @property
    def level(self) -> str:
        """Of a pyramid, by the tensor's name; nothing for what is none."""
        found = _LEVEL.search(self.tensor.name)
        return "".join(found.groups("")) if found else ""


@dataclass(frozen=True)
class CellAgreement:
    """How the predictions of a cell agree with those of the whole model."""

    cell: CellRecord
    found: Agreement


def detection_tables(folder: RunFolder, reading: Reading, rows: Sequence[Row]) -> list[Table]:
    """The tables of clause 10.3.9 that this run has something for; `rows` are measured ones."""
    nodes = _nodes(reading)
    times = [_times(row, nodes.get(row.split_name, "")) for row in rows]
    title = "Inference times with the network measured (clause 10.3.9.2), ms and MB"
    tables = [Table("times", title, times)]
    if maps := feature_maps(reading):
        lines = [_map_line(one) for one in maps]
        tables.append(Table("maps", "Sizes of what crosses (clause 10.3.9.1)", lines))
    if agreed := agreements(folder, reading):
        title = "Agreement of split and whole predictions (clause 10.3.9.1)"
        tables.append(Table("agreement", title, [_agreement_line(one) for one in agreed]))
    return tables


def _nodes(reading: Reading) -> dict[str, str]:
    """The node at which each named split of the anchor model cuts."""
    name = reading.run.model.name
    return dict(ZOO[name].named_splits) if name in ZOO else {}


def _times(row: Row, node: str) -> Line:
    ue_ms, server_ms = sides_ms(row)
    times = {"ue_ms": ue_ms, "server_ms": server_ms, "network_ms": known(row.network_ms)}
    times |= {"total_ms": known(row.e2e_ms)}
    return {
        "link": row.link,
        "ue": row.ue,
        "split": row.split_name,
        "node": "" if row.is_anchor else node,
        "codec": row.codec,
        **{name: round(value, 3) for name, value in times.items()},
        "intermediate_MB": round(row.intermediate_bytes / 1e6, 2),
        "sent_MB": round(sent_bytes(row) / 1e6, 4),
        "accuracy": row.accuracy,
        "accuracy_drop": row.accuracy_drop,
        "verdict": "VALID" if row.valid else "INVALID",
    }


def feature_maps(reading: Reading) -> list[FeatureMap]:
    """What crosses at each split that is no anchor."""
    cells = {cell.split: cell for cell in reading.cells if not cell.is_anchor}
    return [FeatureMap(cell.split_name, one) for cell in cells.values() for one in cell.tensors]


def _map_line(one: FeatureMap) -> Line:
    return {
        "split": one.split_name,
        "tensor": one.tensor.name,
        "size": one.size,
        "bytes": one.tensor.bytes,
    }


def agreements(folder: RunFolder, reading: Reading) -> list[CellAgreement]:
    """Of each cell that gave boxes; the device anchor, which is not split, has none.

    Raises UsageError for predictions that are none, or are not those of the whole model's frames.
    """
    found = []
    for cell in reading.cells:
        kept = folder.path / PREDICTIONS / cell.predictions
        device = anchor_of(cell.flow, cell.split) == DEVICE_ANCHOR
        if cell.error is None and cell.predictions and kept.is_dir() and not device:
            found.append(CellAgreement(cell, _agreed(folder, kept)))
    return found


def _agreed(folder: RunFolder, kept: Path) -> Agreement:
    split, whole = _predictions(kept), _predictions(folder.path / PREDICTIONS / "whole")
    if missing := split.keys() - whole.keys():
        raise UsageError(
            f"{folder.path} lacks what the whole model found in {', '.join(sorted(missing))}"
        )
    return agreement({name: whole[name] for name in split}, split)


def _predictions(folder: Path) -> dict[str, list[Box]]:
    return {file.name: read_boxes(file, scored=True) for file in sorted(folder.glob("*.txt"))}


def _agreement_line(one: CellAgreement) -> Line:
    return {"cell": one.cell.key, "codec": one.cell.codec, **one.found.row()}


# ---------------------------------------------------------------- as the document prints them


def _sheets(folder: RunFolder, reading: Reading, rows: Sequence[Row]) -> list[Sheet | str]:
    """The tables of clause 10.3.9, with the network beside them."""
    found = _of_predictions(folder, reading)
    nodes = _nodes(reading)
    for where, own in by_conditions(rows).items():
        caption = f"Inference times over {where} (clause 10.3.9.2)"
        found.append(row_sheet(caption, own, _columns(own, nodes), (_NODES_NOTE, sides_note(own))))
    return found


def _columns(rows: Sequence[Row], nodes: dict[str, str]) -> TextColumns:
    return {
        "Nodes": lambda row: row.split_name,
        "Nodes name": lambda row: nodes.get(row.split_name, "").removesuffix(":before"),
        **codec_columns(rows),
        "Inference time: UE (ms)": lambda row: f"{sides_ms(row)[0]:.3f}",
        "Inference time: server (ms)": lambda row: f"{sides_ms(row)[1]:.3f}",
        "Inference time: total (ms)": lambda row: f"{sum(sides_ms(row)):.3f}",
        "intermediate data size (Mbytes)": lambda row: crossing(row, 1e6),
        "Network (ms)": lambda row: figure(row.network_ms, 3),
        "End-to-end (ms)": lambda row: with_interval(row, 3),
        **judged_columns(rows),
    }


def _of_predictions(folder: RunFolder, reading: Reading) -> list[Sheet | str]:
    """Sizes of what crosses, and how split and whole predictions agree."""
    if not (folder.path / PREDICTIONS).is_dir():
        return []
    maps = feature_maps(reading)
    found: list[Sheet | str] = [_map_sheet(maps)] if maps else []
    try:
        agreed = agreements(folder, reading)
    except (UsageError, OSError) as error:
        return [*found, f"Agreement is left out: {error}."]
    sheet = _agreement_sheet(agreed)
    return [*found, sheet] if sheet else found


def _map_sheet(maps: Sequence[FeatureMap]) -> Sheet:
    """Of a pyramid as table 10.3.3-1; of other cuts, tensor by tensor."""

    def place(one: FeatureMap) -> tuple[list[int], str]:
        return [int(number) for number in re.findall(r"\d+", one.split_name)], one.level

    def texts(one: FeatureMap) -> list[str]:
        size_mb = f"{one.tensor.bytes / 1e6:.3f}"
        return [one.split_name, one.level, one.tensor.name, one.size.replace("x", "×"), size_mb]

    lines = [texts(one) for one in sorted(maps, key=place)]
    heads = ["Split", "FPN Layer", "Tensor", "Size (assuming batch size of 1)", "FP32 (MB)"]
    if all(one.level for one in maps):
        return Sheet("Table 10.3.3-1: the size of the feature maps", heads, lines, (MB_NOTE,))
    lines = [[split, *rest] for split, _, *rest in lines]
    caption = "The size of the feature maps (clause 10.3.9.1)"
    return Sheet(caption, [heads[0], *heads[2:]], lines, (MB_NOTE,))


def _agreement_sheet(agreed: Sequence[CellAgreement]) -> Sheet | None:
    """A line per split and codec, the same over any link; the clause's sentence below."""
    first: dict[tuple[tuple[int, ...], str], CellAgreement] = {}
    for one in agreed:
        if not one.cell.is_anchor and one.found.agreeing is not None:
            first.setdefault((one.cell.layers, one.cell.codec), one)
    if not first:
        return None
    shares: dict[str, list[float]] = {}
    for (_, codec), one in first.items():
        shares.setdefault(codec, []).append(one.found.agreeing or 0.0)
    notes = [
        "The difference between split inference and non-split inference in bounding box "
        "coordinates and in scores in terms of normalized MSE is less than 1e-5 for "
        f"{100 * sum(own) / len(own):.2f}% of all frames, over all splits, codec {codec}."
        for codec, own in shares.items()
    ]
    lines = [_agreement_texts(first[key]) for key in sorted(first, key=lambda key: key[0])]
    caption = "Agreement of split and non-split predictions (clause 10.3.9.1)"
    return Sheet(caption, _AGREEMENT_HEADS, lines, notes)


def _agreement_texts(one: CellAgreement) -> list[str]:
    told = one.found.row()
    shares = [f"{100 * known(told[name]):.2f}" for name in ("agreeing", "equal_counts")]
    errors = [told["box_nmse"], told["score_nmse"]]
    return [
        *(one.cell.split, one.cell.codec, str(told["frames"]), *shares),
        *("" if error is None else f"{error:.2g}" for error in errors),
    ]


_OF_DETECTION = (
    "Its model is one of clause 10.3, whose tables follow.",
    "Table 10.3.4-1: Anchor model(s) for the scenario",
    _sheets,
    True,
)
SSD300 = Layout("clause 10.3.9.2", *_OF_DETECTION)
RETINANET = Layout("clause 10.3.9.1", *_OF_DETECTION)
