"""What is said where UEs of several failed."""

from collections.abc import Iterator

import pytest

from orchestrator.measure.frames import Taken
from orchestrator.measure.loads.crowd import merged
from splitbed.errors import NodeError


def failing(why: str | None) -> Iterator[Taken]:
    """A UE without a frame, which then fails."""
    if why:
        raise NodeError(why)
    yield from ()


@pytest.mark.parametrize(
    ("each", "says"),
    [
        (("the edge died",) * 3, "ue-1, ue-2, ue-3: the edge died"),
        (("x", "y", "x"), "ue-1, ue-3: x; ue-2: y"),
        (("x", None, None), "ue-1: x; the other 2 went on to the end"),
    ],
)
def test_a_reason_is_told_once_and_others_only_where_there_are(
    each: tuple[str | None, ...], says: str
) -> None:
    streams = {f"ue-{place}": failing(why) for place, why in enumerate(each, 1)}
    with pytest.raises(NodeError) as told:
        list(merged(streams, {*streams}))
    assert str(told.value) == says
