"""Parts that are held on real nodes, without a link: as many cuts as there is room for."""

from collections.abc import Iterator

import pytest

from netem.spec import symmetric
from orchestrator.ask.sweep_config import sweep_config
from orchestrator.testbed import parts
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.pair import Pair
from splitbed.errors import NodeError
from tests.node.loopback import loopback_pair

FRAME_S = 20.0
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
) -> parts.Parts:
    """There is room for two."""
    pair, model = shared
    monkeypatch.setattr(parts, "HELD_BYTES", 2 * model.file_bytes)
    config = sweep_config({"model": model.name, "warmup": 0, "delivery": request.param})
    return parts.Parts(pair, model, config)


def held(pair: Pair) -> set[int]:
    found = set()
    for layers in (0, 2, 3, 4):
        try:
            pair.run_frame(layers, 0, FRAME_S, layers)
        except NodeError as error:
            assert "holds no part" in str(error)
        else:
            found.add(layers)
    return found


def test_the_cut_used_longest_ago_makes_room_for_another(
    shared: tuple[Pair, SweptModel], two: parts.Parts
) -> None:
    pair, _ = shared
    for layers, those in ((2, {2}), (3, {2, 3}), (2, {2, 3}), (4, {2, 4}), (3, {3, 4})):
        two.load(layers)
        two.deliver(LINK, FRAME_S)
        assert held(pair) == those


def test_a_cut_that_is_held_is_neither_cut_nor_delivered_again(
    shared: tuple[Pair, SweptModel], two: parts.Parts
) -> None:
    visits = ((2, LINK), (3, LINK), (2, LINK), (2, OTHER), (3, LINK), (2, LINK), (2, OTHER))
    found = []
    for layers, link in visits:
        two.load(layers)
        found.append((layers, link, two.loaded.part1_bytes, two.deliver(link, FRAME_S)))
    # a delivery that was measured again would have taken another time
    assert len(set(found)) == len(set(visits)) == 3
