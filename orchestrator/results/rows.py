"""A row of summary.csv, and what is often asked of it."""

Row = dict[str, object]


def number(row: Row, name: str) -> float:
    """The number in a column that is filled."""
    value = row[name]
    assert isinstance(value, int | float)
    return float(value)


def cut_name(label: str, split: str) -> str:
    """A cut as users know it: its label with k:n-k behind it, unless the label is just that."""
    return label if label == split else f"{label} ({split})"


def is_anchor(row: Row) -> bool:
    """Whether the row is the device anchor (n:0) or a network anchor (0:n)."""
    first, _, second = str(row["split"]).partition(":")
    return "0" in (first, second)


def is_network_anchor(row: Row) -> bool:
    """Whether the input itself crosses the link."""
    return str(row["split"]).startswith("0:")


def with_codec(row: Row) -> str:
    """Its label with the codec behind it, where that is not the usual one."""
    codec = str(row["codec"])
    return str(row["split_name"]) + ("" if codec in ("raw", "none") else f" as {codec}")


def conditions_of(row: Row) -> tuple[object, object]:
    """What must be equal for rows to be compared: the link and the pace of the UE."""
    return row["link"], row["ue"]
