"""How a clause lays its results out, and the columns that any of its tables may have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from orchestrator.ask.flow import FLOWS, UPLINK, at_node
from orchestrator.ask.split_point import NOTHING, encodes
from orchestrator.ask.topology import called, kind_of
from orchestrator.reports.export import figure, sent_mb, valid_word
from orchestrator.reports.sheet import Sheet
from orchestrator.results.columns.flow import doers
from orchestrator.results.reading import Reading
from orchestrator.results.rows import Row, known
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.sheets import by_cut

_SIDES_NOTE = (
    "making results of outputs counts on the side that has the outputs. Columns are medians of "
    "their own."
)

TextColumns = Mapping[str, Callable[[Row], str]]
"""Heading -> the text of a row."""


@dataclass(frozen=True)
class Layout:
    """A clause of the document: where its results stand, why, how it captions the anchor model.

    `sheets` makes its tables of the rows that were measured; what cannot be shown is told in plain
    text. `clause_mb` is whether it prints sizes of model files in units of 1,024,000 bytes.
    """

    place: str
    reason: str
    model_caption: str
    sheets: Callable[[RunFolder, Reading, Sequence[Row]], list[Sheet | str]]
    clause_mb: bool = False


def row_sheet(
    caption: str, rows: Sequence[Row], columns: TextColumns, notes: Sequence[str]
) -> Sheet:
    """A line per row, from the network anchor to the device anchor."""
    lines = [[text(row) for text in columns.values()] for row in by_cut(rows)]
    return Sheet(caption, tuple(columns), lines, notes)


def codec_columns(rows: Sequence[Row]) -> TextColumns:
    """Only where something is coded, or data cross several hops: then of each."""
    several = len(hops := dict.fromkeys(hop for row in rows for hop in row.data_hops)) > 1
    if not several and not any(encodes(row.codec) for row in rows):
        return {}
    found: dict[str, Callable[[Row], str]] = {"Codec": lambda row: row.codec}
    if not several:
        return found | {"Sent data (MB)": sent_mb}
    return found | {f"Sent on the {hop} (MB)": partial(_sent_on, hop) for hop in hops}


def _sent_on(hop: str, row: Row) -> str:
    nbytes = row.value(f"{hop}_bytes") if hop in row.data_hops else 0
    return f"{nbytes / 1e6:.4g}" if isinstance(nbytes, int) else ""


def judged_columns(rows: Sequence[Row]) -> TextColumns:
    """What a codec costs, and which rows do not count."""
    found: dict[str, Callable[[Row], str]] = {}
    if any(row.accuracy_drop is not None for row in rows if not row.lossless):
        found["Accuracy"] = lambda row: figure(row.accuracy, 3)
        found["Accuracy drop"] = lambda row: figure(row.accuracy_drop, 3)
    if not all(row.valid for row in rows):
        found["Verdict"] = valid_word
    return found


def sides_note(rows: Sequence[Row]) -> str:
    """What counts on which side."""
    flow = rows[0].flow
    if flow == UPLINK:
        doing = (
            "The client (UE) computes part 1 and encodes, the server decodes and computes part 2"
        )
    else:
        doing = f"Flow {flow}: {FLOWS[flow].words}; coding counts on the node that does it"
    return f"{doing}; {_SIDES_NOTE}"


def nodes_ms(row: Row) -> dict[str, float]:
    """What each node of the flow spends on a frame: parts, coding, the result."""
    flow = FLOWS[row.flow]
    found = dict.fromkeys(flow.nodes, 0.0)
    parts = {f"part{part}": ms for part, ms in enumerate(row.of_parts("ms"), start=1)}
    encode_ms = known(row.encode_ms) + (row.overlapped_ms or 0.0)
    for stage, ms in {**parts, "encode": encode_ms, "decode": row.decode_ms}.items():
        for node in doers(row.flow, stage):
            own = row.value(f"{at_node(node, stage)}_ms")
            found[node] += own if isinstance(own, float) else known(ms)
    last = max(part for part, layers in enumerate(row.layers, start=1) if layers)
    found[flow.user if flow.codes_outputs else flow.node_of(last)] += known(row.result_ms)
    return found


def sides_ms(row: Row) -> tuple[float, float]:
    """What the user's node, and what all others spend on a frame."""
    every = nodes_ms(row)
    own_ms = every.pop(FLOWS[row.flow].user)
    return own_ms, sum(every.values())


def sides(flow: str) -> dict[str, str]:
    """The nodes of a flow by what the document calls them: client, server; with several, which."""
    kinds = {node: "client" if kind_of(node) == "ue" else "server" for node in FLOWS[flow].nodes}
    several = [kind for kind in ("client", "server") if [*kinds.values()].count(kind) > 1]
    return {f"{kind} ({node})" if kind in several else kind: node for node, kind in kinds.items()}


def crossing(row: Row, unit: float) -> str:
    """The intermediate data in this unit of bytes; nothing crosses at the device anchor."""
    return "0" if row.codec == NOTHING else over(row.intermediate_bytes, unit)


def over(nbytes: int | None, unit: float) -> str:
    """Bytes in this unit; nothing where they are not known."""
    return "" if nbytes is None else f"{nbytes / unit:.2f}"


def by_conditions(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows under each link and pace of the UE, by their words."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        user = called(FLOWS[row.flow].user)
        where = f"{row.link}, {user} {row.ue}" if row.ue else row.link
        found.setdefault(where, []).append(row)
    return found
