"""The limits of a node: what is just inside of each is taken, and what is just outside refused."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from splitbed.errors import NodeError
from splitbed.flow import Station
from splitbed.node.config import LEAST_CPUS, MOST_CPUS, MOST_SLOWDOWN, Limits, checked_runs
from splitbed.node.shared.line import Sharing
from splitbed.node.shared.work import sharing_of
from splitbed.node.source.offering import check_offer
from splitbed.node.stations.queues import Queues, queues_of
from splitbed.v1 import nodes_pb2

LEAST = {
    "message_bytes": 1 << 20, "tensor_bytes": 1 << 10, "model_bytes": 1 << 10,
    "session_bytes": 64 << 20, "kept_bytes": 1 << 10, "sessions": 2, "streams": 4,
    "connections": 16,
}  # fmt: skip
MOST = {
    "message_bytes": 65 << 20, "tensor_bytes": 1 << 30, "sessions": 1024, "streams": 1024,
    "connections": 1 << 16,
}  # fmt: skip


def test_limits_are_what_the_page_says() -> None:
    told = {
        "message_bytes": 65 << 20, "tensor_bytes": 1 << 30, "model_bytes": 8 << 30,
        "session_bytes": 2 << 30, "kept_bytes": 64 << 30, "sessions": 32, "streams": 16,
        "connections": 2048,
    }  # fmt: skip
    assert Limits().model_dump() == told
    assert (MOST_SLOWDOWN, LEAST_CPUS, MOST_CPUS) == (10_000, 0.02, 1024)
    assert checked_runs(0) == 0
    assert checked_runs(7) == 7


@pytest.mark.parametrize(
    ("check", "inside", "outside", "says"),
    [
        (Limits().check_model, (8 << 30,), ((8 << 30) + 1,), "model_bytes"),
        (Limits().check_kept, (64 << 30,), ((64 << 30) + 1,), "kept_bytes"),
        (Limits().check_assigned, (1024, 0), (1025, 0), "at most 1024"),
        (Limits().check_assigned, (1, 65 << 20), (1, (65 << 20) + 1), "message_bytes"),
        (
            Limits().check_under_way,
            (64, 1 << 24),
            (64, (1 << 24) + 1),
            "tensor_bytes is 1073741824",
        ),
        (Limits().check_coded, (4 << 30,), ((4 << 30) + 1,), "tensor_bytes"),
        (Limits(tensor_bytes=1 << 20).check_coded, (64 << 20,), ((64 << 20) + 1,), "tensor_bytes"),
        (Limits(sessions=3).check_parcels, (12,), (13,), "allows 12"),
        (checked_runs, (100_000,), (100_001,), "at most 100000"),
    ],
)
def test_each_limit_is_the_last_that_is_taken(
    check: Callable[..., object], inside: tuple[int, ...], outside: tuple[int, ...], says: str
) -> None:
    check(*inside)
    check(*(value // 2 for value in inside))
    with pytest.raises(NodeError, match=says):
        check(*outside)


def queued(**said: float) -> Queues:
    """Queues of an assignment whose frames come back to their source."""
    stations = (Station("ue", gives="raw", source=True), Station("edge", gives="raw"))
    asked = {"in_flight": 1} | said
    return queues_of(
        nodes_pb2.Assignment(node="ue", queues=nodes_pb2.Queues(**asked)),  # type: ignore[arg-type]
        (*stations, Station("ue", result=True)),
    )


def shared(**said: float) -> Sharing:
    return sharing_of(nodes_pb2.Queues(**said), Limits(streams=7))  # type: ignore[arg-type]


def offered(**said: object) -> None:
    check_offer(nodes_pb2.OfferRequest(**({"inputs": [0], "frames": 10, "first": 1} | said)))  # type: ignore[arg-type]


DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize(
    ("of", "name", "most", "outside", "says"),
    [
        (offered, "frames", 100_000, 100_001, "not 1 to 100000"),
        (offered, "due_ns", [0] * 100_000, [0] * 100_001, "not 1 to 100000"),
        (offered, "frames", 1, 0, "0 are asked, not 1"),
        (offered, "first", (1 << 63) - 10, (1 << 63) - 9, "have no numbers"),
        (offered, "first", 2, 0, "from number 0 on have no numbers"),
        (offered, "inputs", [0] * 100_000, [0] * 100_001, "not 1 to 100000"),
        (offered, "inputs", [0], [], "of 0 inputs, not 1"),
        (offered, "due_ns", [3, 3], [4, 3], "due before another"),
        (offered, "due_ns", [DAY_NS], [DAY_NS + 1], "a day is most"),
        (offered, "start_ns", 0, -1, "from now, 60 before or after"),
        (queued, "in_flight", 64, 65, "from 1 to 64 frames"),
        (queued, "most", 1024, 1025, "at most 1024 frames wait"),
        (queued, "workers", 1024, 1025, "at most 1024 frames wait"),
        (queued, "batch", 1024, 1025, "at most 1024 frames wait"),
        (queued, "batch_wait_ms", 1e300, math.inf, "nobody waits inf ms"),
        (queued, "batch_wait_ms", 0, -1, "nobody waits -1"),
        (shared, "workers", 7, 8, "limits.streams allows 7"),
        (shared, "batch", 256, 257, "256 frames are the most"),
        (shared, "batch_wait_ms", 1000, 1000.1, "up to 1000"),
        (shared, "batch_wait_ms", 0, -0.1, "refused to wait -0.1 ms"),
        (shared, "batch_wait_ms", 1000, math.nan, "up to 1000"),
    ],
)
def test_what_is_offered_queued_and_shared_has_limits(
    of: Callable[..., object], name: str, most: object, outside: object, says: str
) -> None:
    of(**{name: most})
    with pytest.raises(NodeError, match=says):
        of(**{name: outside})


@pytest.mark.parametrize(("limit", "least"), LEAST.items())
def test_a_limit_has_a_least(limit: str, least: int) -> None:
    assert getattr(Limits(**{limit: least}), limit) == least
    with pytest.raises(ValidationError):
        Limits(**{limit: least - 1})


@pytest.mark.parametrize(("limit", "most"), MOST.items())
def test_a_limit_has_a_most(limit: str, most: int) -> None:
    assert getattr(Limits(**{limit: most}), limit) == most
    with pytest.raises(ValidationError):
        Limits(**{limit: most + 1})


def test_the_sums_on_the_page_are_right() -> None:
    small = Limits(
        tensor_bytes=64 << 20, model_bytes=256 << 20, session_bytes=512 << 20, sessions=4, streams=8
    )
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    sums = [f"{nbytes / 2**30:.1f} GiB" for nbytes in (small.memory_bytes, small.own_bytes)]
    told = re.search(r"which add up to ([\d.]+ GiB), ([\d.]+ GiB)\s+of them its own", page)
    assert told is not None
    assert [*told.groups()] == sums


def test_what_is_within_the_limits_adds_up_to_memory() -> None:
    mib = 1 << 20
    limits = Limits(
        message_bytes=mib, tensor_bytes=10 * mib, model_bytes=100 * mib, session_bytes=1000 * mib,
        sessions=3, streams=5,
    )  # fmt: skip
    calls, sessions = 2 * 5 * (2 * 1 + 2 * 10), 3 * (2 * 100 + 1000)
    trial, coded = 4 * 100 + 1000, 3 * 64
    own = calls + sessions + 8 * 10 + 4 * 1 + trial + coded
    decoder, profile = 512 + 8 * 100, 4 * 100 + 3 * 1000
    assert limits.own_bytes == own * mib
    assert limits.memory_bytes == (own + decoder + profile) * mib
