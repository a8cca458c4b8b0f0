"""Clause 10.2, PoseNet: the table of clause 10.2.13, layer by layer. Its form fits any model."""

from collections.abc import Sequence
from functools import partial

from orchestrator.ask.flow import FLOWS, UPLINK
from orchestrator.reports.export import figure, with_interval
from orchestrator.reports.sheet import Sheet
from orchestrator.results.reading import Reading
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.layout import (
    Layout,
    TextColumns,
    by_conditions,
    codec_columns,
    crossing,
    judged_columns,
    nodes_ms,
    over,
    row_sheet,
    sides,
    sides_note,
)
from orchestrator.scenarios.sheets import headed
from orchestrator.scenarios.tables import profile_tables

_KB_NOTE = (
    "As in the sheet attached to S4-231771, KB is 1024 bytes in sizes of models and 1000 bytes in "
    "sizes of data."
)
_HEADS = (
    "No. of layers on client", "No. of layers on server", "Client time (ms)",
    "Intermediate model size (KB)", "Intermediate data size (KB)", "Server time (ms)",
    "End-to-end processing time (ms)",
)  # fmt: skip


def _sheets(
    folder: RunFolder,  # noqa: ARG001  other clauses have predictions in it
    reading: Reading,
    rows: Sequence[Row],
) -> list[Sheet | str]:
    """The table that clause 10.2.13 points to: as it is, of profiles; then as measured."""
    found: list[Sheet | str] = []
    if reading.profile and reading.run.flow == UPLINK:
        *_, splits = profile_tables(reading.profile)
        heads = dict(zip(splits.lines[0], _HEADS, strict=True))
        caption = "Split inference from profiles of the layers, without network (clause 10.2.13)"
        found.append(headed(splits, caption, heads, (_KB_NOTE,)))
    for where, own in by_conditions(rows).items():
        caption = f"Split inference as measured over {where} (clause 10.2.13)"
        found.append(row_sheet(caption, own, _columns(own), (_KB_NOTE, sides_note(own))))
    return found


def _columns(rows: Sequence[Row]) -> TextColumns:
    named = sides(rows[0].flow)
    places = [place for way in FLOWS[rows[0].flow].ways for place in way]
    layers = {
        name: part for name, node in named.items() for at, part in places if part and at == node
    }
    times = {
        f"{name[0].upper()}{name[1:]} time (ms)": partial(_node_ms, node)
        for name, node in named.items()
    }
    client, *servers = times
    return {
        **{f"No. of layers on {name}": partial(_layers, part) for name, part in layers.items()},
        **codec_columns(rows),
        client: times[client],
        "Intermediate model size (KB)": lambda row: over(row.ue_part_bytes, 1024),
        "Intermediate data size (KB)": lambda row: crossing(row, 1000),
        **{server: times[server] for server in servers},
        "Network (ms)": lambda row: figure(row.network_ms, 3),
        "End-to-end processing time (ms)": lambda row: with_interval(row, 3),
        **judged_columns(rows),
    }


def _layers(part: int, row: Row) -> str:
    return str(row.layers[part - 1])


def _node_ms(node: str, row: Row) -> str:
    return f"{nodes_ms(row)[node]:.3f}"


POSENET = Layout(
    "clause 10.2.13",
    "Its model is that of clause 10.2, whose tables follow.",
    "Table 10.2.4-1: Anchor model(s) for the scenario",
    _sheets,
)
ANY_MODEL = Layout(
    "in the form of clause 10.2.13",
    "Its model is none of the document's: the form of clause 10.2.13, which fits any, is used.",
    "Anchor model",
    _sheets,
)
