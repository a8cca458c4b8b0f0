"""Messages of every call, as they should be and as they should not: none harms a node."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from random import Random

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netem.egress import shaper_kind
from netem.service import shape_message
from netem.spec import symmetric
from splitbed.errors import SplitbedError
from splitbed.v1 import nodes_pb2
from splitbed.v1.nodes_pb2 import ShapeRequest
from tests.hostile.attacked import SMALL, Attacked, attacked
from tests.hostile.calls import Call, as_line, kept, methods
from tests.hostile.fuzz import any_message, changed, damaged
from tests.hostile.length import tries

NODES = ("edge", "ue")
THREADS = 4
CALLS = 200
LONG = ("/Profile", "/Deploy")
"""Calls that a node works on for a while: they come seldom, or little else would be tried."""
GIVEN_UP_S = (0.02, 0.1, 0.3)
"""After how long an attacker gives a call up."""

NO_ROOM = ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
UNFORESEEN = "UNKNOWN"
"""What a call is answered with whose exception nobody foresaw."""


@pytest.fixture(params=NODES)
def node(request: pytest.FixtureRequest) -> Attacked:
    """Each of both."""
    node: Attacked = request.getfixturevalue(request.param)
    return node


@cache
def run_of(role: str) -> list[Call]:
    """What an orchestrator sends such a node in a run."""
    return [call for call in kept("run") if call.node == role]


def storm(node: Attacked, count: int, seed: int) -> Counter[str]:
    """Send so many messages, most of them damaged, a run of calls over each connection."""
    rng, answers = Random(seed), Counter[str]()
    sent = 0
    while sent < count and node.process.poll() is None:
        with node.open_channel() as channel:
            for _ in range(CALLS):
                call = tampered(node, rng)
                answer = node.send(call, rng.choice(GIVEN_UP_S), channel)
                if answer == UNFORESEEN:
                    pytest.fail(f"nobody foresaw {as_line(call)}")
                answers[answer] += 1
                if answer not in NO_ROOM:
                    sent += len(call.messages)
    return answers


def tampered(node: Attacked, rng: Random) -> Call:
    """A call of a run, up to three messages of it changed or damaged."""
    run, known = run_of(node.role), methods(node.role)
    if rng.random() < 0.2:
        path = rng.choice([*known])
        return Call(node.role, path, (changed(known[path].input_type, b"", rng),))
    call = rng.choice(run)
    while call.path.endswith(LONG) and rng.random() < 0.9:
        call = rng.choice(run)
    messages, kind = [*call.messages], known[call.path].input_type
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        place = rng.randrange(len(messages))
        if rng.random() < 0.7:
            messages[place] = changed(kind, messages[place], rng)
        else:
            other = rng.choice(run).messages[0]
            messages[place] = damaged(messages[place], rng, other)
    return Call(call.node, call.path, tuple(messages))


def test_a_storm_of_damaged_messages_harms_no_node(node: Attacked) -> None:
    each = tries(2_000, 500_000) // THREADS
    with ThreadPoolExecutor(THREADS) as pool:
        answers = sum(
            pool.map(lambda seed: storm(node, each, seed), range(THREADS)), Counter[str]()
        )
    assert answers["OK"]
    assert answers["FAILED_PRECONDITION"]


@pytest.mark.parametrize(
    ("role", "path"), [(role, path) for role in NODES for path in methods(role)]
)
def test_every_call_is_answered_whatever_its_messages_hold(
    role: str, path: str, request: pytest.FixtureRequest
) -> None:
    answered(request.getfixturevalue(role), path, tries(20, 2_000))


def answered(node: Attacked, path: str, count: int) -> Counter[str]:
    """How a call is answered whose messages hold anything, so many times."""
    answers = Counter[str]()
    method = nodes_pb2.DESCRIPTOR.services_by_name["Shaper"].methods_by_name
    kind = method[path.rpartition("/")[2]] if path in SHAPING else methods(node.role)[path]

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(any_message(kind.input_type), min_size=1, max_size=3))
    def attack(messages: list[Message]) -> None:
        sent = tuple(one.SerializeToString() for one in messages)
        call = Call(node.role, path, sent)
        answers[answer := node.send(call, GIVEN_UP_S[-1])] += 1
        assert answer != UNFORESEEN, as_line(call)

    attack()
    return answers


IN_A_NETWORK = """
ip link add shaped0 type veth peer name other0 && ip link set lo up && ip link set shaped0 up
exec "$@"
"""
SHAPING = [f"/splitbed.v1.Shaper/{name}" for name in ("Shape", "Read")]


def test_whoever_shapes_harms_neither_node_nor_interface(tmp_path: Path) -> None:
    try:
        shaper_kind()
    except SplitbedError as error:
        pytest.skip(str(error))
    before = ["unshare", "--net", "sh", "-c", IN_A_NETWORK, "sh"]
    shape = shape_message(symmetric(rate_mbit=5).uplink)
    asked, rng = ShapeRequest(egress=shape).SerializeToString(), Random(0)
    node = attacked(
        "edge",
        tmp_path,
        before=before,
        control=f"unix:{tmp_path}/control",
        shaper={"dev": "shaped0"},
        limits=SMALL,
    )
    with node as edge, edge.unharmed():
        for path in SHAPING:
            assert answered(edge, path, tries(20, 2_000))["FAILED_PRECONDITION"]
        for _ in range(tries(20, 2_000)):
            sent = changed(ShapeRequest.DESCRIPTOR, asked, rng)
            assert edge.send(Call("edge", SHAPING[0], (sent,)), GIVEN_UP_S[-1]) != UNFORESEEN
        assert edge.send(Call("edge", SHAPING[0], (asked,)), 10) == "OK"


def test_what_once_did_harm_does_none(node: Attacked) -> None:
    for call in kept("found"):
        if call.node == node.role:
            assert node.send(call, 10) != UNFORESEEN, as_line(call)
