"""docs/rows.md: what each column of summary.csv is."""

from collections.abc import Iterable, Sequence

from orchestrator.ask.flow import FLOWS
from orchestrator.results.columns import KINDS
from orchestrator.results.columns.flow import flow_columns
from orchestrator.results.rows import COLUMNS

_HEAD = """# Rows and columns

`summary.csv` has a row per cell: a split and its codec over a link, at a pace of the UE. \
It is recomputed from `samples.jsonl` and `cells.jsonl`, which have every frame. \
Times are medians over the counted frames unless the name says otherwise; MB is 10^6 bytes, \
Mbit/s is 10^6 bit/s. This page is made of the declarations in `orchestrator/results/columns/`.

"""
_OF_FLOWS = """
Flows other than uplink have more, behind these: what each hop carries, stages that several \
nodes have, each alone, and the hops and parts that uplink does not have.

"""


def columns_page() -> str:
    """The page, in Markdown."""
    heads = ("column", "kind", "unit", "what it tells", "empty where")
    lines = [
        (f"`{one.name}`", KINDS[one.kind], one.unit, one.meaning, one.empty)
        for one in COLUMNS.values()
    ]
    more = [
        (flow, f"`{one.name}`", KINDS[one.kind], one.unit, one.meaning, one.empty)
        for flow in FLOWS
        for one in flow_columns(flow).values()
    ]
    return _HEAD + _table(heads, lines) + _OF_FLOWS + _table(("flow", *heads), more)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    table = (heads, ("---",) * len(heads), *lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in table)
