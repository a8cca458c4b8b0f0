"""A split point k:n-k, its two ends, and the codec of what crosses, by the names users know."""

from typing import Final, Literal

from splitbed.codecs import RAW

Anchor = Literal["network anchor", "device anchor"]
NETWORK_ANCHOR: Final = "network anchor"
"""0:n, where the input itself crosses the link."""
DEVICE_ANCHOR: Final = "device anchor"
"""n:0, where nothing does."""
NOTHING = "none"
"""The codec of the device anchor."""


def layers_of(split: str) -> tuple[int, int]:
    """How many layers are on the UE, and how many on the edge, of a split k:n-k."""
    ue, _, edge = split.partition(":")
    return int(ue), int(edge)


def anchor_of(split: str) -> Anchor | None:
    """Which anchor a split k:n-k is, where one node does it all."""
    ue, edge = layers_of(split)
    return NETWORK_ANCHOR if ue == 0 else DEVICE_ANCHOR if edge == 0 else None


def cut_name(label: str, split: str) -> str:
    """A cut as users know it: its label with k:n-k behind it, unless the label is just that."""
    return label if label == split else f"{label} ({split})"


def encodes(codec: str) -> bool:
    """Whether what crosses is encoded: neither sent as it is, nor nothing."""
    return codec not in (RAW, NOTHING)


def as_codec(codec: str) -> str:
    """What stands behind a split's name: " as int8"; nothing where nothing is encoded."""
    return f" as {codec}" if encodes(codec) else ""
