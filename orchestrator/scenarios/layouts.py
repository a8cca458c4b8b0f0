"""Which tables of the document a model's results fill: clause 10.2.13, 10.3.9, or their form."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.reports.export import figure, sent_mb, valid_word, with_interval
from orchestrator.reports.sheet import Sheet
from orchestrator.results.profile import read_profile
from orchestrator.results.rows import Row, conditions_of, number
from orchestrator.results.run_folder import PREDICTIONS, RunFolder
from orchestrator.scenarios.detection_tables import detection_tables
from orchestrator.scenarios.sheets import MB_NOTE, by_cut, headed
from orchestrator.scenarios.tables import Table, profile_tables
from splitbed.errors import UsageError
from splitbed.zoo import ZOO

_KB_NOTE = (
    "As in the sheet attached to S4-231771, KB is 1024 bytes in sizes of models and 1000 bytes in "
    "sizes of data."
)
_SIDES_NOTE = (
    "The client (UE) computes part 1 and encodes, the server decodes and computes part 2; making "
    "results of outputs counts on the side that has the outputs. Columns are medians of their own."
)
_NODES_NOTE = (
    "Cut before the node that is named, or after it where that is said. Total is UE and server, "
    "without network, as in the clause; end-to-end is with it. The network anchor is the clause's "
    "Anchor GPU, the device anchor its Anchor CPU; what computed here, on both sides, is the "
    "processor named above. Mbytes are 10^6 bytes, as the clause's own figures are in this table."
)
_LEVEL = re.compile(r"layer_blocks\.(\d)|/p(\d)/")  # of the pyramid, in a tensor's name

Columns = dict[str, Callable[[Row], str]]


@dataclass(frozen=True)
class Layout:
    """A clause of the document: where its results stand, why, how it captions the anchor model.

    `clause_mb` is whether it prints sizes of model files in units of 1,024,000 bytes.
    """

    place: str
    reason: str
    model_caption: str
    sheets: Callable[[RunFolder, list[Row]], list[Sheet | str]]
    clause_mb: bool = False


def layout_of(model: str) -> Layout:
    """The clause that has this model; the form that fits any where none has it."""
    return _LAYOUTS.get(model, _GENERIC)


def _by_layers(folder: RunFolder, rows: list[Row]) -> list[Sheet | str]:
    """The table that clause 10.2.13 points to: as it is, of profiles; then as measured."""
    found: list[Sheet | str] = []
    if profile := read_profile(folder):
        *_, splits = profile_tables(profile)
        heads = dict(zip(splits.rows[0], _LAYER_HEADS, strict=True))
        caption = "Split inference from profiles of the layers, without network (clause 10.2.13)"
        found.append(headed(splits, caption, heads, (_KB_NOTE,)))
    for where, own in _conditions(rows).items():
        columns: Columns = {
            "No. of layers on client": lambda row: str(row["split"]).partition(":")[0],
            "No. of layers on server": lambda row: str(row["split"]).partition(":")[2],
            **_codec_columns(own),
            "Client time (ms)": lambda row: f"{_sides_ms(row)[0]:.3f}",
            "Intermediate model size (KB)": lambda row: _over(row, "part1_bytes", 1024),
            "Intermediate data size (KB)": lambda row: _over(row, "intermediate_bytes", 1000),
            "Server time (ms)": lambda row: f"{_sides_ms(row)[1]:.3f}",
            "Network (ms)": lambda row: figure(row, "network_ms", 3),
            "End-to-end processing time (ms)": lambda row: with_interval(row, 3),
            **_judged_columns(own),
        }
        caption = f"Split inference as measured over {where} (clause 10.2.13)"
        found.append(_sheet(caption, own, columns, (_KB_NOTE, _SIDES_NOTE)))
    return found


def _by_nodes(folder: RunFolder, rows: list[Row]) -> list[Sheet | str]:
    """The tables of clause 10.3.9, with the network beside them."""
    found = _of_predictions(folder, rows)
    name = str(rows[0]["model"])
    nodes = ZOO[name].named_splits if name in ZOO else {}
    for where, own in _conditions(rows).items():
        columns: Columns = {
            "Nodes": lambda row: str(row["split_name"]),
            "Nodes name": lambda row: nodes.get(str(row["split_name"]), "").removesuffix(":before"),
            **_codec_columns(own),
            "Inference time: UE (ms)": lambda row: f"{_sides_ms(row)[0]:.3f}",
            "Inference time: server (ms)": lambda row: f"{_sides_ms(row)[1]:.3f}",
            "Inference time: total (ms)": lambda row: f"{sum(_sides_ms(row)):.3f}",
            "intermediate data size (Mbytes)": lambda row: _over(row, "intermediate_bytes", 1e6),
            "Network (ms)": lambda row: figure(row, "network_ms", 3),
            "End-to-end (ms)": lambda row: with_interval(row, 3),
            **_judged_columns(own),
        }
        caption = f"Inference times over {where} (clause 10.3.9.2)"
        found.append(_sheet(caption, own, columns, (_NODES_NOTE, _SIDES_NOTE)))
    return found


def _of_predictions(folder: RunFolder, rows: list[Row]) -> list[Sheet | str]:
    """Sizes of what crosses, and how split and whole predictions agree."""
    if not (folder.path / PREDICTIONS).is_dir():
        return []
    try:
        tables = {table.name: table for table in detection_tables(folder, rows)}
    except (UsageError, OSError, LookupError, ValueError, AssertionError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        return [f"Sizes of feature maps and agreement are left out: {folder.path} {what}."]
    found: list[Sheet | str] = []
    if maps := tables.get("maps"):
        found.append(_map_sheet(maps))
    if (agreement := tables.get("agreement")) and (sheet := _agreement_sheet(agreement)):
        found.append(sheet)
    return found


def _map_sheet(maps: Table) -> Sheet:
    """Of a pyramid as table 10.3.3-1; of other cuts, tensor by tensor."""
    lines = [
        [
            str(row["split"]),
            "".join(level.groups("")) if (level := _LEVEL.search(str(row["tensor"]))) else "",
            str(row["tensor"]),
            str(row["size"]).replace("x", "×"),
            f"{int(str(row['bytes'])) / 1e6:.3f}",
        ]
        for row in maps.rows
    ]
    lines.sort(key=lambda line: ([int(n) for n in re.findall(r"\d+", line[0])], line[1]))
    heads = ["Split", "FPN Layer", "Tensor", "Size (assuming batch size of 1)", "FP32 (MB)"]
    if all(line[1] for line in lines):
        return Sheet("Table 10.3.3-1: the size of the feature maps", heads, lines, (MB_NOTE,))
    lines = [[split, *rest] for split, _, *rest in lines]
    caption = "The size of the feature maps (clause 10.3.9.1)"
    return Sheet(caption, [heads[0], *heads[2:]], lines, (MB_NOTE,))


def _agreement_sheet(agreement: Table) -> Sheet | None:
    """A line per split and codec, the same over any link; the clause's sentence below."""
    lines: dict[tuple[str, str], list[str]] = {}
    agreeing: dict[str, list[float]] = {}
    for row in agreement.rows:
        split, codec = str(row["cell"]).partition(" ")[0], str(row["codec"])
        if split.startswith("0:") or (split, codec) in lines or row["agreeing"] is None:
            continue
        shares = [f"{100 * float(str(row[name])):.2f}" for name in ("agreeing", "equal_counts")]
        errors = [_error(row[name]) for name in ("box_nmse", "score_nmse")]
        lines[split, codec] = [split, codec, str(row["frames"]), *shares, *errors]
        agreeing.setdefault(codec, []).append(float(str(row["agreeing"])))
    if not lines:
        return None
    notes = [
        "The difference between split inference and non-split inference in bounding box "
        "coordinates and in scores in terms of normalized MSE is less than 1e-5 for "
        f"{100 * sum(shares) / len(shares):.2f}% of all frames, over all splits, codec {codec}."
        for codec, shares in agreeing.items()
    ]
    caption = "Agreement of split and non-split predictions (clause 10.3.9.1)"
    return Sheet(caption, _AGREEMENT_HEADS, sorted(lines.values(), key=_layers), notes)


