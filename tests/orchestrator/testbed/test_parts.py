"""Parts that are held on real nodes, without a link: as many cuts as there is room for."""

from collections.abc import Iterator

import pytest

from netem.spec import symmetric
from orchestrator.testbed.loading import parts
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.pair import Pair
from splitbed.errors import NodeError
from tests.node.loopback import FRAME_S, Splits, loopback_pair

LINK, OTHER = symmetric(rate_mbit=20), symmetric(rate_mbit=50)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, SweptModel]]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        yield both


@pytest.fixture(params=[True, False], ids=["delivered", "brought"])
def two(
    shared: tuple[Pair, SweptModel],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Splits:
    """There is room for two."""
    pair, model = shared
    monkeypatch.setattr(parts, "HELD_BYTES", 2 * model.file_bytes)
    return Splits(pair, model, delivery=request.param)


def held(two: Splits) -> set[int]:
    found = set()
    for layers in (0, 2, 3, 4):
        try:
            two.parts.assign(asked := two.asked(layers))
            two.run(of=asked)
        except NodeError as error:
            assert "holds no part" in str(error)
        else:
            found.add(layers)
    return found


def test_the_cut_used_longest_ago_makes_room_for_another(
    two: Splits,
) -> None:
    for layers, those in ((2, {2}), (3, {2, 3}), (2, {2, 3}), (4, {2, 4}), (3, {3, 4})):
        two.parts.load(two.asked(layers))
        two.parts.deliver(LINK, timeout_s=FRAME_S)
        assert held(two) == those


def test_a_cut_that_is_held_is_neither_cut_nor_delivered_again(
    two: Splits,
) -> None:
    visits = ((2, LINK), (3, LINK), (2, LINK), (2, OTHER), (3, LINK), (2, LINK), (2, OTHER))
    found = []
    for layers, link in visits:
        two.parts.load(two.asked(layers))
        took_ms = two.parts.deliver(link, timeout_s=FRAME_S)
        found.append((layers, link, two.parts.loaded.part1_bytes, took_ms))
    # a delivery that was measured again would have taken another time
    assert len(set(found)) == len(set(visits)) == 3
