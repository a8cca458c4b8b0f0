"""What a row's frames took of each stage, as pictures put stages one after another."""

from orchestrator.ask.flow import FLOWS, at_node
from orchestrator.results.rows import EVERY_COLUMN, Row


def taken_ms(row: Row, stage: str) -> float:
    """Of several users, on the way to the last one; 0 where that is not known."""
    flow, names = FLOWS[row.flow], [f"{stage}_ms"]
    if flow.besides:
        ends_ms = [_known(row, f"{at_node(user, 'e2e')}_ms") for user in flow.users]
        last = ends_ms.index(max(ends_ms))
        hops = dict(zip(flow.hops_of(flow.way), flow.hops_of(flow.ways[last]), strict=True))
        own = hops.get(stage) or at_node(flow.users[last], stage)
        names = [f"{own}_ms", *names]
    return _known(row, next(name for name in names if name in EVERY_COLUMN))


def _known(row: Row, column: str) -> float:
    value = row.value(column)
    return value if isinstance(value, float) else 0.0