def _layers(line: Sequence[str]) -> int:
    return int(line[0].partition(":")[0])


def _error(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, int | float) else ""


def _sheet(caption: str, rows: Sequence[Row], columns: Columns, notes: Sequence[str]) -> Sheet:
    lines = [[text(row) for text in columns.values()] for row in by_cut(rows)]
    return Sheet(caption, tuple(columns), lines, notes)


def _codec_columns(rows: Sequence[Row]) -> Columns:
    """Only where something is coded."""
    if all(row["codec"] in ("raw", "none") for row in rows):
        return {}
    return {"Codec": lambda row: str(row["codec"]), "Sent data (MB)": sent_mb}


def _judged_columns(rows: Sequence[Row]) -> Columns:
    """What a codec costs, and which rows do not count."""
    found: Columns = {}
    if any(row.get("accuracy_drop") is not None for row in rows if not row["lossless"]):
        found["Accuracy"] = lambda row: figure(row, "accuracy", 3)
        found["Accuracy drop"] = lambda row: figure(row, "accuracy_drop", 3)
    if not all(row["valid"] for row in rows):
        found["Verdict"] = valid_word
    return found


def _sides_ms(row: Row) -> tuple[float, float]:
    """What the UE and what the edge spend on a frame."""
    ue_ms = number(row, "part1_ms") + number(row, "encode_ms")
    server_ms = number(row, "decode_ms") + number(row, "part2_ms")
    if str(row["split"]).endswith(":0"):
        return ue_ms + number(row, "result_ms"), 0.0
    return ue_ms, server_ms + number(row, "result_ms")


