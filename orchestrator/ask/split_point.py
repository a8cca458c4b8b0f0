"""A split point k:n-k, its two ends, and the codec of what crosses, by the names users know."""

from typing import Final, Literal

from splitbed.codecs import RAW

Anchor = Literal["network anchor", "device anchor", "private anchor"]
NETWORK_ANCHOR: Final = "network anchor"
"""All layers are in the network; in the flow uplink 0:n, where the input itself crosses."""
DEVICE_ANCHOR: Final = "device anchor"
"""All are on the device; in the flow uplink n:0, where nothing crosses."""
PRIVATE_ANCHOR: Final = "private anchor"
"""The earliest cut that leaves as many on the device as privacy asks for (clause 10.3.5)."""
NOTHING = "none"
"""The codec where nothing crosses."""


def layers_of(split: str) -> tuple[int, ...]:
    """How many layers are in each part of a split k:n-k, or of one with more cuts."""
    return tuple(map(int, split.split(":")))


def cut_name(label: str, split: str) -> str:
    """A cut as users know it: its label with k:n-k behind it, unless the label is just that."""
    return label if label == split else f"{label} ({split})"


def encodes(codec: str) -> bool:
    """Whether what crosses is encoded: neither sent as it is, nor nothing."""
    return codec not in (RAW, NOTHING)


_THEN = " then "


def codecs_words(codec: str, input_codec: str = "") -> str:
    """Both codecs as one name, in the order in which they are used: `jpeg:75 then int8`."""
    return f"{input_codec}{_THEN}{codec}" if encodes(input_codec or RAW) else codec


def codecs_of(words: str) -> tuple[str, str]:
    """The codec, and that of an input that crosses besides, of such a name."""
    first, then, last = words.partition(_THEN)
    return (last, first) if then else (first, "")


def in_precision(words: str) -> str:
    """What stands behind it: " in ue int8"; nothing where all is as the model's file says."""
    return f" in {words}" if words else ""


def as_codec(codec: str) -> str:
    """What stands behind a split's name: " as int8"; nothing where nothing is encoded."""
    return f" as {codec}" if encodes(codec) else ""