def _over(row: Row, name: str, unit: float) -> str:
    """Bytes in this unit; nothing crosses at the device anchor."""
    if name == "intermediate_bytes" and row["codec"] == "none":
        return "0"
    value = row.get(name)
    return f"{value / unit:.2f}" if isinstance(value, int | float) else ""


def _conditions(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows under each link and pace of the UE, by their words."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        link, ue = conditions_of(row)
        found.setdefault(f"{link}, UE {ue}" if ue else str(link), []).append(row)
    return found


_AGREEMENT_HEADS = (
    "Split", "Codec", "Frames", "Frames below 1e-5 (%)", "Frames of as many boxes (%)",
    "Greatest normalized MSE, boxes", "Greatest normalized MSE, scores",
)  # fmt: skip
_LAYER_HEADS = (
    "No. of layers on client", "No. of layers on server", "Client time (ms)",
    "Intermediate model size (KB)", "Intermediate data size (KB)", "Server time (ms)",
    "End-to-end processing time (ms)",
)  # fmt: skip

_OF_DETECTION = (
    "Its model is one of clause 10.3, whose tables follow.",
    "Table 10.3.4-1: Anchor model(s) for the scenario",
    _by_nodes,
    True,
)
_LAYOUTS = {
    "posenet": Layout(
        "clause 10.2.13",
        "Its model is that of clause 10.2, whose tables follow.",
        "Table 10.2.4-1: Anchor model(s) for the scenario",
        _by_layers,
    ),
    "ssd300": Layout("clause 10.3.9.2", *_OF_DETECTION),
    "retinanet": Layout("clause 10.3.9.1", *_OF_DETECTION),
}
_GENERIC = Layout(
    "in the form of clause 10.2.13",
    "Its model is none of the document's: the form of clause 10.2.13, which fits any, is used.",
    "Anchor model",
    _by_layers,
)
